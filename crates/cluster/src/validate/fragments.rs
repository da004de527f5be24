//! Pieces of Kubernetes objects that are passed on as they are: whether the API server will be able
//! to read them. Fields that we do not know are no problem.

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvFromSource, EnvVar, NodeAffinity, Probe, Toleration,
    TopologySpreadConstraint, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use matriarch_api::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Cluster;
use crate::quantity::Quantity;
use crate::render::volume_source;

pub(super) fn check(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let spec = &cluster.spec;
    list::<EnvVar>("spec.env", spec.env.as_deref(), problems);
    list::<EnvFromSource>("spec.envFrom", spec.env_from.as_deref(), problems);
    list::<Toleration>("spec.tolerations", spec.tolerations.as_deref(), problems);
    let constraints = spec.topology_spread_constraints.as_deref();
    list::<TopologySpreadConstraint>("spec.topologySpreadConstraints", constraints, problems);
    list::<Container>("spec.initContainers", spec.init_containers.as_deref(), problems);
    one::<Probe>("spec.livenessProbe", spec.liveness_probe.as_ref(), problems);
    one::<NodeAffinity>("spec.nodeAffinity", spec.node_affinity.as_ref(), problems);
    one::<LabelSelector>("spec.volume.selector", spec.volume.selector.as_ref(), problems);
    for (index, sidecar) in spec.sidecars.iter().flatten().enumerate() {
        let field = format!("spec.sidecars[{index}]");
        list::<EnvVar>(&format!("{field}.env"), sidecar.env.as_deref(), problems);
        list::<ContainerPort>(&format!("{field}.ports"), sidecar.ports.as_deref(), problems);
    }
    for (index, volume) in spec.additional_volumes.iter().flatten().enumerate() {
        let field = format!("spec.additionalVolumes[{index}].volumeSource");
        let source = volume_source(&volume.volume_source);
        one::<Volume>(&field, Some(&source), problems);
        size_limit(&field, &source, problems);
    }
}

fn list<T: DeserializeOwned>(field: &str, items: Option<&[Value]>, problems: &mut Vec<Problem>) {
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        one::<T>(&format!("{field}[{index}]"), Some(item), problems);
    }
}

fn one<T: DeserializeOwned>(field: &str, value: Option<&Value>, problems: &mut Vec<Problem>) {
    let Some(value) = value.filter(|_| !super::has(problems, field)) else { return };
    if let Err(error) = serde_path_to_error::deserialize::<_, T>(value.clone()) {
        let path = error.path().to_string();
        let place = if path == "." { field.to_owned() } else { format!("{field}.{path}") };
        problems.push(Problem::new(
            place,
            format!("cannot be read: {}", error.inner()),
            "write it as in a pod's definition",
        ));
    }
}

/// The one amount that stands directly in a volume.
fn size_limit(field: &str, source: &Value, problems: &mut Vec<Problem>) {
    let Some(text) = source["emptyDir"]["sizeLimit"].as_str() else { return };
    if let Err(message) = Quantity::parse(text) {
        problems.push(Problem::new(format!("{field}.emptyDir.sizeLimit"), message, "write 500Mi or 2Gi"));
    }
}
