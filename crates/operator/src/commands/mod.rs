//! Subcommands that answer and end.

pub mod crds;
pub mod manifest_file;
pub mod plan;
pub mod settings_file;
