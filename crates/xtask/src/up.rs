//! `cargo xtask up`: from a bare machine to a queried database.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::cluster::{Cluster, free_port};
use crate::images::{self, ImageArchive};
use crate::progress::{Progress, Stage};
use crate::supervisor::status;
use crate::target::Target;
use crate::{
    certificates, demo, deploy, down, files, go_build, import, kubeconfig, network, packages, register,
};
use crate::{shell, supervisor, sweep};

/// How long the supervisor and the nodes may take.
const READY_WITHIN: Duration = Duration::from_secs(240);

/// Options of `up`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Arguments {
    /// Nodes of the local cluster, 1 to 9; 3 when it is made now.
    #[arg(long)]
    pub nodes: Option<usize>,
    /// Use this context of your kubeconfig instead of a local cluster. Its nodes
    /// must have the images, or reach a registry that has them.
    #[arg(long, conflicts_with = "nodes")]
    pub context: Option<String>,
    /// Stop when the operator runs, without the cluster acid-demo.
    #[arg(long)]
    pub no_demo: bool,
    /// Stop when the nodes are ready, without images and operator.
    #[arg(long, conflicts_with = "context")]
    pub bare: bool,
}

/// Brings up whatever is not up yet.
pub fn up(arguments: &Arguments) -> Result<()> {
    let checkout = Checkout::find()?;
    let progress = Progress::new();
    let (target, images) = match &arguments.context {
        Some(context) => (Target::context(&checkout, context)?, Vec::new()),
        None => (Target::local(&checkout), local(&checkout, arguments, &progress)?),
    };
    let deployed = !arguments.bare
        && progress.stage("operator", |stage| deploy::deploy(&checkout, &target, &images, stage))?;
    if deployed && !arguments.no_demo {
        progress.stage("demo", |stage| demo::show(&checkout, &target, stage))?;
    }
    println!("\n{}", progress.summary());
    println!("{}", next_steps(&checkout, &target, deployed && !arguments.no_demo));
    Ok(())
}

/// The local cluster with its images. The Go build comes first: it is the longest,
/// and the packages wait on the network meanwhile.
fn local(checkout: &Checkout, arguments: &Arguments, progress: &Progress) -> Result<Vec<ImageArchive>> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "the local cluster needs root (namespaces, mounts, cgroups): run this as root, \
             or use a Kubernetes that you have: cargo xtask up --context NAME"
        );
    }
    let _alone = alone(checkout)?;
    sweep::orphans()?;
    thread::scope(|scope| {
        let parts = scope.spawn(|| {
            progress.stage("kubernetes", |stage| go_build::ensure(checkout, &go_build::KUBERNETES, stage))
        });
        let packages = progress.stage("packages", packages::ensure);
        let build = || progress.stage("images", |stage| images::ensure(&|text| stage.step(text)));
        let images = (packages.is_ok() && !arguments.bare).then(|| scope.spawn(build));
        let parts = joined(parts.join())?;
        packages?;
        let cluster = progress.stage("cluster", |stage| cluster(checkout, arguments.nodes, &parts, stage))?;
        let images = images.map_or(Ok(Vec::new()), |images| joined(images.join()))?;
        progress.stage("import", |stage| import::archives(checkout, &cluster, &images, stage))?;
        Ok(images)
    })
}

/// One command at a time changes a checkout's cluster; the lock ends with the value.
pub fn alone(checkout: &Checkout) -> Result<File> {
    std::fs::create_dir_all(checkout.state())?;
    let lock = File::create(checkout.state().join("lock"))
        .context("cannot write .local: run this as the user that ran `cargo xtask up`, which is root")?;
    if lock.try_lock().is_err() {
        println!("another `cargo xtask up` or `down` of this checkout is running: waiting for it");
        lock.lock()?;
    }
    Ok(lock)
}

fn joined<T>(result: thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|_| bail!("a stage panicked: its message is above"))
}

/// A running cluster with every node ready.
fn cluster(checkout: &Checkout, nodes: Option<usize>, parts: &Path, stage: &Stage) -> Result<Cluster> {
    let cluster = match running(checkout)? {
        Some(cluster) => {
            stage.say("was started before");
            wait_until_running(checkout, stage)?;
            if nodes.is_some_and(|nodes| nodes != cluster.nodes) {
                bail!("the running cluster has {} nodes: run `cargo xtask down` first", cluster.nodes);
            }
            cluster
        }
        None => start(checkout, nodes, parts, stage)?,
    };
    wait_for_nodes(&Target::local(checkout), cluster.nodes, stage)?;
    Ok(cluster)
}

/// The cluster of this very folder, if its supervisor lives. One that was started
/// from a deleted folder at the same path is ended.
pub fn running(checkout: &Checkout) -> Result<Option<Cluster>> {
    let state = checkout.state();
    match register::owner(&checkout.id)? {
        Some(owner) if owner.inode == register::inode(&state) => {
            let cluster = Cluster::read(&state)?;
            Ok(cluster.filter(|_| checkout.kubeconfig().exists()))
        }
        Some(_) => down::stop(checkout).map(|()| None),
        None => Ok(None),
    }
}

