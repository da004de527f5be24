//! The simulated world: just enough of an API server, a StatefulSet controller, kubelets, nodes,
//! Patroni and PostgreSQL to drive the real planner, executor and scheduler through many histories.
//! Everything follows from a seed; a failing one is replayed by its number.

mod controller;
mod database;
pub mod defect;
pub mod eyes;
pub mod goal;
mod hands;
mod inside;
pub mod judge;
mod kubelet;
pub mod patroni;
pub mod pods;
mod properties;
pub mod run;
mod script;
pub mod seed;
pub mod store;
pub mod variant;
pub mod world;

pub use defect::{Defect, Saboteur};
pub use run::{Failure, History, run};
pub use seed::Seed;
pub use variant::Renderings;
pub use world::World;
