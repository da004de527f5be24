//! Subcommands that answer and end.

pub mod crds;
pub mod manifest_file;
pub mod plan;
pub mod plan_all;
pub mod references_file;
pub mod remove_orphan;
pub mod render;
pub mod settings_file;
