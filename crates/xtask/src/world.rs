//! A world without kubelets and databases, for the benchmark of many clusters and for tests that
//! kill the operator again and again: a real control plane in namespaces of its own, beside the
//! local cluster and those of other checkouts. It ends with the process that started it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::certificates::Client;
use crate::checkout::Checkout;
use crate::progress::{Progress, Stage};
use crate::supervisor::{status, world};
use crate::{certificates, files, go_build, kubeconfig, network};

/// How long the control plane may take.
const READY_WITHIN: Duration = Duration::from_secs(180);
/// User of the operator in a world: the one that the RBAC of `deploy/operator` names.
const OPERATOR: &str = "system:serviceaccount:matriarch-system:matriarch";

/// Options of the hidden `world`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Let kwok look after nodes and pods.
    #[arg(long)]
    kwok: bool,
}

/// Prints the id of a process whose namespaces it is, and the state directory; stays until
/// standard input ends.
pub fn world(arguments: &Arguments) -> Result<()> {
    let checkout = Checkout::find()?;
    let world = Progress::new().stage("world", |stage| World::start(&checkout, arguments.kwok, stage))?;
    println!("world-ready {} {}", world.process(), world.state.display());
    let mut nothing = [0; 1];
    std::io::stdin().read(&mut nothing).context("cannot wait for the end of standard input")?;
    Ok(())
}

/// A running world; it ends when this is dropped.
pub struct World {
    namespaces: Child,
    state: PathBuf,
    /// Whoever holds it lives.
    _lock: File,
}

impl World {
    /// Builds what is missing, and starts.
    ///
    /// # Errors
    /// Without root, or when a part does not start; with its last words.
    pub fn start(checkout: &Checkout, kwok: bool, stage: &Stage) -> Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            bail!("a control plane in namespaces of its own needs root: run this as root");
        }
        let parts = go_build::ensure(checkout, &go_build::KUBERNETES, stage)?;
        let (state, lock) = state(checkout)?;
        go_build::install(&parts, &state.join("parts"))?;
        if kwok {
            let program = go_build::ensure(checkout, &go_build::KWOK, stage)?;
            fs::copy(program, state.join("parts/kwok")).context("cannot copy kwok")?;
        }
        fs::create_dir_all(state.join("logs"))?;
        files::write_atomically(&state.join("world.json"), &serde_json::to_string(&world::World { kwok })?)?;
        files::write_atomically(&state.join("world-audit-policy.json"), &audit_policy())?;
        credentials(&state)?;
        manifests(checkout, &state.join("deploy"))?;
        let program = state.join("parts/supervisor");
        files::copy_this_program(&program)?;
        let log = File::create(state.join("logs/supervisor.log"))?;
        let namespaces = Command::new("unshare")
            .args(["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"])
            .arg(&program)
            .arg("init")
            .arg(&state)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run unshare: this needs root and the package util-linux")?;
        let mut world = Self { namespaces, state, _lock: lock };
        world.wait(stage)?;
        Ok(world)
    }

    fn wait(&mut self, stage: &Stage) -> Result<()> {
        let start = Instant::now();
        let mut last = String::new();
        loop {
            let status = status::read(&self.state).unwrap_or_default();
            if status.stage != last {
                stage.say(&status.stage);
                last.clone_from(&status.stage);
            }
            let ended =
                self.namespaces.try_wait()?.map(|status| format!("its supervisor ended with {status}"));
            let late = (start.elapsed() > READY_WITHIN).then(|| format!("not done after {READY_WITHIN:?}"));
            if let Some(why) = status.error.or(ended).or(late) {
                let words = files::tail(&self.state.join("logs/supervisor.log"), 15);
                bail!("the control plane did not start: {why}\n{words}");
            }
            if status.stage == "running" {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A process that is in all of its namespaces but that of its children's ids.
    pub fn process(&self) -> u32 {
        self.namespaces.id()
    }

    /// A command that enters, program to follow.
    pub fn enter(&self) -> Command {
        let process = self.process();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{process}/ns/net"));
        command.arg(format!("--mount=/proc/{process}/ns/mnt"));
        command.arg(format!("--pid=/proc/{process}/ns/pid_for_children"));
        command
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Process 1 inside leaves when its standard input ends; the kernel takes the rest.
        drop(self.namespaces.stdin.take());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.namespaces.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.namespaces.kill().ok();
        self.namespaces.wait().ok();
        if std::env::var_os("MATRIARCH_KEEP_WORLD").is_none() {
            files::remove(&self.state).ok();
        }
    }
}

/// A state directory of this process's own; those of worlds that ended are swept.
fn state(checkout: &Checkout) -> Result<(PathBuf, File)> {
    let worlds = checkout.state().join("worlds");
    fs::create_dir_all(&worlds).with_context(|| format!("cannot create {}", worlds.display()))?;
    for entry in fs::read_dir(&worlds)?.flatten() {
        let dead = File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok());
        if dead {
            files::remove(&entry.path())?;
        }
    }
    let state = worlds.join(std::process::id().to_string());
    files::remove(&state)?;
    fs::create_dir_all(&state)?;
    let lock = File::create(state.join("lock"))?;
    lock.lock()?;
    Ok((state, lock))
}

fn credentials(state: &Path) -> Result<()> {
    let pki = state.join("pki");
    let mut clients = certificates::clients(0);
    let group = "system:serviceaccounts";
    clients.push(Client { name: "operator".to_owned(), user: OPERATOR.to_owned(), group });
    certificates::ensure(&pki, &clients)?;
    let server = format!("https://127.0.0.1:{}", network::API_PORT);
    for client in &clients {
        let path = pki.join(format!("{}.kubeconfig", client.name));
        kubeconfig::write(&path, &pki, &client.name, &server, "inside")?;
    }
    Ok(())
}

/// Only the operator's requests, and of those only who, what and when.
fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [OPERATOR]}, {"level": "None"}],
    })
    .to_string()
}

/// What an operator finds: the definitions, and of `deploy/operator` all but the operator.
fn manifests(checkout: &Checkout, to: &Path) -> Result<()> {
    let from = checkout.root.join("deploy");
    for name in ["crds/crds.yaml", "operator/namespace.yaml", "operator/rbac.yaml", "operator/pod-rbac.yaml"]
    {
        let text =
            fs::read_to_string(from.join(name)).with_context(|| format!("cannot read deploy/{name}"))?;
        files::write_atomically(&to.join(name), &text)?;
    }
    Ok(())
}
