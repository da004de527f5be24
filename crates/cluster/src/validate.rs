//! From a manifest to a [`Cluster`]: all problems at once, each with its field and its cure.

use std::collections::BTreeMap;

use matriarch_api::{PostgresqlSpec, Problem, decode};
use matriarch_settings::Settings;
use matriarch_sql::RoleFlags;
use serde_json::Value;

use crate::intent::Identity;

mod checks;
mod windows;

pub(crate) use checks::is_service_name;

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
        let (cluster, problems) = Self::read(manifest, settings);
        if problems.is_empty() { Ok(cluster) } else { Err(problems) }
    }

    /// The cluster as far as its manifest can be read, and everything that is wrong with it.
    /// Deletion needs no more: names and labels are always there.
    pub fn read(manifest: &Value, settings: &Settings) -> (Self, Vec<Problem>) {
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
        problems.sort();
        problems.dedup();
        (cluster, problems)
    }
}

impl Cluster {
    /// How many pods there should be: the manifest's number within the operator's bounds. When
    /// the bounds contradict each other the lower one wins. A maximum of 0 is a real bound.
    pub fn instances(&self, settings: &Settings) -> u32 {
        let wanted = i64::from(self.spec.number_of_instances);
        let free = self.has_annotation_true(&settings.ignore_instance_limits_annotation_key);
        let lone_standby = self.is_standby() && wanted == 1;
        let mut instances = wanted;
        if !free && !lone_standby {
            if settings.max_instances >= 0 {
                instances = instances.min(settings.max_instances);
            }
            if settings.min_instances >= 0 {
                instances = instances.max(settings.min_instances);
            }
        }
        u32::try_from(instances).unwrap_or_default()
    }

    /// Whether the cluster follows another one: by its section, or by the image's variables.
    pub fn is_standby(&self) -> bool {
        const VARIABLES: [&str; 4] = [
            "STANDBY_WALE_S3_PREFIX",
            "STANDBY_WALE_GS_PREFIX",
            "STANDBY_WALE_GSC_PREFIX",
            "STANDBY_WALE_SWIFT_PREFIX",
        ];
        let follows = |variable: &Value| {
            variable["name"].as_str().is_some_and(|name| VARIABLES.contains(&name))
                && variable["value"].as_str().is_some_and(|value| !value.is_empty())
        };
        self.spec.standby.is_some() || self.spec.env.iter().flatten().any(follows)
    }

    /// Whether a moment, a weekday (0 is Sunday) and a minute since midnight in UTC, lies in a
    /// maintenance window. Without windows, or with windows switched off, every moment does.
    pub fn in_maintenance_window(&self, settings: &Settings, weekday: usize, minute: u32) -> bool {
        let own = self.spec.maintenance_windows.clone().unwrap_or_default();
        let windows: Vec<String> = if own.is_empty() { settings.maintenance_windows.to_vec() } else { own };
        windows.is_empty()
            || !settings.enable_maintenance_windows
            || windows.iter().any(|window| windows::holds(window, weekday, minute))
    }

    /// Major version that pods should run.
    pub fn wanted_version(&self, settings: &Settings) -> String {
        let version = &self.spec.postgresql.version;
        let number = |text: &str| text.parse::<u32>().unwrap_or_default();
        let raise = settings.major_version_upgrade_mode == "full"
            && number(version) < number(&settings.minimal_major_version);
        if raise { settings.target_major_version.clone() } else { version.clone() }
    }

    /// Whether the manifest has annotation `key` with the value `true`. An empty key never counts.
    pub(crate) fn has_annotation_true(&self, key: &str) -> bool {
        !key.is_empty() && self.annotations.get(key).is_some_and(|value| value == "true")
    }

    /// Whether database `name` of `owner` can be made; if not there is a notice.
    pub(crate) fn can_make_database(&self, name: &str, owner: &str) -> bool {
        checks::is_database_name(name) && self.users.contains_key(owner)
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
