//! etcd, the API server, the controllers and the scheduler.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::part::{Part, program};
use super::status::Board;
use crate::checkout::INSIDE;
use crate::{files, network, shell};

/// How long the API server may take to its first ready answer.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Flags beyond those of every cluster; the last of two with the same name counts.
#[derive(Debug, Default)]
pub struct Flags {
    /// Of the API server.
    pub api_server: Vec<String>,
    /// Of the controller manager.
    pub controllers: Vec<String>,
    /// Of the scheduler.
    pub scheduler: Vec<String>,
}

/// Starts all four; returns when the API server is ready.
pub fn start(board: &Board, flags: Flags) -> Result<()> {
    etcd().keep(board)?;
    files::write_atomically(Path::new(&format!("{INSIDE}/audit-policy.json")), &audit_policy())?;
    api_server().with(flags.api_server).keep(board)?;
    wait_until_ready()?;
    controllers().with(flags.controllers).keep(board)?;
    scheduler().with(flags.scheduler).keep(board)
}

/// Kubectl as the administrator, inside.
pub fn kubectl() -> Command {
    let mut command = Command::new(program("kubectl"));
    command.arg("--kubeconfig").arg(config("admin"));
    command.env("HOME", "/run");
    command
}

/// Kubeconfig of a client, inside.
pub fn config(client: &str) -> String {
    format!("{INSIDE}/pki/{client}.kubeconfig")
}

fn pki(name: &str) -> String {
    format!("{INSIDE}/pki/{name}")
}

fn wait_until_ready() -> Result<()> {
    let start = Instant::now();
    while shell::output(kubectl().args(["get", "--raw", "/readyz"])).is_err() {
        if start.elapsed() > READY_WITHIN {
            let log = files::tail(Path::new(&format!("{INSIDE}/logs/kube-apiserver.log")), 10);
            bail!("the API server was not ready within {READY_WITHIN:?}; its last words:\n{log}");
        }
        thread::sleep(Duration::from_millis(250));
    }
    Ok(())
}

/// No fsync: the data of a local cluster may be lost with the machine.
fn etcd() -> Part {
    Part::new(
        "etcd",
        [
            format!("--data-dir={INSIDE}/etcd"),
            "--unsafe-no-fsync".into(),
            "--listen-client-urls=http://127.0.0.1:2379".into(),
            "--advertise-client-urls=http://127.0.0.1:2379".into(),
            "--listen-peer-urls=http://127.0.0.1:2380".into(),
            "--initial-advertise-peer-urls=http://127.0.0.1:2380".into(),
            "--initial-cluster=default=http://127.0.0.1:2380".into(),
            "--log-level=warn".into(),
            "--quota-backend-bytes=8589934592".into(),
        ],
    )
}

fn api_server() -> Part {
    Part::new(
        "kube-apiserver",
        [
            "--etcd-servers=http://127.0.0.1:2379".into(),
            "--bind-address=0.0.0.0".into(),
            format!("--secure-port={}", network::API_PORT),
            format!("--advertise-address={}", network::BRIDGE_ADDRESS),
            format!("--tls-cert-file={}", pki("server.crt")),
            format!("--tls-private-key-file={}", pki("server.key")),
            format!("--client-ca-file={}", pki("ca.crt")),
            format!("--kubelet-client-certificate={}", pki("kubelet-client.crt")),
            format!("--kubelet-client-key={}", pki("kubelet-client.key")),
            // Names of nodes resolve nowhere.
            "--kubelet-preferred-address-types=InternalIP".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-signing-key-file={}", pki("service-accounts.key")),
            format!("--service-account-key-file={}", pki("service-accounts.pub")),
            format!("--service-cluster-ip-range={}", network::SERVICE_RANGE),
            "--authorization-mode=Node,RBAC".into(),
            "--allow-privileged=true".into(),
            format!("--audit-policy-file={INSIDE}/audit-policy.json"),
            format!("--audit-log-path={INSIDE}/audit.log"),
            "--audit-log-maxsize=200".into(),
            "--audit-log-maxbackup=3".into(),
        ],
    )
}

/// What pods write, and no more than who, what and when: tests count an operator's writes.
fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "namespaces": ["kube-system"]},
            {
                "level": "Metadata",
                "userGroups": ["system:serviceaccounts"],
                "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            },
            {"level": "None"},
        ],
    })
    .to_string()
}

fn controllers() -> Part {
    Part::new(
        "kube-controller-manager",
        [
            format!("--kubeconfig={}", config("controller-manager")),
            "--bind-address=127.0.0.1".into(),
            format!("--cert-dir={INSIDE}/pki/controller-manager"),
            "--use-service-account-credentials=true".into(),
            format!("--service-account-private-key-file={}", pki("service-accounts.key")),
            format!("--root-ca-file={}", pki("ca.crt")),
            format!("--cluster-signing-cert-file={}", pki("ca.crt")),
            format!("--cluster-signing-key-file={}", pki("ca.key")),
            "--leader-elect=false".into(),
            // A lost node is noticed while a test waits for it.
            "--node-monitor-grace-period=20s".into(),
            "--flex-volume-plugin-dir=/run/volume-plugins".into(),
        ],
    )
}

fn scheduler() -> Part {
    Part::new(
        "kube-scheduler",
        [
            format!("--kubeconfig={}", config("scheduler")),
            "--bind-address=127.0.0.1".into(),
            format!("--cert-dir={INSIDE}/pki/scheduler"),
            "--leader-elect=false".into(),
        ],
    )
}
