//! `cargo xtask down`: afterwards no process, mount, link or cgroup is left.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::checkout::Checkout;
use crate::register::{self, Entry, Owner};
use crate::{files, network, sweep, up};

/// Everything inside dies with process 1 of its namespace, so this is long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends the cluster and forgets its data; images and certificates stay.
pub fn down() -> Result<()> {
    let checkout = Checkout::find()?;
    let _alone = up::alone(&checkout)?;
    let was_running = register::owner(&checkout.id)?.is_some();
    stop(&checkout)?;
    let swept = sweep::orphans()?;
    forget(&checkout)?;
    println!("{}", if was_running { "the cluster is down" } else { "no cluster was running" });
    if !swept.is_empty() {
        println!("swept what {} ended cluster(s) without a folder had left", swept.len());
    }
    Ok(())
}

/// Ends the supervisor of this checkout's path and sweeps what it leaves.
pub fn stop(checkout: &Checkout) -> Result<()> {
    if let Some(owner) = register::owner(&checkout.id)? {
        end(&owner)?;
    }
    let Some(entry) = Entry::take(&checkout.id)? else {
        bail!("another command starts or ends this cluster right now: try again in a moment");
    };
    sweep::own(&checkout.id)?;
    entry.remove()
}

fn end(owner: &Owner) -> Result<()> {
    let signal = |process, signal| kill(Pid::from_raw(process), signal);
    signal(owner.process, Signal::SIGTERM).ok();
    let start = Instant::now();
    while is_alive(owner.process) || is_alive(owner.namespaces) {
        if start.elapsed() > PATIENCE {
            for process in [owner.process, owner.namespaces].into_iter().filter(|process| *process > 1) {
                signal(process, Signal::SIGKILL).ok();
            }
        }
        if start.elapsed() > PATIENCE * 2 {
            bail!("process {} does not end: look at it with ps, then run this again", owner.namespaces);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A process that is dead and not yet waited for does not count.
fn is_alive(process: i32) -> bool {
    if process <= 1 {
        return false;
    }
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
}

/// Removes the data of the cluster. The images that the nodes have imported stay
/// for the next start: importing them is slow.
fn forget(checkout: &Checkout) -> Result<()> {
    let state = checkout.state();
    for name in ["etcd", "volumes", "dns", "status.json", "kubeconfig", "operator.digest"] {
        files::remove(&state.join(name))?;
    }
    for node in 1..=network::MOST_NODES {
        let dir = state.join(network::node_name(node));
        for name in ["kubelet", "kubelet-pki", "pods", "addresses", "cni", "opt"] {
            forget_below(&dir, name)?;
        }
    }
    Ok(())
}

fn forget_below(dir: &Path, name: &str) -> Result<()> {
    files::remove(&dir.join(name)).context("the cluster is down, its data is still there")
}
