//! From a manifest and settings to what should exist: names, the validated [`Cluster`] and the
//! rendering of every object, the [`Intent`]. Pure: nothing here reads or writes anything.

pub mod infrastructure;
mod intent;
mod level;
pub mod names;
pub mod policy;
pub mod quantity;
mod references;
mod render;
pub mod schedule;
pub mod teams;
mod users;
mod validate;
pub mod windows;

pub use intent::{
    CredentialSecret, Identity, Intent, Object, PasswordSource, Pooler, SecretKey, Unresolved, Unwanted,
};
pub use level::{LEVEL_ANNOTATION, Level};
pub use matriarch_api::Problem;
pub use references::{Facts, Human, InfrastructureRole, Reference, References};
pub use render::{render, render_with};
pub use validate::{Cluster, STREAM_USER, status_word_for_problems};
