//! Cluster DNS: one CoreDNS beside the control plane, reached through the Service
//! `kube-dns`. It answers for the cluster's own names only: there is no way out.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::control_plane::{config, kubectl};
use super::part::Part;
use super::status::Board;
use crate::checkout::INSIDE;
use crate::{files, network, shell};

/// Starts CoreDNS and makes its Service and the storage class.
pub fn start(board: &Board) -> Result<()> {
    let path = format!("{INSIDE}/dns/Corefile");
    files::write_atomically(path.as_ref(), &corefile())?;
    Part::new("coredns", ["-conf".to_owned(), path]).keep(board)?;
    apply(&objects())
}

/// Without a cache: a name follows its endpoints at once.
fn corefile() -> String {
    format!(
        ".:53 {{\n    bind {}\n    errors\n    kubernetes cluster.local in-addr.arpa ip6.arpa {{\n        \
         kubeconfig {}\n        pods insecure\n        ttl 5\n    }}\n}}\n",
        network::BRIDGE_ADDRESS,
        config("coredns")
    )
}

/// The namespace kube-system appears a moment after the API server is ready.
fn apply(objects: &Value) -> Result<()> {
    let start = Instant::now();
    loop {
        let done = shell::with_input(kubectl().args(["apply", "--filename", "-"]), &objects.to_string());
        match done {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() > Duration::from_secs(60) => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(500)),
        }
    }
}

fn objects() -> Value {
    let ports = |target: bool| {
        let port = |name: &str, protocol: &str| {
            let mut port = json!({"name": name, "protocol": protocol, "port": 53});
            if target {
                port["targetPort"] = json!(53);
            }
            port
        };
        json!([port("dns", "UDP"), port("dns-tcp", "TCP")])
    };
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"clusterIP": network::DNS_ADDRESS, "ports": ports(true)},
        },
        {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "kube-dns-local", "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [network::BRIDGE_ADDRESS], "conditions": {"ready": true}}],
            "ports": ports(false),
        },
        super::provisioner::storage_class(),
    ]})
}
