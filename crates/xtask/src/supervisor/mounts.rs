//! The private mount namespace: what is written outside the state directory goes
//! to memory and is gone with the cluster.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use crate::checkout::INSIDE;

/// Covered by memory: sockets and network namespaces; links of container logs;
/// records of the CNI plugins.
const COVERED: [&str; 3] = ["/run", "/var/log", "/var/lib"];

/// Makes the mounts and leaves the state directory at [`INSIDE`].
pub fn prepare(state: &Path) -> Result<()> {
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .context("mount --make-rprivate")?;
    // Reached through the working directory, since a mount below may hide its path.
    std::env::set_current_dir(state).with_context(|| format!("cannot enter {}", state.display()))?;
    for point in COVERED {
        mount(Some("tmpfs"), point, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
            .with_context(|| format!("cannot mount memory on {point}"))?;
    }
    fs::create_dir_all(INSIDE)?;
    mount(Some("."), INSIDE, nothing, MsFlags::MS_BIND | MsFlags::MS_REC, nothing)
        .with_context(|| format!("cannot mount the state directory on {INSIDE}"))?;
    for dir in ["/run/netns", "/run/lock", "/run/containerd", "/var/lib/cni"] {
        fs::create_dir_all(dir)?;
    }
    std::env::set_current_dir(INSIDE)?;
    Ok(())
}
