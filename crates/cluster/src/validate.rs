//! From a manifest to a [`Cluster`]: all problems at once, each with its field and its cure.

use std::collections::BTreeMap;

use matriarch_api::{PostgresqlSpec, Problem, decode};
use matriarch_settings::Settings;
use matriarch_sql::RoleFlags;
use serde_json::Value;

use crate::intent::Identity;

mod checks;

/// A manifest that was found to be in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Which cluster it is.
    pub identity: Identity,
    /// `metadata.labels` of the manifest.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations` of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.ownerReferences` of the manifest.
    pub owners: Vec<Value>,
    /// The `spec`.
    pub spec: PostgresqlSpec,
    /// The users of the manifest that become roles.
    pub users: BTreeMap<String, RoleFlags>,
    /// What the owner should know although it stops nothing.
    pub notices: Vec<Problem>,
}

impl Cluster {
    /// Checks `manifest`, a whole `postgresql` object. The error holds everything that is wrong.
    pub fn validate(manifest: &Value, settings: &Settings) -> Result<Self, Vec<Problem>> {
        let decoded = decode(manifest);
        let mut cluster = Self {
            identity: identity(manifest, &decoded.spec),
            labels: texts(&manifest["metadata"]["labels"]),
            annotations: texts(&manifest["metadata"]["annotations"]),
            owners: manifest["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default(),
            spec: decoded.spec,
            users: BTreeMap::new(),
            notices: Vec::new(),
        };
        let mut problems = decoded.problems;
        checks::all(&mut cluster, manifest, settings, &mut problems);
        if problems.is_empty() {
            return Ok(cluster);
        }
        problems.sort();
        problems.dedup();
        Err(problems)
    }
}

fn identity(manifest: &Value, spec: &PostgresqlSpec) -> Identity {
    let metadata = &manifest["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
    let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty());
    Identity {
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        name: text("name"),
        uid: text("uid"),
        generation: metadata["generation"].as_i64().unwrap_or_default(),
        team: spec.team_id.clone(),
    }
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// The contract's status word for a manifest with problems.
///
/// `Invalid` is reserved for a name that does not fit the team, with
/// `enable_team_id_clustername_prefix`; every other problem makes the creation fail, or the
/// update of a cluster that already has its StatefulSet (`created`).
pub fn status_word_for_problems(problems: &[Problem], created: bool) -> &'static str {
    if problems.iter().any(|problem| problem.message.starts_with(checks::TEAM_MISMATCH)) {
        return "Invalid";
    }
    if created { "UpdateFailed" } else { "CreateFailed" }
}
