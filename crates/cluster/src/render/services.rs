//! The services of the primary and of the replicas.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Context;
use crate::intent::Object;
use crate::names;
use crate::validate::is_service_name;

/// Longest cluster name that gets a second DNS name.
const LONGEST_LEGACY_NAME: usize = 58;

pub(super) fn render(context: &Context<'_>) -> Vec<Object> {
    [names::PRIMARY, names::REPLICA].map(|role| service(context, role)).to_vec()
}

fn service(context: &Context<'_>, role: &str) -> Object {
    let exposure = exposure(context, role);
    let mut spec = exposed(context, exposure, "postgresql");
    if role == names::REPLICA || primary_has_selector(context) {
        spec["selector"] = json!(context.role_selector(role));
    }
    let name = match role {
        names::REPLICA => names::replica_service(context.name()),
        _ => names::primary_service(context.name()),
    };
    let annotations = annotations(context, role, exposure);
    let metadata = context.metadata(&name, context.role_labels(role), annotations);
    context.object("v1", "Service", metadata, json!({"spec": spec}))
}

/// The `spec` of a Service with one port of this name, without selector.
pub(super) fn exposed(context: &Context<'_>, exposure: Exposure, port_name: &str) -> Value {
    let mut port = json!({
        "name": port_name,
        "port": names::POSTGRES_PORT,
        "targetPort": names::POSTGRES_PORT,
    });
    let mut spec = json!({});
    spec["type"] = json!(exposure.type_name());
    if exposure != Exposure::ClusterIp {
        spec["externalTrafficPolicy"] = json!(context.settings.external_traffic_policy);
    }
    match exposure {
        Exposure::NodePort(0) | Exposure::ClusterIp => {}
        Exposure::NodePort(number) => port["nodePort"] = json!(number),
        Exposure::LoadBalancer => spec["loadBalancerSourceRanges"] = source_ranges(context),
    }
    spec["ports"] = json!([port]);
    spec
}

/// Without ConfigMaps, Patroni itself writes the endpoints of the primary.
fn primary_has_selector(context: &Context<'_>) -> bool {
    context.settings.kubernetes_use_configmaps && context.settings.etcd_host.is_empty()
}

/// How a service is reached from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposure {
    ClusterIp,
    /// With a fixed port, or 0.
    NodePort(i32),
    LoadBalancer,
}

impl Exposure {
    /// The node port goes before the load balancer.
    pub(super) fn of(node_port: bool, number: Option<i32>, balancer: bool) -> Self {
        match (node_port, balancer) {
            (true, _) => Self::NodePort(number.unwrap_or_default()),
            (false, true) => Self::LoadBalancer,
            (false, false) => Self::ClusterIp,
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort(_) => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// The manifest decides before the settings, the node port before the load balancer.
fn exposure(context: &Context<'_>, role: &str) -> Exposure {
    let (spec, settings) = (&context.cluster.spec, context.settings);
    let (node_port, number, balancer) = if role == names::REPLICA {
        (
            spec.enable_replica_node_port.unwrap_or(settings.enable_replica_node_port),
            spec.replica_node_port,
            spec.enable_replica_load_balancer.unwrap_or(settings.enable_replica_load_balancer),
        )
    } else {
        (
            spec.enable_master_node_port.unwrap_or(settings.enable_master_node_port),
            spec.master_node_port,
            spec.enable_master_load_balancer.unwrap_or(settings.enable_master_load_balancer),
        )
    };
    Exposure::of(node_port, number, balancer)
}

/// Without ranges a load balancer is closed.
fn source_ranges(context: &Context<'_>) -> Value {
    match context.cluster.spec.allowed_source_ranges.as_deref() {
        None | Some([]) => json!(["127.0.0.1/32"]),
        Some(ranges) => json!(ranges),
    }
}

fn annotations(context: &Context<'_>, role: &str, exposure: Exposure) -> BTreeMap<String, String> {
    let dns = (exposure == Exposure::LoadBalancer).then(|| dns_names(context, role));
    annotated(context, role, dns)
}

/// Annotations of a Service of this role, with its DNS names.
pub(super) fn annotated(context: &Context<'_>, role: &str, dns: Option<String>) -> BTreeMap<String, String> {
    let spec = &context.cluster.spec;
    let of_role = if role == names::REPLICA {
        &spec.replica_service_annotations
    } else {
        &spec.master_service_annotations
    };
    let mut annotations = context.settings.custom_service_annotations.clone();
    annotations.extend(spec.service_annotations.clone().unwrap_or_default());
    annotations.extend(of_role.clone().unwrap_or_default());
    annotations.extend(dns.map(|dns| (names::DNS_ANNOTATION.to_owned(), dns)));
    context.inherited(annotations)
}

/// The DNS name of a cluster, or of something that is named like one.
pub(super) fn dns_name(context: &Context<'_>, role: &str, cluster: &str) -> String {
    let settings = context.settings;
    let format = if role == names::REPLICA {
        &settings.replica_dns_name_format
    } else {
        &settings.master_dns_name_format
    };
    fill(context, format, cluster).replace("{namespace}", context.namespace()).to_lowercase()
}

fn fill(context: &Context<'_>, format: &str, cluster: &str) -> String {
    format
        .replace("{cluster}", cluster)
        .replace("{team}", &context.cluster.identity.team)
        .replace("{hostedzone}", &context.settings.db_hosted_zone)
}

/// The DNS name, and a second one without the team if the cluster's name starts with it.
fn dns_names(context: &Context<'_>, role: &str) -> String {
    let settings = context.settings;
    let legacy = if role == names::REPLICA {
        &settings.replica_legacy_dns_name_format
    } else {
        &settings.master_legacy_dns_name_format
    };
    let first = dns_name(context, role, context.name());
    match without_team(context.name(), &context.cluster.identity.team) {
        Some(rest) => format!("{first},{}", fill(context, legacy, rest).to_lowercase()),
        None => first,
    }
}

/// What follows the team and a dash in a cluster's name.
fn without_team<'a>(name: &'a str, team: &str) -> Option<&'a str> {
    if team.is_empty() || name.len() > LONGEST_LEGACY_NAME || !is_service_name(name) {
        return None;
    }
    let (prefix, rest) = name.split_at_checked(team.len())?;
    let rest = rest.strip_prefix('-').filter(|rest| !rest.is_empty())?;
    prefix.eq_ignore_ascii_case(team).then_some(rest)
}
