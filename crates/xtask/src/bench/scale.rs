//! `cargo xtask bench scale`: brings up the world and starts the benchmark inside.

use anyhow::{Result, bail};

use crate::checkout::{Checkout, INSIDE};
use crate::images::binaries;
use crate::progress::Progress;
use crate::world::World;

/// Options of `bench scale`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Numbers of clusters, rising; all are measured in the same world.
    #[arg(long, value_delimiter = ',', default_value = "100,300,1000")]
    clusters: Vec<u32>,
    /// Members of each.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    members: u32,
    /// The operator's resync period, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..))]
    resync: u32,
    /// For how many resync periods the idle operator is watched.
    #[arg(long, default_value_t = 3)]
    syncs: u32,
    /// How many changes are made and timed at each number of clusters.
    #[arg(long, default_value_t = 120)]
    changes: u32,
    /// Measure this operator instead of building the checkout's.
    #[arg(long)]
    operator: Option<std::path::PathBuf>,
}

/// Runs it; the figures go to the terminal.
pub fn scale(checkout: &Checkout, arguments: &Arguments) -> Result<()> {
    if arguments.clusters.is_empty() || !arguments.clusters.is_sorted() || arguments.clusters[0] == 0 {
        bail!("--clusters: numbers from 1 that rise, such as 100,300,1000");
    }
    let progress = Progress::new();
    let (operator, bench) = progress.stage("build", |stage| {
        stage.say("compiling the operator and the benchmark, optimised: minutes when nothing is cached");
        let [operator, bench] =
            binaries::build_all(&checkout.root, ["matriarch", "matriarch-scale"], &["--release"])?;
        let given = arguments.operator.as_ref().map(|path| path.canonicalize()).transpose()?;
        Ok((given.unwrap_or(operator), bench))
    })?;
    let world = progress.stage("world", |stage| World::start(checkout, true, stage))?;
    let list: Vec<String> = arguments.clusters.iter().map(u32::to_string).collect();
    let mut command = world.enter();
    command.arg(bench).arg("bench").arg("--operator").arg(operator);
    command.args(["--clusters", &list.join(",")]);
    for (name, value) in [
        ("--members", arguments.members),
        ("--resync", arguments.resync),
        ("--syncs", arguments.syncs),
        ("--changes", arguments.changes),
    ] {
        command.args([name, &value.to_string()]);
    }
    command.args(["--state", INSIDE]);
    let status = command.status()?;
    if !status.success() {
        bail!("the benchmark ended with {status}");
    }
    Ok(())
}
