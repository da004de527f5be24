//! A node: a network namespace with its own containerd, kubelet and kube-proxy.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::control_plane::config;
use super::part::{Part, program};
use super::status::Board;
use crate::cgroups::{self, Hierarchies};
use crate::checkout::INSIDE;
use crate::cluster::Cluster;
use crate::network::{self, node_address, node_name, pod_range};
use crate::{files, shell};

/// Reference of the image that holds a pod's namespaces.
const PAUSE_IMAGE: &str = "localhost/matriarch/pause:dev";

/// Starts a node; returns when its three parts run.
pub fn start(cluster: &Cluster, number: usize, board: &Board) -> Result<()> {
    let name = node_name(number);
    let hierarchies = Hierarchies::read()?;
    hierarchies.create(&cluster.id, &name)?;
    make_network(number, cluster.nodes)?;
    let dir = format!("{INSIDE}/{name}");
    fs::create_dir_all(format!("/run/{name}"))?;
    write_configuration(cluster, number, &dir, hierarchies.is_pure_v2())?;
    part(&name, "containerd", "containerd".into(), [format!("--config={dir}/containerd.toml")])
        .keep(board)?;
    wait_for_socket(&name)?;
    let kubelet = [
        format!("--config={dir}/kubelet.json"),
        format!("--kubeconfig={}", config(&name)),
        format!("--root-dir={dir}/kubelet"),
        format!("--cert-dir={dir}/kubelet-pki"),
        format!("--hostname-override={name}"),
        format!("--node-ip={}", node_address(number)),
        format!("--node-labels=topology.kubernetes.io/zone=zone{number}"),
    ];
    part(&name, "kubelet", program("kubelet"), kubelet).keep(board)?;
    let proxy = [format!("--config={dir}/kube-proxy.json")];
    part(&name, "kube-proxy", program("kube-proxy"), proxy).keep(board)
}

/// A part inside the node's network namespace. `nsenter` and not `ip netns exec`:
/// the latter mounts /sys anew, and the kubelet then finds no cgroups.
fn part(node: &str, name: &str, program: String, arguments: impl IntoIterator<Item = String>) -> Part {
    let mut words = vec!["nsenter".to_owned(), format!("--net=/run/netns/{node}"), program];
    words.extend(arguments);
    Part { name: format!("{node}-{name}"), words }
}

fn make_network(number: usize, nodes: usize) -> Result<()> {
    let name = node_name(number);
    for line in [
        format!("ip netns add {name}"),
        format!("ip link add {name} type veth peer name eth0 netns {name}"),
        format!("ip link set {name} master {} up", network::BRIDGE),
        format!("ip -n {name} address add {}/24 dev eth0", node_address(number)),
        format!("ip -n {name} link set lo up"),
        format!("ip -n {name} link set eth0 up"),
        format!("nsenter --net=/run/netns/{name} sysctl -q -w net.ipv4.ip_forward=1"),
        format!("ip route replace {} via {}", pod_range(number), node_address(number)),
    ] {
        shell::line(&line)?;
    }
    network::routes(number, nodes).iter().try_for_each(|line| shell::line(line).map(|_| ()))
}

fn wait_for_socket(node: &str) -> Result<()> {
    let socket = socket(node);
    let start = Instant::now();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        if start.elapsed() > Duration::from_secs(60) {
            let log = files::tail(Path::new(&format!("{INSIDE}/logs/{node}-containerd.log")), 10);
            bail!("containerd of {node} did not start within a minute; its last words:\n{log}");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Where a node's containerd listens, inside.
pub fn socket(node: &str) -> String {
    format!("/run/{node}/containerd.sock")
}

fn write_configuration(cluster: &Cluster, number: usize, dir: &str, pure_v2: bool) -> Result<()> {
    let name = node_name(number);
    let write =
        |file: &str, content: String| files::write_atomically(Path::new(&format!("{dir}/{file}")), &content);
    write("resolv.conf", "# Names of the cluster only: there is no way out.\n".to_owned())?;
    write("containerd.toml", containerd(&name, dir))?;
    write("cni/pods.conflist", cni(number, dir).to_string())?;
    write("kubelet.json", kubelet(cluster, number, dir, pure_v2).to_string())?;
    write("kube-proxy.json", kube_proxy(number).to_string())
}

/// Without CAP_SYS_RESOURCE runc cannot lower a score: `restrict_oom_score_adj`.
fn containerd(name: &str, dir: &str) -> String {
    format!(
        r#"version = 2
root = "{dir}/containerd"
state = "/run/{name}/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{dir}/cni"
"#,
        socket = socket(name),
    )
}

/// A routed link per pod instead of a bridge: answers between pods of one node
/// pass the node's address translation too, as Services need.
fn cni(number: usize, dir: &str) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": false, "ipam": {
                "type": "host-local",
                "dataDir": format!("{dir}/addresses"),
                "ranges": [[{"subnet": pod_range(number)}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            }},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn kubelet(cluster: &Cluster, number: usize, dir: &str, pure_v2: bool) -> Value {
    let name = node_name(number);
    json!({
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": node_address(number),
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{INSIDE}/pki/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": format!("unix://{}", socket(&name)),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups::kubelet_root(&cluster.id, &name),
        // Refused by default since it is the old version; the machine has no other.
        "failCgroupV1": pure_v2,
        "failSwapOn": false,
        "clusterDNS": [network::DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": format!("{dir}/resolv.conf"),
        // The disk is shared with everything else of this machine.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%",
            "nodefs.inodesFree": "1%", "imagefs.available": "1%"},
        // There is no registry to pull from again.
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "87600h",
        "maxPods": 250,
        "serializeImagePulls": false,
        "podLogsDir": format!("{dir}/pods"),
        "volumePluginDir": "/run/volume-plugins",
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": false,
    })
}

fn kube_proxy(number: usize) -> Value {
    json!({
        "kind": "KubeProxyConfiguration",
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": config("proxy")},
        "hostnameOverride": node_name(number),
        "clusterCIDR": network::POD_RANGE,
        "bindAddress": node_address(number),
        "healthzBindAddress": format!("{}:10256", node_address(number)),
        "metricsBindAddress": format!("{}:10249", node_address(number)),
        "oomScoreAdj": 0,
        // Limits of connection tracking belong to the host.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}
