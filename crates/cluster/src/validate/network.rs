//! How services are reached.

use matriarch_api::{Problem, rules};
use regex::Regex;

use super::Cluster;

/// Whether `text` is a network of either family, written as in `allowedSourceRanges`.
pub(crate) fn is_network(text: &str) -> bool {
    Regex::new(rules::CIDR_PATTERN).is_ok_and(|pattern| pattern.is_match(text))
}

pub(super) fn source_ranges(cluster: &Cluster, problems: &mut Vec<Problem>) {
    for (index, range) in cluster.spec.allowed_source_ranges.iter().flatten().enumerate() {
        if !is_network(range) {
            problems.push(Problem::new(
                format!("spec.allowedSourceRanges[{index}]"),
                format!("{range:?} is not a network"),
                "write it like 10.0.0.0/8 or fd01::/48; a single address is 10.1.2.3/32",
            ));
        }
    }
}

pub(super) fn node_ports(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let spec = &cluster.spec;
    for (field, port) in [
        ("masterNodePort", spec.master_node_port),
        ("replicaNodePort", spec.replica_node_port),
        ("masterPoolerNodePort", spec.master_pooler_node_port),
        ("replicaPoolerNodePort", spec.replica_pooler_node_port),
    ] {
        if let Some(port) = port.filter(|port| !(0..=65535).contains(port)) {
            problems.push(Problem::new(
                format!("spec.{field}"),
                format!("is {port}, which is not a port"),
                "use a port of the cluster's range, usually 30000 to 32767, or 0 to let Kubernetes choose",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_network;

    #[test]
    fn vectors_01_2_8_networks() {
        for text in [
            "192.168.1.0/24",
            "0.0.0.0/0",
            "127.0.0.1/32",
            "10.0.0.0/8",
            "185.85.220.0/22",
            "fd01::/48",
            "::1/128",
            "::/0",
            "2001:db8::/32",
            "fe80::1/64",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334/128",
        ] {
            assert!(is_network(text), "{text}");
        }
        for text in [
            "999.999.999.999/24",
            "192.168.1.0/33",
            "192.168.1.0",
            "not-an-ip",
            "fd01::/129",
            "::gggg/64",
            "",
            "10.0.0.0/08",
            "١.0.0.0/8",
        ] {
            assert!(!is_network(text), "{text}");
        }
    }
}
