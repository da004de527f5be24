//! `cargo xtask crash`: kills the operator before and after its k-th write, for every k, in a
//! world of its own, and looks at what another operator makes of it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::checkout::{Checkout, INSIDE};
use crate::images::binaries;
use crate::import;
use crate::progress::Progress;
use crate::world::World;

/// All flows.
const FLOWS: [&str; 5] = ["create", "scale", "roll", "switchover", "delete"];

/// Options of `crash`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// What is done meanwhile: create, scale, roll, switchover, delete; nothing: all five.
    flows: Vec<String>,
    /// One of so many moments, drawn by the seed; 1: all.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    part: u32,
    /// Draws the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// With real pods, on the local cluster; of a part every so many-th write is taken.
    #[arg(long)]
    real: bool,
    /// Take lines `FLOW PART SEED` from standard input, for tests.
    #[arg(long, hide = true, conflicts_with_all = ["flows", "part", "seed"])]
    serve: bool,
}

/// Plays the flows beside each other.
pub fn crash(arguments: &Arguments) -> Result<()> {
    let flows =
        if arguments.flows.is_empty() { FLOWS.map(str::to_owned).to_vec() } else { arguments.flows.clone() };
    if let Some(unknown) = flows.iter().find(|flow| !FLOWS.contains(&flow.as_str())) {
        bail!("{unknown}: no such flow; there are {}", FLOWS.join(", "));
    }
    let checkout = Checkout::find()?;
    let progress = Progress::new();
    let [operator, program] = progress.stage("build", |_| programs(&checkout))?;
    let world = match arguments.real {
        true => None,
        false => Some(progress.stage("world", |stage| World::start(&checkout, false, stage))?),
    };
    let mut command = match &world {
        Some(world) => world.enter(),
        None => import::entered(&checkout)?,
    };
    let mut child = command
        .arg(program)
        .arg("crash")
        .arg("--operator")
        .arg(operator)
        .args(["--state", INSIDE])
        .args(arguments.real.then_some("--real"))
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot enter the world")?;
    let mut input = child.stdin.take().context("no standard input")?;
    if arguments.serve {
        println!("crash-ready");
        for line in BufReader::new(std::io::stdin()).lines().map_while(Result::ok) {
            writeln!(input, "{line}")?;
        }
    } else {
        for flow in flows {
            writeln!(input, "{flow} {} {}", arguments.part, arguments.seed)?;
        }
    }
    drop(input);
    let status = child.wait()?;
    if !status.success() {
        bail!("not every flow came to its state: the lines with FAILED say where");
    }
    Ok(())
}

/// The operator and what kills it, compiled unless they are.
///
/// # Errors
/// When they don't compile.
pub fn programs(checkout: &Checkout) -> Result<[PathBuf; 2]> {
    binaries::build_all(&checkout.root, ["matriarch", "matriarch-scale"], &[])
}
