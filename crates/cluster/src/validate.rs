//! From a manifest to a [`Cluster`]: all problems at once, each with its field and its cure.

use std::collections::{BTreeMap, BTreeSet};

use matriarch_api::{PostgresqlSpec, PreparedDatabase, Problem, decode};
use matriarch_settings::Settings;
use matriarch_sql::RoleFlags;
use serde_json::Value;

use crate::intent::Identity;

mod amounts;
mod checks;
mod containers;
mod fragments;
mod identity;
mod network;
mod roles;
mod sources;
mod spellings;
mod times;

pub(crate) use identity::is_service_name;
pub(crate) use roles::is_database_name;

/// Role that publishes change streams.
pub const STREAM_USER: &str = "fes_user";

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
            notices: decoded.unknown.iter().map(|field| unknown(field)).collect(),
        };
        let mut problems = decoded.problems;
        checks::all(&mut cluster, settings, &mut problems);
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

    /// Whether there is a pooler in front of the primary: asked for by name, or by its section.
    pub fn wants_primary_pooler(&self) -> bool {
        self.spec.enable_connection_pooler.unwrap_or(self.spec.connection_pooler.is_some())
    }

    /// Whether there is a pooler in front of the replicas: only when asked for by name.
    pub fn wants_replica_pooler(&self) -> bool {
        self.spec.enable_replica_connection_pooler.unwrap_or_default()
    }

    /// Role of the pooler: the manifest's, unless that name belongs to somebody else.
    pub fn pooler_user(&self, settings: &Settings) -> String {
        let own = self.spec.connection_pooler.as_ref().and_then(|pooler| pooler.user.as_ref());
        let streams = self.has_streams().then_some(STREAM_USER);
        let free = own.filter(|name| {
            !name.is_empty() && !is_reserved_for_all(name, settings) && streams != Some(name.as_str())
        });
        free.unwrap_or(&settings.connection_pooler_user).clone()
    }

    /// Whether change streams are published.
    pub fn has_streams(&self) -> bool {
        self.spec.streams.iter().flatten().next().is_some()
    }

    /// Names that neither manifest nor infrastructure nor teams can give a role of their own.
    pub fn reserved_names(&self, settings: &Settings) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = settings.protected_role_names.iter().cloned().collect();
        names.extend([settings.super_username.clone(), settings.replication_username.clone()]);
        if self.wants_primary_pooler() || self.wants_replica_pooler() {
            names.insert(self.pooler_user(settings));
        }
        if self.has_streams() {
            names.insert(STREAM_USER.to_owned());
        }
        names
    }

    /// The prepared databases. A section that is there and empty means one database named like the
    /// cluster, with underscores for dashes.
    pub fn prepared_databases(&self) -> BTreeMap<String, PreparedDatabase> {
        match &self.spec.prepared_databases {
            None => BTreeMap::new(),
            Some(given) if given.is_empty() => {
                BTreeMap::from([(self.identity.name.replace('-', "_"), PreparedDatabase::default())])
            }
            Some(given) => given.clone(),
        }
    }
}

/// Names that every cluster keeps for itself.
fn is_reserved_for_all(name: &str, settings: &Settings) -> bool {
    [&settings.super_username, &settings.replication_username].into_iter().any(|own| own == name)
        || settings.protected_role_names.iter().any(|own| own == name)
}

/// Whether there is a problem of `field` or of something below it.
fn has(problems: &[Problem], field: &str) -> bool {
    problems.iter().any(|problem| {
        problem.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// A field that does not exist.
fn unknown(field: &str) -> Problem {
    Problem::new(
        field,
        "is not a field of a postgresql manifest and has no effect",
        "correct its spelling or its place, or remove it",
    )
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
/// `Invalid` is reserved for a name that has not the form TEAM-NAME, with
/// `enable_team_id_clustername_prefix`; every other problem makes the creation fail, or the
/// update of a cluster that already has its StatefulSet (`created`).
pub fn status_word_for_problems(problems: &[Problem], created: bool) -> &'static str {
    if problems.iter().any(|problem| problem.message.starts_with(identity::TEAM_RULE)) {
        return "Invalid";
    }
    if created { "UpdateFailed" } else { "CreateFailed" }
}
