//! Subcommands that answer and end.

pub mod crds;
pub mod plan;
