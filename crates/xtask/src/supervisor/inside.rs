//! The supervisor inside the namespaces: brings the cluster up and stays.

use std::io::Read;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};

use super::control_plane::{self, Flags};
use super::status::Board;
use super::{dns, mounts, node, provisioner, world};
use crate::checkout::INSIDE;
use crate::cluster::Cluster;
use crate::network;
use crate::shell;

/// Runs until the outer supervisor is gone.
pub fn inside(state: &Path) -> Result<()> {
    mounts::prepare(state)?;
    let board = Board::new(Path::new(INSIDE));
    let brought_up = match world::World::read(Path::new(INSIDE))? {
        Some(world) => world::bring_up(&world, &board),
        None => bring_up(&board),
    };
    if let Err(error) = brought_up {
        board.fail(&format!("{error:#}"));
        return Err(error);
    }
    board.stage("running");
    let mut nothing = [0; 1];
    std::io::stdin().read(&mut nothing).context("cannot watch the outer supervisor")?;
    Ok(())
}

fn bring_up(board: &Board) -> Result<()> {
    let cluster = Cluster::read(Path::new(INSIDE))?.context("no cluster.json")?;
    board.stage("network");
    bridge()?;
    board.stage("control plane");
    control_plane::start(board, Flags::default())?;
    board.stage("nodes");
    thread::scope(|scope| {
        let nodes: Vec<_> = (1..=cluster.nodes)
            .map(|number| {
                let (cluster, board) = (&cluster, &board);
                scope.spawn(move || node::start(cluster, number, board))
            })
            .collect();
        nodes
            .into_iter()
            .try_for_each(|node| node.join().unwrap_or_else(|_| anyhow::bail!("a node's start panicked")))
    })?;
    shell::line(&format!("ip route replace {} via {}", network::SERVICE_RANGE, network::node_address(1)))?;
    board.stage("cluster DNS and storage class");
    dns::start(board)?;
    provisioner::start()
}

fn bridge() -> Result<()> {
    shell::line("ip link set lo up")?;
    shell::line(&format!("ip link add {} type bridge", network::BRIDGE))?;
    shell::line(&format!("ip address add {}/24 dev {}", network::BRIDGE_ADDRESS, network::BRIDGE))?;
    shell::line(&format!("ip link set {} up", network::BRIDGE))?;
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot switch forwarding on")
}
