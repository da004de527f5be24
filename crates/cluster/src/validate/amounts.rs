//! Sizes, numbers and resources.

use matriarch_api::{Problem, Resources};

use super::Cluster;
use crate::quantity::Quantity;

pub(super) fn size(cluster: &mut Cluster, problems: &mut Vec<Problem>) {
    let size = &cluster.spec.volume.size;
    let wrong = match Quantity::parse(size) {
        Err(message) => Some(message),
        Ok(size) if size.is_zero() || size.is_negative() => Some("is not more than 0".to_owned()),
        Ok(_) => None,
    };
    // A missing volume is reported as such.
    if let Some(message) = wrong.filter(|_| !super::has(problems, "spec.volume")) {
        problems.push(Problem::new("spec.volume.size", message, size_cure(size)));
    }
    if cluster.is_standby() && cluster.spec.number_of_instances > 1 {
        cluster.notices.push(Problem::new(
            "spec.numberOfInstances",
            "is more than 1 for a standby cluster: the further pods only copy the first",
            "use 1 as long as the cluster follows another one",
        ));
    }
}

/// The likely meaning, if there is one.
fn size_cure(size: &str) -> String {
    match size.strip_suffix('K') {
        Some(number) => format!("write {number}Ki (or {number}k); a database needs at least 1Gi"),
        None => "write an amount such as 10Gi".to_owned(),
    }
}

pub(super) fn resources(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let spec = &cluster.spec;
    of_container("spec.resources", spec.resources.as_ref(), problems);
    for (index, sidecar) in spec.sidecars.iter().flatten().enumerate() {
        of_container(&format!("spec.sidecars[{index}].resources"), sidecar.resources.as_ref(), problems);
    }
    let pooler = spec.connection_pooler.as_ref().and_then(|pooler| pooler.resources.as_ref());
    of_container("spec.connectionPooler.resources", pooler, problems);
    for (index, stream) in spec.streams.iter().flatten().enumerate() {
        amount(&format!("spec.streams[{index}].cpu"), stream.cpu.as_deref(), true, problems);
        amount(&format!("spec.streams[{index}].memory"), stream.memory.as_deref(), false, problems);
    }
}

fn of_container(field: &str, resources: Option<&Resources>, problems: &mut Vec<Problem>) {
    let Some(resources) = resources else { return };
    for (part, values) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        let Some(values) = values else { continue };
        for (name, value) in [
            ("cpu", &values.cpu),
            ("memory", &values.memory),
            ("hugepages-2Mi", &values.hugepages_2mi),
            ("hugepages-1Gi", &values.hugepages_1gi),
        ] {
            amount(&format!("{field}.{part}.{name}"), value.as_deref(), name == "cpu", problems);
        }
    }
}

/// Nothing, `0` and `null` mean that there is no amount.
fn amount(field: &str, text: Option<&str>, is_cpu: bool, problems: &mut Vec<Problem>) {
    let Some(text) = text.filter(|text| !matches!(*text, "" | "0" | "null")) else { return };
    let wrong = match Quantity::parse(text) {
        Err(message) => Some(message),
        Ok(quantity) if quantity.is_negative() => Some("is negative".to_owned()),
        Ok(_) => None,
    };
    if let Some(message) = wrong {
        let cure = if is_cpu { "write 100m or 1.5" } else { "write 500Mi or 2Gi" };
        problems.push(Problem::new(field, message, cure));
    }
}
