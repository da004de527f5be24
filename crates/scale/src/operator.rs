//! The operator as a process of ours: started, watched, stopped and killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Ticks of the kernel's accounting in a second: the same on every Linux.
const TICKS: f64 = 100.0;
/// An operator that takes longer to answer hangs, and that is for the benchmark to say.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);
/// How long an orderly end may take.
const ORDERLY: Duration = Duration::from_secs(15);

/// What an operator is started with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The program `matriarch`.
    pub program: PathBuf,
    /// Its way to the API server.
    pub kubeconfig: PathBuf,
    /// Where its HTTP interface listens.
    pub port: u16,
    /// Namespace of its own, with the ConfigMap `matriarch`.
    pub namespace: String,
    /// Namespaces that it watches.
    pub watched: String,
    /// Name of its Lease; `none` for an operator without one.
    pub lease: &'static str,
    /// Its `CONTROLLER_ID`; empty: none.
    pub controller_id: String,
    /// Whether there are databases to talk to.
    pub databases: bool,
    /// Where its log goes: each start goes on in the same file.
    pub log: PathBuf,
}

impl Start {
    /// Starts it.
    ///
    /// # Errors
    /// When the program or the log cannot be opened.
    pub fn start(&self) -> Result<Operator> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(["operator", "--outofcluster", "--noteamsapi"])
            .arg(format!("--nodatabaseaccess={}", !self.databases))
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .arg(format!("--http-port={}", self.port))
            .env("CONFIG_MAP_NAME", format!("{}/matriarch", self.namespace))
            .env("OPERATOR_NAMESPACE", &self.namespace)
            .env("LEASE_NAME", self.lease)
            .env("CONTROLLER_ID", &self.controller_id)
            .env("WATCHED_NAMESPACE", &self.watched)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot run {}", self.program.display()))?;
        let process = child.id().context("the operator ended at once")?.cast_signed();
        Ok(Operator { child, process, port: self.port, started: Instant::now(), log: self.log.clone() })
    }
}

/// A running operator; killed when it is dropped.
pub struct Operator {
    child: Child,
    process: i32,
    port: u16,
    /// When it was started.
    pub started: Instant,
    log: PathBuf,
}

/// What it has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of CPU time, user and system.
    pub cpu_seconds: f64,
    /// Highest resident memory so far, in MiB.
    pub peak_mib: f64,
    /// Resident memory now, in MiB.
    pub resident_mib: f64,
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} MiB, {:.1} at most so far", self.resident_mib, self.peak_mib)
    }
}

impl Operator {
    /// What it has used so far.
    ///
    /// # Errors
    /// When it has ended; with its last words.
    pub fn usage(&self) -> Result<Usage> {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.process));
        let (Ok(stat), Ok(status)) = (read("stat"), read("status")) else {
            bail!("the operator has ended; its last words:\n{}", self.last_words());
        };
        let mib = |field: &str| kib(&status, field) / 1024.0;
        Ok(Usage { cpu_seconds: ticks(&stat) / TICKS, peak_mib: mib("VmHWM:"), resident_mib: mib("VmRSS:") })
    }

    /// Its metrics by name and labels, once it answers.
    pub async fn metrics(&self) -> Option<BTreeMap<String, f64>> {
        Some(parse(&self.ask("metrics").await.ok()?.text().await.ok()?))
    }

    async fn ask(&self, path: &str) -> reqwest::Result<reqwest::Response> {
        let url = format!("http://127.0.0.1:{}/{path}", self.port);
        reqwest::Client::new().get(url).timeout(LONGEST_ANSWER).send().await
    }

    /// Its process.
    pub fn process(&self) -> i32 {
        self.process
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        self.ask("readyz").await.is_ok_and(|answer| answer.status().is_success())
    }

    /// Waits for the end of one that was killed.
    pub async fn killed(mut self) {
        self.child.wait().await.ok();
    }

    /// Ends it as a Deployment would.
    pub async fn stop(mut self) {
        kill(Pid::from_raw(self.process), Signal::SIGTERM).ok();
        if tokio::time::timeout(ORDERLY, self.child.wait()).await.is_err() {
            self.child.kill().await.ok();
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        last_lines(&self.log, 15)
    }
}

fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn kib(status: &str, field: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// User and system time of a `/proc/PID/stat`: the 14th and 15th fields.
fn ticks(stat: &str) -> f64 {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    field(11) + field(12)
}

/// Name with labels → value.
fn parse(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

/// How many clusters have been compared with the world since the operator started, and found in
/// order. An operator without a gauge for it counts those it calls ready.
pub fn verified(metrics: &BTreeMap<String, f64>) -> usize {
    if let Some(count) = metrics.get("matriarch_clusters_verified") {
        return format!("{count:.0}").parse().unwrap_or(0);
    }
    ready(metrics)
}

/// How many clusters the operator calls ready.
pub fn ready(metrics: &BTreeMap<String, f64>) -> usize {
    let ready =
        |(name, value): &(&String, &f64)| name.starts_with("matriarch_cluster_ready{") && **value > 0.5;
    metrics.iter().filter(ready).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_accounts_are_read() {
        let stat = "42 (a (strange) name) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 1 2 3";
        assert!((ticks(stat) - 200.0).abs() < 1e-9);
        assert!((kib("Name:\tx\nVmHWM:\t  2048 kB\n", "VmHWM:") - 2048.0).abs() < 1e-9);
    }

    #[test]
    fn verified_is_the_gauge_or_what_is_ready() {
        let text = "# TYPE x gauge\nmatriarch_cluster_ready{namespace=\"n\",cluster=\"a\"} 1\n\
                    matriarch_cluster_ready{namespace=\"n\",cluster=\"b\"} 0\n";
        assert_eq!(verified(&parse(text)), 1);
        let text = format!("{text}matriarch_clusters_verified 2\n");
        assert_eq!((verified(&parse(&text)), ready(&parse(&text))), (2, 1));
    }
}
