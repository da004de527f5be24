//! What manifests and settings point to, and facts of the observation that rendering may use.
//! Rendering itself never reads anything.

use std::collections::BTreeMap;

use matriarch_sql::RoleFlags;
use serde::{Deserialize, Serialize};

use crate::intent::SecretKey;

/// One thing that is pointed to. `Option<Reference<_>>`: `None` means that nothing is pointed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reference<T> {
    /// It was read.
    Known(T),
    /// The API server says that it does not exist.
    Missing,
    /// It could not be read; the text says why.
    Unknown(String),
}

impl<T> Reference<T> {
    /// The value, if it was read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Missing | Self::Unknown(_) => None,
        }
    }
}

/// What a manifest and the settings point to, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// Keys of the Secret `pod_environment_secret`.
    pub environment_secret: Option<Reference<Vec<String>>>,
    /// Data of the ConfigMap `pod_environment_configmap`.
    pub environment_config_map: Option<Reference<BTreeMap<String, String>>>,
    /// Keys of the Secret `logical_backup_cronjob_environment_secret`.
    #[serde(default)]
    pub backup_secret: Option<Reference<Vec<String>>>,
    /// Infrastructure roles from all their sources (02 §6.4).
    pub infrastructure_roles: Option<Reference<Vec<InfrastructureRole>>>,
    /// Human users of the cluster's team and of the teams added to it (02 §6.3, 01 §4).
    pub humans: Option<Reference<Vec<Human>>>,
}

/// A role that every cluster gets, with a password from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfrastructureRole {
    /// Name.
    pub name: String,
    /// Where its password is.
    pub password: Option<SecretKey>,
    /// Roles it is a member of.
    pub member_of: Vec<String>,
    /// Flags beyond login.
    pub flags: RoleFlags,
    /// Parameters set for the role.
    pub parameters: BTreeMap<String, String>,
}

/// A person who may log in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Human {
    /// Name of the role.
    pub name: String,
    /// Member of a team whose members are superusers here.
    pub superuser: bool,
}

/// Facts of the observation that rendering may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Major version of the running pods' template (`PGVERSION` or `bin_dir`), where a StatefulSet exists.
    pub running_version: Option<String>,
    /// Names of credentials Secrets that exist, with the user name in each.
    pub secrets: BTreeMap<String, String>,
    /// Whether a CronJob of the name that [`crate::names::backup_job`] gives exists and is another
    /// cluster's.
    #[serde(default)]
    pub backup_job_is_taken: bool,
    /// Whether the moment lies in a maintenance window, by the operator's clock.
    pub in_maintenance_window: bool,
}
