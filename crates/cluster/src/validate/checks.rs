//! The checks, one function per subject.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use matriarch_settings::Settings;
use serde_json::Value;

use super::Cluster;
use crate::names;
use crate::quantity::Quantity;
use crate::users;

/// Start of the message about a name that does not fit the team.
pub(super) const TEAM_MISMATCH: &str = "does not start with the team";

/// Runs every check.
pub(super) fn all(cluster: &mut Cluster, _manifest: &Value, settings: &Settings, problems: &mut Vec<Problem>) {
    name(cluster, settings, problems);
    volume(cluster, problems);
    users(cluster, settings, problems);
}

fn name(cluster: &Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    let name = &cluster.identity.name;
    let length = name.len();
    if length > names::LONGEST_CLUSTER_NAME {
        problems.push(Problem::new(
            "metadata.name",
            format!("has {length} characters, of which no pod could be made: Kubernetes adds eleven and allows 63"),
            format!("create the cluster under a name of at most {} characters", names::LONGEST_CLUSTER_NAME),
        ));
    }
    let _ = settings;
}

fn volume(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let size = &cluster.spec.volume.size;
    if let Err(message) = Quantity::parse(size) {
        problems.push(Problem::new("spec.volume.size", message, "write it like 10Gi"));
    }
}

fn users(cluster: &mut Cluster, _settings: &Settings, problems: &mut Vec<Problem>) {
    let mut found = BTreeMap::new();
    for (name, words) in cluster.spec.users.iter().flatten() {
        found.insert(name.clone(), users::flags(name, words.as_deref().unwrap_or_default(), problems));
    }
    cluster.users = found;
}