fn start(checkout: &Checkout, nodes: Option<usize>, parts: &Path, stage: &Stage) -> Result<Cluster> {
    let state = checkout.state();
    let before = Cluster::read(&state)?;
    let nodes = nodes.or(before.as_ref().map(|cluster| cluster.nodes)).unwrap_or(3);
    if nodes == 0 || nodes > network::MOST_NODES {
        bail!("--nodes {nodes}: a local cluster has 1 to {} nodes", network::MOST_NODES);
    }
    if let Some(before) =
        before.as_ref().filter(|before| before.nodes != nodes && state.join("etcd").exists())
    {
        bail!("the stopped cluster has {} nodes and data: run `cargo xtask down` first", before.nodes);
    }
    let port = free_port(before.map(|cluster| cluster.port))?;
    let cluster = Cluster { id: checkout.id.clone(), nodes, port };
    go_build::install(parts, &state.join("parts"))?;
    files::link(Path::new("../parts/kubectl"), &checkout.kubectl())?;
    credentials(checkout, &cluster)?;
    files::remove(&status::path(&state))?;
    cluster.write(&state)?;
    supervisor::start(checkout)?;
    wait_until_running(checkout, stage)?;
    Ok(cluster)
}

/// Follows the supervisor, also one that an interrupted `up` has started.
fn wait_until_running(checkout: &Checkout, stage: &Stage) -> Result<()> {
    let since = Instant::now();
    let mut last = String::new();
    loop {
        let status = status::read(&checkout.state()).unwrap_or_default();
        if status.stage != last {
            stage.say(&status.stage);
            last.clone_from(&status.stage);
        }
        let why = match status.error {
            Some(error) => Some(error),
            None if status.stage == "running" => return Ok(()),
            // It needs a moment to sign the register.
            None if since.elapsed() < Duration::from_secs(3) => None,
            None if register::owner(&checkout.id)?.is_none() => Some("its supervisor ended".to_owned()),
            None if since.elapsed() > READY_WITHIN => Some(format!("not done after {READY_WITHIN:?}")),
            None => None,
        };
        if let Some(why) = why {
            let log = checkout.logs().join("supervisor.log");
            bail!(
                "the cluster did not start: {why}\nThe last lines of {}:\n{}\n\
                 Run `cargo xtask down` and then `cargo xtask up`.",
                log.display(),
                files::tail(&log, 15)
            );
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn credentials(checkout: &Checkout, cluster: &Cluster) -> Result<()> {
    let pki = checkout.state().join("pki");
    let clients = certificates::clients(cluster.nodes);
    certificates::ensure(&pki, &clients)?;
    for client in clients {
        // The nodes are in namespaces of their own and come over the bridge.
        let host = match client.group {
            "system:nodes" | "system:node-proxier" => network::BRIDGE_ADDRESS,
            _ => "127.0.0.1",
        };
        let server = format!("https://{host}:{}", network::API_PORT);
        let path = pki.join(format!("{}.kubeconfig", client.name));
        kubeconfig::write(&path, &pki, &client.name, &server, "inside")?;
    }
    let server = format!("https://127.0.0.1:{}", cluster.port);
    kubeconfig::write(&checkout.kubeconfig(), &pki, "admin", &server, "matriarch-local")
}

fn wait_for_nodes(target: &Target, nodes: usize, stage: &Stage) -> Result<()> {
    let start = Instant::now();
    loop {
        let ready = ready_nodes(target).unwrap_or(0);
        if ready >= nodes {
            stage.say(&format!("{ready} of {nodes} nodes ready"));
            return Ok(());
        }
        if start.elapsed() > READY_WITHIN {
            bail!(
                "{ready} of {nodes} nodes are ready after {READY_WITHIN:?}: see .local/logs/node*-kubelet.log"
            );
        }
        stage.step(&format!("{ready} of {nodes} nodes ready"));
        thread::sleep(Duration::from_millis(300));
    }
}

fn ready_nodes(target: &Target) -> Result<usize> {
    let nodes: Value =
        serde_json::from_str(&shell::output(target.kubectl().args(["get", "nodes", "--output=json"]))?)?;
    let nodes = nodes["items"].as_array().cloned().unwrap_or_default();
    let is_ready = |node: &Value| {
        node["status"]["conditions"].as_array().is_some_and(|conditions| {
            conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        })
    };
    Ok(nodes.iter().filter(|node| is_ready(node)).count())
}

fn next_steps(checkout: &Checkout, target: &Target, demo: bool) -> String {
    let mut lines = vec!["What to type next:".to_owned()];
    if target.is_local() {
        lines.push("  eval \"$(cargo xtask env)\"        # kubectl and its configuration".to_owned());
    }
    if demo {
        lines.push("  kubectl get postgresql --all-namespaces".to_owned());
        lines.push(format!("  {}", demo::query_line()));
    } else {
        lines.push("  kubectl get nodes".to_owned());
    }
    if target.is_local() {
        lines.push("  cargo xtask status               # parts, nodes, port".to_owned());
        lines.push(format!(
            "  cargo xtask down                 # ends it; logs stay in {}",
            checkout.logs().display()
        ));
    }
    lines.join("\n")
}
