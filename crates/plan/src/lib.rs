//! Deciding, and nothing else: from what should exist ([`matriarch_cluster::Intent`])
//! and what was seen ([`Observation`]) to an ordered, explained [`Plan`].
//!
//! Nothing here reads a clock, a network or a random number. Everything that was not
//! seen is [`Seen::Unknown`], and no disruptive or destructive step rests on an unknown.
//! Which cluster is looked at when is decided by the [`scheduler`].

mod account;
pub mod action;
pub mod bootstrap;
mod candidate;
pub mod consequence;
pub mod deletion;
pub mod difference;
pub mod executor;
pub mod healing;
pub mod last_look;
mod lazy;
pub mod lease;
pub mod next_look;
pub mod nodes;
pub mod objects;
pub mod observation;
pub mod ownership;
pub mod patroni;
pub mod plan;
pub mod planner;
pub mod pod_annotations;
pub mod preview;
pub mod protection;
mod restarts;
pub mod rolling;
pub mod scheduler;
pub mod secrets;
pub mod seen;
mod slots;
pub mod stateful_set;
pub mod status;
pub mod sync_now;
pub mod trial;

pub use action::{Action, Lane, ObjectPlace, Reason, Risk, Step};
pub use consequence::Consequence;
pub use difference::Difference;
pub use executor::{Executor, Outcome};
pub use observation::{
    ClaimSeen, ContainerEnd, Member, NodeSeen, ObjectKey, ObjectSeen, Observation, PatroniObject,
    PatroniSeen, PodSeen, SecretSeen,
};
pub use plan::{Gate, Plan, Refusal};
pub use planner::{plan_cluster, plan_deletion};
pub use preview::{ChangePreview, ClusterPreview, RollPreview, Twins, UpdatePreview, preview};
pub use seen::Seen;
pub use trial::Trial;
