//! `cargo xtask node NAME offline|online`: what happens when a node is lost.

use anyhow::{Context, Result, bail};

use crate::checkout::Checkout;
use crate::{import, network, shell, up};

/// Which node, and what happens to it.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// node1, node2, …
    name: String,
    /// What to do with its network.
    state: State,
}

/// State of a node's network link.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum State {
    /// The node keeps running and reaches nobody.
    Offline,
    /// As before.
    Online,
}

/// Changes the link; routes vanish with it and are set again.
pub fn node(arguments: &Arguments) -> Result<()> {
    let checkout = Checkout::find()?;
    let cluster =
        up::running(&checkout)?.context("no local cluster is running: run `cargo xtask up` first")?;
    let Some(number) = (1..=cluster.nodes).find(|number| network::node_name(*number) == arguments.name)
    else {
        bail!("no node {}: this cluster has node1 to node{}", arguments.name, cluster.nodes);
    };
    let name = &arguments.name;
    let lines = match arguments.state {
        State::Offline => vec![format!("ip -n {name} link set eth0 down")],
        State::Online => {
            let mut lines = vec![format!("ip -n {name} link set eth0 up")];
            lines.extend(network::routes(number, cluster.nodes));
            lines
        }
    };
    for line in lines {
        shell::output(import::entered(&checkout)?.args(line.split_whitespace()))?;
    }
    Ok(())
}
