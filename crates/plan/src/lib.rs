//! Deciding, and nothing else: from what should exist ([`matriarch_cluster::Intent`])
//! and what was seen ([`Observation`]) to an ordered, explained [`Plan`].
//!
//! Nothing here reads a clock, a network or a random number. Everything that was not
//! seen is [`Seen::Unknown`], and no disruptive or destructive step rests on an unknown.

pub mod action;
pub mod deletion;
pub mod difference;
pub mod executor;
pub mod observation;
pub mod ownership;
pub mod plan;
pub mod planner;
pub mod rolling;
pub mod seen;
pub mod status;

pub use action::{Action, Lane, Reason, Risk, Step};
pub use executor::{Executor, Outcome};
pub use observation::{
    ClaimSeen, Member, ObjectKey, ObjectSeen, Observation, PatroniSeen, PodSeen, SecretSeen,
};
pub use plan::{Gate, Plan, Refusal};
pub use planner::{plan_cluster, plan_deletion};
pub use seen::Seen;
