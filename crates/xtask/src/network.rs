//! Addresses of the local cluster. They are constants: the cluster lives in a
//! network namespace of its own, so two clusters with the same addresses never meet.

/// Bridge between the control plane and the nodes.
pub const BRIDGE: &str = "nodes";
/// Address of the control plane on the bridge.
pub const BRIDGE_ADDRESS: &str = "10.89.0.1";
/// Where the API server listens.
pub const API_PORT: u16 = 6443;
/// Virtual addresses of Services.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The Service `kubernetes`.
pub const FIRST_SERVICE_ADDRESS: &str = "10.96.0.1";
/// The Service `kube-dns`.
pub const DNS_ADDRESS: &str = "10.96.0.10";
/// Addresses of all pods.
pub const POD_RANGE: &str = "10.244.0.0/16";
/// More nodes than this do not fit into the address plan.
pub const MOST_NODES: usize = 9;

/// Name of a node, counted from 1.
pub fn node_name(node: usize) -> String {
    format!("node{node}")
}

/// Address of a node on the bridge.
pub fn node_address(node: usize) -> String {
    format!("10.89.0.{}", 10 + node)
}

/// Addresses of the pods of one node.
pub fn pod_range(node: usize) -> String {
    format!("10.244.{node}.0/24")
}

/// Commands that set the routes of a node's network namespace. The kernel drops
/// them when the link goes down, so they are needed again when it comes back.
pub fn routes(node: usize, nodes: usize) -> Vec<String> {
    let name = node_name(node);
    let mut lines = vec![format!("ip -n {name} route replace default via {BRIDGE_ADDRESS}")];
    for other in (1..=nodes).filter(|other| *other != node) {
        lines.push(format!("ip -n {name} route replace {} via {}", pod_range(other), node_address(other)));
    }
    lines
}
