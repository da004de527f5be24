//! The inside of a world without kubelets: a control plane, and what stands there before an
//! operator comes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::control_plane::{self, Flags, kubectl};
use super::part::Part;
use super::status::Board;
use crate::checkout::INSIDE;
use crate::{network, shell};

/// All addresses of pods; the machine takes them for its own.
const PODS: &str = "10.250.0.0/16";

/// A world as it was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct World {
    /// Whether kwok looks after nodes and pods; otherwise the stand-in does.
    pub kwok: bool,
}

impl World {
    /// As written in the state directory; nothing where that belongs to a local cluster.
    pub fn read(state: &Path) -> Result<Option<Self>> {
        let Ok(text) = fs::read_to_string(state.join("world.json")) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).context("world.json is damaged")
    }
}

/// Everything up to the moment when an operator can be started.
pub fn bring_up(world: &World, board: &Board) -> Result<()> {
    board.stage("network");
    shell::line("ip link set lo up")?;
    shell::line(&format!("ip address add {}/32 dev lo", network::BRIDGE_ADDRESS))?;
    shell::line(&format!("ip route add local {PODS} dev lo"))?;
    // Host-path volumes lie there: below memory, which goes with the world.
    fs::create_dir_all("/run/volumes")?;
    fs::create_dir_all("/tmp/hostpath_pv")?;
    mount_over("/run/volumes", "/tmp/hostpath_pv")?;
    board.stage("control plane");
    control_plane::start(board, flags(world))?;
    board.stage("definitions and rights");
    for dir in ["crds", "operator"] {
        let dir = format!("{INSIDE}/deploy/{dir}");
        shell::output(kubectl().args(["apply", "--server-side", "--filename", &dir]))?;
    }
    shell::with_input(kubectl().args(["apply", "--server-side", "--filename", "-"]), STORAGE_CLASS)?;
    if world.kwok {
        board.stage("kwok");
        kwok()?.keep(board)?;
    }
    Ok(())
}

fn mount_over(source: &str, target: &str) -> Result<()> {
    use nix::mount::{MsFlags, mount};
    let nothing = None::<&str>;
    mount(Some(source), target, nothing, MsFlags::MS_BIND, nothing)
        .with_context(|| format!("cannot mount {source} on {target}"))
}

/// The controllers write as fast as a thousand clusters need; of requests only the operator's are
/// recorded. Nodes that no kubelet reports about stay ready unless kwok reports.
fn flags(world: &World) -> Flags {
    let flag = str::to_owned;
    let mut controllers = [
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-statefulset-syncs=20",
        "--enable-hostpath-provisioner",
        "--pvclaimbinder-sync-period=5s",
    ]
    .map(flag)
    .to_vec();
    if !world.kwok {
        controllers.push(flag("--controllers=*,-node-lifecycle-controller"));
    }
    Flags {
        api_server: vec![
            format!("--audit-policy-file={INSIDE}/world-audit-policy.json"),
            format!("--audit-log-path={INSIDE}/audit.log"),
            // One file, or counts would miss what was rotated away.
            flag("--audit-log-maxsize=100000"),
            flag("--audit-log-maxbackup=0"),
            format!("--watch-cache-sizes={}", "pods#5000"),
        ],
        controllers,
        scheduler: ["--kube-api-qps=500", "--kube-api-burst=1000"].map(flag).to_vec(),
    }
}

const STORAGE_CLASS: &str = r#"{
  "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
  "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
  "provisioner": "kubernetes.io/host-path", "reclaimPolicy": "Delete", "allowVolumeExpansion": true
}"#;

fn kwok() -> Result<Part> {
    let program = format!("{INSIDE}/parts/kwok");
    let stages = shell::output(&mut shell::command(&program, ["stages"]))?;
    let path = format!("{INSIDE}/stages.yaml");
    fs::write(&path, stages)?;
    let arguments = [
        format!("--kubeconfig={}", control_plane::config("admin")),
        format!("--config={path}"),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
        format!("--cidr={PODS}"),
        format!("--node-ip={}", network::BRIDGE_ADDRESS),
        "--node-lease-duration-seconds=40".to_owned(),
    ];
    Ok(Part { name: "kwok".to_owned(), words: std::iter::once(program).chain(arguments).collect() })
}
