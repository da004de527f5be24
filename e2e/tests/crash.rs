//! The operator is killed before and after its k-th write, and another one finishes: with a real
//! API server and stand-in pods, in a world of its own (`cargo xtask crash`). A tenth of all
//! moments here, drawn by a seed; all of them in the long mode.

#![allow(clippy::print_stdout, reason = "tests report to the person who runs them")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// One world for all tests of this file: one process plays what they ask for.
static PLAYERS: OnceLock<Result<Player, String>> = OnceLock::new();

struct Player {
    input: Mutex<ChildStdin>,
    waiting: Mutex<BTreeMap<String, Sender<String>>>,
    _process: Mutex<Child>,
}

impl Player {
    fn get() -> Result<&'static Self> {
        let player = PLAYERS.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        player.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    fn start() -> Result<Self> {
        let program = std::env::var_os("MATRIARCH_XTASK").context("MATRIARCH_XTASK is not set")?;
        let mut process = Command::new(program)
            .args(["crash", "--serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the world")?;
        let input = process.stdin.take().context("no standard input")?;
        let output = process.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(output).lines();
        loop {
            let line = lines.next().context("the world did not come up; see the lines above")??;
            println!("{line}");
            if line == "crash-ready" {
                break;
            }
        }
        std::thread::spawn(|| listen(lines));
        Ok(Self { input: Mutex::new(input), waiting: Mutex::default(), _process: Mutex::new(process) })
    }

    /// Plays a flow and waits for its result.
    fn play(&self, flow: &str, part: u32, seed: u64) -> Result<String> {
        let (sender, result) = channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(flow.to_owned(), sender);
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(input, "{flow} {part} {seed}")?;
        drop(input);
        result.recv().context("the process that plays the flows ended")
    }
}

/// Prints what is said, and hands each result to who waits for it.
fn listen(lines: std::io::Lines<BufReader<ChildStdout>>) {
    for line in lines.map_while(Result::ok) {
        println!("{line}");
        let Some((flow, result)) = line.strip_prefix("crash-result ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        if let Some(Ok(player)) = PLAYERS.get() {
            let waiting = player.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(flow);
            // Who does not wait any more has failed already.
            waiting.map(|waiting| waiting.send(result.to_owned()));
        }
    }
    // Nobody waits for a process that has ended.
    if let Some(Ok(player)) = PLAYERS.get() {
        player.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn play(flow: &str) {
    if std::env::var("MATRIARCH_E2E").as_deref() != Ok("1") {
        println!(
            "e2e-left-out crash_{flow}: it needs a control plane and MATRIARCH_E2E is not 1; \
             `cargo xtask test` on a machine with root sets it"
        );
        return;
    }
    let begin = Instant::now();
    let played = Player::get().and_then(|player| {
        let result = player.play(flow, part(), seed())?;
        ensure!(result.starts_with("ok "), "{result}");
        Ok(result)
    });
    println!("e2e-time crash_{flow} {:.1}", begin.elapsed().as_secs_f64());
    if let Err(error) = played {
        panic!("crash_{flow}, seed {}: {error:#}", seed());
    }
}

/// One of so many moments is played: all of them in the long mode.
fn part() -> u32 {
    if std::env::var("MATRIARCH_LONG").as_deref() == Ok("1") { 1 } else { 10 }
}

/// `MATRIARCH_SEED`, to play a failed test again.
fn seed() -> u64 {
    std::env::var("MATRIARCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn create() {
    play("create");
}

#[test]
fn scale() {
    play("scale");
}

#[test]
fn roll() {
    play("roll");
}

#[test]
fn switchover() {
    play("switchover");
}

#[test]
fn delete() {
    play("delete");
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn every_fifth_write_with_real_pods() {
    if std::env::var("MATRIARCH_E2E").as_deref() != Ok("1") {
        println!("e2e-left-out crash_real: it needs the local cluster and MATRIARCH_E2E is not 1");
        return;
    }
    let program = std::env::var_os("MATRIARCH_XTASK").expect("MATRIARCH_XTASK");
    // One after the other: two clusters of real pods at a time are enough for a small machine.
    for flow in ["create", "roll"] {
        let status = Command::new(&program).args(["crash", flow, "--real", "--part", "5"]).status();
        assert!(status.is_ok_and(|status| status.success()), "{flow}: see the lines with FAILED above");
    }
}
