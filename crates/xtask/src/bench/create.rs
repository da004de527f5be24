//! `cargo xtask bench create`: how long a cluster takes, beside the least that the same
//! image needs. Both sides start from `kubectl create` in a fresh namespace, in turn.
//! Not from `apply`: that leaves keys without a value out, and with them `foo_user`.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::moment::{Moment, Moments};
use super::sight::Sight;
use super::table;
use crate::checkout::Checkout;
use crate::shell;
use crate::target::Target;

/// A creation that takes longer is broken, not slow.
const WITHIN: Duration = Duration::from_secs(300);
/// The watches are open by then, and the machine has settled from the round before.
const CALM: Duration = Duration::from_secs(3);

/// Options of `bench create`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// How often each side is measured.
    #[arg(long, alias = "runs", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Use this context of your kubeconfig, where the operator runs, instead of the
    /// local cluster.
    #[arg(long)]
    context: Option<String>,
}

/// One side of the comparison.
struct Side {
    word: &'static str,
    cluster: &'static str,
    manifest: &'static str,
    kinds: &'static [&'static str],
    /// The cluster is there when all of these were seen.
    whole: &'static [Moment],
    /// Seen later, and not part of the figure.
    after: &'static [Moment],
}

const OURS: Side = Side {
    word: "ours",
    cluster: "acid-minimal-cluster",
    manifest: "testdata/seed/minimal.yaml",
    kinds: &["statefulsets", "pods", "postgresqls"],
    whole: &[Moment::Streaming, Moment::Roles],
    after: &[Moment::Ready],
};

const BARE: Side = Side {
    word: "bare",
    cluster: "bare-patroni",
    manifest: "testdata/bench/bare-patroni.yaml",
    kinds: &["statefulsets", "pods"],
    whole: &[Moment::Streaming],
    after: &[],
};

impl Side {
    fn total(&self, moments: &Moments) -> Option<Duration> {
        self.whole
            .iter()
            .map(|moment| moments.get(moment).copied())
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
    }
}

/// Measures both sides in turn and prints every round and the medians.
pub fn create(checkout: &Checkout, arguments: &Arguments) -> Result<()> {
    let target = super::target(checkout, arguments.context.as_deref())?;
    needs_operator(&target)?;
    println!("load of the machine before: {}", load());
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        ours.push(measure(checkout, &target, &OURS, round)?);
        bare.push(measure(checkout, &target, &BARE, round)?);
        if let (Some(ours), Some(bare)) = (ours.last(), bare.last()) {
            println!(
                "\nround {round} of {} (load {})\n{}",
                arguments.rounds,
                load(),
                table::table(ours, bare)
            );
        }
    }
    println!(
        "\nmedians of {} rounds\n{}",
        arguments.rounds,
        table::table(&table::medians(&ours), &table::medians(&bare))
    );
    let whole = |side: &Side, rounds: &[Moments]| {
        table::median(rounds.iter().filter_map(|round| side.total(round)).collect())
            .context("no round was whole")
    };
    println!("\n{}", table::verdict(whole(&OURS, &ours)?, whole(&BARE, &bare)?));
    Ok(())
}

/// One creation, from an empty namespace to its deletion.
fn measure(checkout: &Checkout, target: &Target, side: &Side, round: u16) -> Result<Moments> {
    let namespace = Namespace::create(target, side, round)?;
    let mut sight = Sight::open(target, &namespace.name, side.cluster, side.kinds)?;
    thread::sleep(CALM);
    let start = Instant::now();
    let manifest: PathBuf = checkout.root.join(side.manifest);
    shell::output(namespace.kubectl().args(["create", "--filename"]).arg(&manifest))?;
    let handed_in = start.elapsed();
    let wanted: Vec<Moment> = side.whole.iter().chain(side.after).copied().collect();
    let mut moments = sight.follow(start, &wanted, WITHIN).with_context(|| namespace.explain())?;
    moments.insert(Moment::HandedIn, handed_in);
    drop(sight);
    namespace.delete(side)?;
    Ok(moments)
}

/// Deleted with everything in it at the end of a round, also of one that failed.
struct Namespace<'a> {
    target: &'a Target,
    name: String,
}

impl<'a> Namespace<'a> {
    fn create(target: &'a Target, side: &Side, round: u16) -> Result<Self> {
        let name = format!("bench-{}-{}-{round}", side.word, std::process::id());
        shell::output(target.kubectl().args(["create", "namespace", &name]))?;
        Ok(Self { target, name })
    }

    fn kubectl(&self) -> std::process::Command {
        let mut command = self.target.kubectl();
        command.args(["--namespace", &self.name]);
        command
    }

    /// Waits for the end, so that the next round does not pay for this one.
    fn delete(&self, side: &Side) -> Result<()> {
        if side.kinds.contains(&"postgresqls") {
            shell::output(self.kubectl().args(["delete", "postgresql", side.cluster, "--timeout=120s"]))?;
        }
        // The members write objects until their end: they must not meet a namespace half gone.
        let pods = ["delete", "statefulsets,pods", "--all", "--grace-period=5", "--timeout=120s"];
        shell::output(self.kubectl().args(pods))?;
        shell::output(self.target.kubectl().args(["delete", "namespace", &self.name, "--timeout=120s"]))?;
        Ok(())
    }

    fn explain(&self) -> String {
        let look = |words: &[&str]| shell::output(self.kubectl().args(words)).unwrap_or_default();
        format!(
            "the cluster did not come up:\n{}\n{}\nIts last events:\n{}",
            look(&["get", "pods", "--output=wide"]),
            shell::last_lines(&look(&["logs", "--selector=application=spilo", "--prefix", "--tail=15"]), 30),
            shell::last_lines(&look(&["get", "events", "--sort-by=.lastTimestamp"]), 12)
        )
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let delete = ["delete", "namespace", &self.name, "--ignore-not-found", "--wait=false"];
        shell::output(self.target.kubectl().args(delete)).ok();
    }
}

fn needs_operator(target: &Target) -> Result<()> {
    let wanted = [
        "get",
        "deployments",
        "--all-namespaces",
        "--field-selector=metadata.name=matriarch",
        "--output=name",
    ];
    if shell::output(target.kubectl().args(wanted))?.trim().is_empty() {
        bail!("no Deployment matriarch in this cluster: run `cargo xtask up --no-demo` first");
    }
    Ok(())
}

/// Load averages of the last 1, 5 and 15 minutes: figures of a busy machine say little.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_start_the_same_version() {
        let checkout = Checkout::find().expect("a checkout");
        let text =
            |side: &Side| std::fs::read_to_string(checkout.root.join(side.manifest)).expect("manifest");
        assert!(text(&OURS).contains("version: \"15\""));
        assert!(text(&BARE).contains("{name: PGVERSION, value: \"15\"}"));
    }

    #[test]
    fn the_figure_is_the_last_of_its_moments() {
        let seconds = |n| Duration::from_secs(n);
        let moments = Moments::from([(Moment::Streaming, seconds(7)), (Moment::Roles, seconds(5))]);
        assert_eq!(OURS.total(&moments), Some(seconds(7)));
        assert_eq!(OURS.total(&Moments::from([(Moment::Streaming, seconds(7))])), None);
    }
}
