//! Debian packages that the local cluster and the image builds need.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Stage;
use crate::shell;

/// Package and a file that shows that it is there.
const PACKAGES: [(&str, &str); 18] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("containernetworking-plugins", "/usr/lib/cni/ptp"),
    ("iptables", "iptables"),
    ("nftables", "nft"),
    ("iproute2", "ip"),
    ("conntrack", "conntrack"),
    ("ethtool", "ethtool"),
    ("socat", "socat"),
    ("util-linux", "nsenter"),
    ("mmdebstrap", "mmdebstrap"),
    ("zstd", "zstd"),
    ("buildah", "buildah"),
    ("gcc", "cc"),
    ("make", "make"),
    ("libc6-dev", "/usr/include/stdio.h"),
    ("binutils", "strip"),
    ("postgresql-client", "psql"),
];

/// Names of the packages that are not there.
pub fn missing() -> Vec<&'static str> {
    PACKAGES
        .iter()
        .filter(|(_, proof)| match proof.strip_prefix('/') {
            Some(_) => !std::path::Path::new(proof).exists(),
            None => !shell::is_installed(proof),
        })
        .map(|(package, _)| *package)
        .collect()
}

/// Installs what is missing, or says which command does.
pub fn ensure(stage: &Stage) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !nix::unistd::geteuid().is_root() || !shell::is_installed("apt-get") {
        bail!(
            "these programs are missing: {names}. On Debian run:\n  \
             sudo apt-get update && sudo apt-get install --yes --no-install-recommends {names}"
        );
    }
    stage.say("apt-get update");
    apt(&["update"])?;
    stage.say(&format!("installing {names}"));
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments)
}

/// Services are not started: this machine may have a service manager that would
/// start a containerd or a PostgreSQL of its own.
fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .arg("--quiet")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null());
    shell::output(&mut command)
        .map(|_| ())
        .context("apt-get failed: check /etc/apt/sources.list and the network, then run this again")
}
