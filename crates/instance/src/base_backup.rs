//! How a replica gets its first copy of the data. Patroni calls it under the name that configurations of running
//! clusters carry (`basebackup_fast_xlog`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::rest;

/// What Patroni passes.
#[derive(clap::Args)]
pub struct Arguments {
    /// Data directory to fill
    #[arg(long)]
    datadir: PathBuf,
    /// Connection string of the source
    #[arg(long)]
    connstring: String,
    /// Directory of PostgreSQL's programs
    #[arg(long = "bin_dir")]
    bin_dir: PathBuf,
    /// How often to try
    #[arg(long, default_value_t = 1)]
    retries: u32,
    /// Name of the cluster
    #[arg(long)]
    scope: Option<String>,
    /// The role that this member will have
    #[arg(long)]
    role: Option<String>,
}

/// Copies the data with the WAL it needs, from a checkpoint made at once instead of one spread over minutes.
///
/// # Errors
/// When no try succeeded; the data directory is empty then.
pub fn run(arguments: &Arguments) -> Result<()> {
    for attempt in 1..=arguments.retries.max(1) {
        // What an earlier try left would make pg_basebackup refuse the directory.
        empty(&arguments.datadir)?;
        let status = Command::new(arguments.bin_dir.join("pg_basebackup"))
            .args(["--wal-method=stream", "--checkpoint=fast", "--no-password", "--pgdata"])
            .arg(&arguments.datadir)
            .arg("--dbname")
            .arg(&arguments.connstring)
            .status()
            .context("cannot run pg_basebackup")?;
        if status.success() {
            wake_leader(&arguments.connstring);
            return Ok(());
        }
        eprintln!("base backup: try {attempt} of {} ended with {status}", arguments.retries);
    }
    empty(&arguments.datadir)?;
    bail!("no base backup could be made from the primary: its log tells why it refused")
}

/// A leader that was made a moment ago has not seen this member yet and makes its replication slot only at the end
/// of its loop; until then this member cannot stream. That it cannot be woken costs those seconds and nothing else.
fn wake_leader(connection: &str) {
    let port = std::env::var("APIPORT").unwrap_or_else(|_| "8008".to_owned());
    let woken = rest::host_of(connection).map(|host| rest::wake_leader(host, &port));
    if let Some(Err(error)) = woken {
        eprintln!("base backup: the leader was not woken: {error:#}");
    }
}

fn empty(directory: &PathBuf) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    Ok(())
}
