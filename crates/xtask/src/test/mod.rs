//! `cargo xtask test`: everything that can be tested here, with totals.

mod tally;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use tally::Tally;

use crate::checkout::Checkout;
use crate::{crash, down, files, shell, up};

/// Options of `test`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Also what takes many minutes.
    #[arg(long)]
    long: bool,
}

/// The capability tests' way to the cluster, or why there is none.
enum Capability {
    Ready,
    LeftOut { why: String, broken: bool },
}

/// Runs them; the exit code says whether all passed.
pub fn test(arguments: &Arguments) -> Result<ExitCode> {
    let checkout = Checkout::find()?;
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let was_up = up::running(&checkout).ok().flatten().is_some();
    let capability = prepare();
    let result = run(&checkout, arguments, &capability);
    if in_ci && !was_up && matches!(capability, Capability::Ready) {
        down::down()?;
    }
    let mut tally = result?;
    println!("\n{}", tally.slowest(10));
    let mut passed = tally.failed == 0;
    if let Capability::LeftOut { why, broken } = &capability {
        println!("LEFT OUT: the capability tests (e2e), because {why}");
        tally.skipped += 1;
        if in_ci {
            println!("In CI that is a failure.");
        }
        passed &= !(in_ci || *broken);
    }
    println!("{}", tally.totals());
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cluster: brought up unless it is up.
fn prepare() -> Capability {
    if !cfg!(target_os = "linux") || !nix::unistd::geteuid().is_root() {
        let why = "they need a local cluster, and that needs root on Linux".to_owned();
        return Capability::LeftOut { why, broken: false };
    }
    match up::up(&up::Arguments { no_demo: true, ..up::Arguments::default() }) {
        Ok(()) => Capability::Ready,
        Err(error) => {
            println!("cargo xtask up failed: {error:#}");
            let why = "the local cluster did not come up (its error is above)".to_owned();
            Capability::LeftOut { why, broken: true }
        }
    }
}

/// These tests wait more than they compute, so more of them run at a time than there are cores;
/// those that take a node or the operator away are alone in their file, and files run one by one.
const E2E_HARNESS: [&str; 2] = ["--nocapture", "--test-threads=3"];

fn run(checkout: &Checkout, arguments: &Arguments, capability: &Capability) -> Result<Tally> {
    let mut tally = Tally::default();
    cargo(checkout, arguments, &mut tally, &["--workspace", "--exclude", "matriarch-e2e"], &[])?;
    if matches!(capability, Capability::Ready) {
        // Not within the test that starts it: that has a minute.
        println!("compiling what the test of crashes starts");
        crash::programs(checkout)?;
        cargo(checkout, arguments, &mut tally, &["--package", "matriarch-e2e"], &E2E_HARNESS)?;
    }
    Ok(tally)
}

/// One `cargo test`; its output passes through and is counted on the way.
fn cargo(
    checkout: &Checkout,
    arguments: &Arguments,
    tally: &mut Tally,
    packages: &[&str],
    harness: &[&str],
) -> Result<()> {
    let e2e = !harness.is_empty();
    // One pipe for both streams keeps cargo's headings before their results.
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 2>&1", "sh", "cargo", "test", "--no-fail-fast"]).args(packages);
    command.arg("--").args(harness);
    shell::without_cargos_own(&mut command);
    command.current_dir(&checkout.root).stdin(Stdio::null()).stdout(Stdio::piped());
    if arguments.long {
        command.arg("--include-ignored").env("MATRIARCH_LONG", "1");
    }
    command.env("MATRIARCH_E2E", if e2e { "1" } else { "0" });
    if e2e {
        command.env("KUBECONFIG", checkout.kubeconfig());
        command.env("PATH", path_with(checkout.bin())?);
        let program = checkout.state().join("parts/xtask");
        files::copy_this_program(&program)?;
        command.env("MATRIARCH_XTASK", program);
    }
    let mut child = command.spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        tally.line(text.trim_end());
        line.clear();
    }
    tally.ended(child.wait()?.success());
    Ok(())
}

fn path_with(first: PathBuf) -> Result<std::ffi::OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&rest)))?)
}
