//! Containers and volumes that users add to the pods.

use std::collections::{BTreeMap, BTreeSet};

use matriarch_api::Problem;
use matriarch_settings::Settings;
use serde_json::Value;

use super::Cluster;
use super::checks::missing;
use crate::names;

pub(super) fn containers(cluster: &Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    let spec = &cluster.spec;
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    for (index, container) in inits.iter().enumerate() {
        for key in ["name", "image"] {
            let field = format!("spec.initContainers[{index}].{key}");
            if container[key].as_str().unwrap_or_default().is_empty() && !super::has(problems, &field) {
                problems.push(missing(&field));
            }
        }
    }
    let sidecars = spec.sidecars.as_deref().unwrap_or_default();
    for (index, sidecar) in sidecars.iter().enumerate() {
        let field = format!("spec.sidecars[{index}].image");
        if sidecar.image.as_deref().unwrap_or_default().is_empty() && !super::has(problems, &field) {
            problems.push(missing(&field));
        }
    }
    // Sidecars of the settings.
    let of_settings = settings.sidecars.as_ref().and_then(Value::as_array);
    for (index, container) in of_settings.into_iter().flatten().enumerate() {
        for key in ["name", "image"] {
            if container[key].as_str().unwrap_or_default().is_empty() {
                problems.push(missing(&format!("sidecars[{index}].{key}")));
            }
        }
    }
    for (field, used, allowed, option) in [
        ("spec.initContainers", !inits.is_empty(), settings.enable_init_containers, "enable_init_containers"),
        ("spec.sidecars", !sidecars.is_empty(), settings.enable_sidecars, "enable_sidecars"),
    ] {
        if used && !allowed {
            problems.push(Problem::new(
                field,
                format!("is not allowed: the operator's {option} is false"),
                "remove it, or ask for the option to be switched on",
            ));
        }
    }
}

/// Two volumes cannot have one name. What uses a place a second time is left out by the rendering,
/// with a notice; names of Secrets become names of volumes there too.
pub(super) fn volumes(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let mut sources = BTreeMap::from([(names::DATA_VOLUME, &Value::Null)]);
    let mut places = BTreeSet::from([names::DATA_MOUNT]);
    for (index, volume) in cluster.spec.additional_volumes.iter().flatten().enumerate() {
        let field = format!("spec.additionalVolumes[{index}]");
        if super::has(problems, &field) {
            continue;
        }
        if !is_label(&volume.name) {
            problems.push(cannot_be_volume(&format!("{field}.name"), &volume.name));
        }
        if !places.insert(&volume.mount_path) {
            continue;
        }
        let source = sources.entry(&volume.name).or_insert(&volume.volume_source);
        if **source != volume.volume_source {
            problems.push(Problem::new(
                format!("{field}.name"),
                format!("{:?} is already used", volume.name),
                "choose another name",
            ));
        }
    }
}

/// Whether a volume can have this name.
fn is_label(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 63
        && name.bytes().all(inside)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.is_empty()
}

fn cannot_be_volume(field: &str, name: &str) -> Problem {
    Problem::new(
        field,
        format!("{name:?} cannot be the name of a volume"),
        "use at most 63 lower-case letters, digits and dashes, with no dash first or last",
    )
}
