//! The simulated world: just enough of an API server, a StatefulSet controller, kubelets,
//! Patroni and PostgreSQL to drive the real planner and the real executor through many
//! histories. Everything follows from a seed; a failing one is replayed by its number.

mod inside;
pub mod observe;
pub mod run;
pub mod seed;
pub mod world;

pub use run::{Failure, History, run};
pub use seed::Seed;
pub use world::World;
