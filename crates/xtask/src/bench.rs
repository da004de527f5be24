//! `cargo xtask bench`: figures to judge by. They pass or fail nothing: times depend
//! on the machine, so each figure stands beside a yardstick measured the same way.

mod create;
mod moment;
mod scale;
mod sight;
mod table;

use anyhow::Result;

use crate::checkout::Checkout;
use crate::target::Target;
use crate::up;

/// What is measured.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Arguments {
    /// From the manifest to two streaming members with their users and database, beside
    /// the same image's Patroni pair from a hand-written StatefulSet.
    Create(create::Arguments),
    /// A thousand clusters on a control plane of their own, with nodes that nobody runs and one
    /// process in place of every Patroni.
    Scale(scale::Arguments),
}

/// Measures and prints.
pub fn bench(arguments: &Arguments) -> Result<()> {
    let checkout = Checkout::find()?;
    match arguments {
        Arguments::Create(create) => create::create(&checkout, create),
        Arguments::Scale(scale) => scale::scale(&checkout, scale),
    }
}

/// The local cluster, brought up unless it is up, or a context of the user's own.
fn target(checkout: &Checkout, context: Option<&str>) -> Result<Target> {
    if let Some(context) = context {
        return Target::context(checkout, context);
    }
    if up::running(checkout)?.is_none() {
        up::up(&up::Arguments { no_demo: true, ..up::Arguments::default() })?;
    }
    Ok(Target::local(checkout))
}
