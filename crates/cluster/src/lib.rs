//! From a manifest and settings to what should exist: names, the validated [`Cluster`] and the
//! rendering of every object, the [`Intent`]. Pure: nothing here reads or writes anything.

mod intent;
pub mod names;
pub mod quantity;
mod render;
mod users;
mod validate;

pub use intent::{CredentialSecret, Identity, Intent, Object, References};
pub use matriarch_api::Problem;
pub use render::{render, render_with};
pub use validate::{Cluster, status_word_for_problems};
