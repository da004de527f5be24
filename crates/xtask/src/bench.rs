//! `cargo xtask bench create`: how long a cluster takes from its manifest to two
//! streaming members with users and database, beside two bare Patroni members of
//! the same image that nobody manages.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::progress::seconds;
use crate::target::Target;
use crate::{shell, up};

/// A run that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks; each look takes about as long again.
const PAUSE: Duration = Duration::from_millis(100);

/// What is measured.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Arguments {
    /// From the manifest to two streaming members with users and database.
    Create {
        /// How often each side is measured; the median counts.
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
}

/// One side of the comparison.
struct Side {
    name: &'static str,
    manifest: &'static str,
    cluster: &'static str,
    /// True when everything that the side promises is there, seen by psql.
    complete: &'static str,
}

const STREAMING: &str = "select count(*) > 0 from pg_stat_replication where state = 'streaming'";

const BARE: Side = Side {
    name: "bare Patroni",
    manifest: "testdata/bench/bare-patroni.yaml",
    cluster: "bare-patroni",
    complete: STREAMING,
};

const OURS: Side = Side {
    name: "Matriarch",
    manifest: "testdata/seed/minimal.yaml",
    cluster: "acid-minimal-cluster",
    complete: "select (select count(*) from pg_roles where rolname in ('zalando', 'foo_user')) = 2 \
               and exists (select from pg_database where datname = 'foo')",
};

/// When each step of a creation was first seen, since it was handed in.
#[derive(Debug, Clone, Default)]
struct Milestones {
    list: Vec<(&'static str, Duration)>,
}

/// Runs a benchmark on the local cluster.
pub fn bench(arguments: &Arguments) -> Result<()> {
    let Arguments::Create { runs } = arguments;
    let checkout = Checkout::find()?;
    if up::running(&checkout)?.is_none() {
        up::up(&up::Arguments { no_demo: true, ..up::Arguments::default() })?;
    }
    let target = Target::local(&checkout);
    // Alternating, so that whatever else the machine does meets both.
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for run in 1..=(*runs).max(1) {
        bare.push(measure(&checkout, &target, &BARE, run)?);
        ours.push(measure(&checkout, &target, &OURS, run)?);
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("\n{:<14} {:.1} s (median of {runs})", BARE.name, bare.as_secs_f64());
    println!("{:<14} {:.1} s (median of {runs})", OURS.name, ours.as_secs_f64());
    println!("{:<14} {:.2}", "ratio", ours.as_secs_f64() / bare.as_secs_f64());
    Ok(())
}

/// Creates one side in a namespace of its own, measures, and removes it.
fn measure(checkout: &Checkout, target: &Target, side: &Side, run: usize) -> Result<Duration> {
    let namespace = format!("bench-{}-{run}", side.cluster);
    let scene = Scene { target, namespace: &namespace, side };
    scene.remove()?;
    shell::output(target.kubectl().args(["create", "namespace", &namespace]))?;
    let result = scene.create(checkout.root.join(side.manifest));
    scene.remove()?;
    let milestones = result?;
    let steps: Vec<String> =
        milestones.list.iter().map(|(name, after)| format!("{name} {}", seconds(*after))).collect();
    println!("{:<14} {}", side.name, steps.join(" · "));
    milestones.last().context("nothing was seen")
}

/// One creation.
struct Scene<'a> {
    target: &'a Target,
    namespace: &'a str,
    side: &'a Side,
}

impl Scene<'_> {
    fn create(&self, manifest: PathBuf) -> Result<Milestones> {
        let start = Instant::now();
        shell::output(self.kubectl().args(["create", "--filename"]).arg(&manifest))?;
        let mut seen = Milestones::default();
        while !self.look(&mut seen, start)? {
            if start.elapsed() > PATIENCE {
                let pods = shell::output(self.kubectl().args(["get", "pods"])).unwrap_or_default();
                bail!("{} is not complete after {PATIENCE:?}; seen: {:?}\n{pods}", self.side.name, seen.list);
            }
            thread::sleep(PAUSE);
        }
        Ok(seen)
    }

    /// Looks once; true when all is there.
    fn look(&self, seen: &mut Milestones, start: Instant) -> Result<bool> {
        let objects = shell::output(self.kubectl().args(["get", "statefulsets,pods", "--output=json"]))?;
        let objects: Value = serde_json::from_str(&objects)?;
        let objects = objects["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let pods: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "Pod").collect();
        let running = pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count();
        seen.note("StatefulSet", pods.len() < objects.len(), start);
        seen.note("first pod runs", running > 0, start);
        let primary = pods.iter().find(|pod| pod["metadata"]["labels"]["spilo-role"] == "master");
        seen.note("primary", primary.is_some(), start);
        seen.note("second pod runs", running > 1, start);
        let Some(primary) = primary.and_then(|pod| pod["metadata"]["name"].as_str()) else {
            return Ok(false);
        };
        let streaming = self.ask(primary, STREAMING);
        seen.note("streaming", streaming, start);
        if self.side.complete == STREAMING {
            return Ok(streaming);
        }
        let complete = self.ask(primary, self.side.complete);
        seen.note("users and database", complete, start);
        Ok(streaming && complete)
    }

    /// A question that is answered with true or false; no answer yet is false.
    fn ask(&self, pod: &str, question: &str) -> bool {
        let psql = ["psql", "--username=postgres", "--no-align", "--tuples-only", "--command", question];
        shell::output(self.kubectl().args(["exec", pod, "--container=postgres", "--"]).args(psql))
            .is_ok_and(|answer| answer.trim() == "t")
    }

    /// The manifest first: its finalizer needs the namespace.
    fn remove(&self) -> Result<()> {
        let mut delete = self.kubectl();
        delete.args(["delete", "postgresql", "--all", "--timeout=120s"]);
        shell::output(&mut delete).context("the operator does not remove the cluster of an earlier run")?;
        let mut namespace = self.target.kubectl();
        namespace.args(["delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=180s"]);
        shell::output(&mut namespace).map(|_| ())
    }

    fn kubectl(&self) -> Command {
        let mut command = self.target.kubectl();
        command.args(["--namespace", self.namespace]);
        command
    }
}

impl Milestones {
    fn note(&mut self, name: &'static str, reached: bool, start: Instant) {
        if reached && !self.list.iter().any(|(known, _)| *known == name) {
            self.list.push((name, start.elapsed()));
        }
    }

    fn last(&self) -> Option<Duration> {
        self.list.iter().map(|(_, after)| *after).max()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let times = [5, 1, 3].map(Duration::from_secs).to_vec();
        assert_eq!(median(times), Duration::from_secs(3));
    }
}
