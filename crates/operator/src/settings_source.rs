//! Where the settings come from: an `OperatorConfiguration`, a ConfigMap, or nowhere (02 §1.1).

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use matriarch_api::Condition;
use matriarch_plan::ChangePreview;
use matriarch_plan::status::{seconds, since};
use matriarch_settings::{Reading, Settings, namespaced_name};
use serde::Serialize;
use serde_json::{Value, json};

use crate::kinds;
use crate::lease::Leadership;
use crate::plain::plain;
use crate::report::STATUS_MANAGER;

/// The object that holds the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// None is named: the defaults of a ConfigMap.
    Defaults,
    /// A ConfigMap, namespace and name.
    ConfigMap(String, String),
    /// An `OperatorConfiguration`, namespace and name.
    Object(String, String),
}

impl Origin {
    /// The origin that the environment names. An `OperatorConfiguration` wins, and is always in the
    /// operator's own namespace.
    ///
    /// # Errors
    /// When the name of the ConfigMap cannot be read, even if it would not be used.
    pub fn of(config_map: &str, object: &str, own_namespace: &str) -> Result<Self, String> {
        let config_map =
            if config_map.is_empty() {
                None
            } else {
                let name = namespaced_name(config_map, own_namespace);
                Some(name.ok_or_else(|| {
                    format!("CONFIG_MAP_NAME {config_map:?} has no name: write namespace/name")
                })?)
            };
        Ok(match (object, config_map) {
            ("", Some((namespace, name))) => Self::ConfigMap(namespace, name),
            ("", None) => Self::Defaults,
            (object, _) => Self::Object(own_namespace.to_owned(), object.to_owned()),
        })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Defaults => f.write_str("the defaults"),
            Self::ConfigMap(namespace, name) => write!(f, "ConfigMap {namespace}/{name}"),
            Self::Object(namespace, name) => write!(f, "OperatorConfiguration {namespace}/{name}"),
        }
    }
}

/// What flags and environment say against the settings; it stays true for all of them.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `-nodatabaseaccess`.
    pub no_database_access: bool,
    /// `-noteamsapi`.
    pub no_teams_api: bool,
    /// `SCALYR_API_KEY`.
    pub scalyr_api_key: Option<String>,
}

impl Overrides {
    fn apply(&self, settings: &mut Settings) {
        settings.enable_database_access &= !self.no_database_access;
        settings.enable_teams_api &= !self.no_teams_api;
        if let Some(key) = self.scalyr_api_key.as_ref().filter(|key| !key.is_empty()) {
            settings.scalyr_api_key.clone_from(key);
        }
    }
}

/// The object as it was read.
pub struct Fetched {
    /// Its settings.
    pub reading: Reading,
    /// The object, for events.
    pub regarding: ObjectReference,
    generation: Option<i64>,
    conditions: Vec<Condition>,
}

/// What is told about the settings; the body of `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Where they come from.
    pub source: String,
    /// Whether a change waits, is being put in force, or all is in force.
    pub state: &'static str,
    /// The last change, and what it does to clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangePreview>,
    /// When that was put in force, or is about to be.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub changed_at: String,
    /// Why the newest settings are refused; the last good ones are in force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What has no effect, or another than was meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Rights that are missing, and what is done without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_rights: Vec<String>,
}

/// The settings in force, and their origin.
#[derive(Clone)]
pub struct SettingsSource {
    client: Client,
    /// Where they come from.
    pub origin: Origin,
    overrides: Overrides,
    current: Arc<RwLock<Arc<Settings>>>,
    standing: Arc<RwLock<Standing>>,
    leadership: Arc<OnceLock<Leadership>>,
}

impl SettingsSource {
    /// Settings of this origin; until they are read, the defaults.
    pub fn new(client: Client, origin: Origin, overrides: Overrides) -> Self {
        let mut settings = Settings::of_config_map();
        overrides.apply(&mut settings);
        let standing = Standing { source: origin.to_string(), state: "in force", ..Standing::default() };
        Self {
            client,
            origin,
            overrides,
            current: Arc::new(RwLock::new(Arc::new(settings))),
            standing: Arc::new(RwLock::new(standing)),
            leadership: Arc::default(),
        }
    }

    /// From now on only the replica that leads writes conditions.
    pub fn quiet_unless(&self, leadership: &Leadership) {
        let _ = self.leadership.set(leadership.clone());
    }

    /// The settings of this moment; a pass keeps them to its end.
    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts settings in force.
    pub fn replace(&self, settings: Settings) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// What is told about them.
    pub fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is told.
    pub fn tell(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reads the object.
    ///
    /// # Errors
    /// When it does not exist or cannot be read; the text says which.
    pub async fn fetch(&self) -> Result<Fetched, String> {
        let mut fetched = match &self.origin {
            Origin::Defaults => Fetched {
                reading: Reading::of_config_map(&std::collections::BTreeMap::new()),
                regarding: self.regarding(),
                generation: None,
                conditions: Vec::new(),
            },
            Origin::ConfigMap(namespace, name) => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
                let map = self.found(api.get_opt(name).await)?;
                let mut regarding = self.regarding();
                regarding.uid = map.uid();
                Fetched {
                    reading: Reading::of_config_map(&map.data.unwrap_or_default()),
                    regarding,
                    generation: None,
                    conditions: Vec::new(),
                }
            }
            Origin::Object(namespace, name) => {
                let api = kinds::namespaced(&self.client, "OperatorConfiguration", namespace);
                let object = self.found(api.get_opt(name).await)?;
                let mut regarding = self.regarding();
                regarding.uid = object.uid();
                Fetched {
                    reading: Reading::of_operator_configuration(&object.data),
                    regarding,
                    generation: object.metadata.generation,
                    conditions: serde_json::from_value(object.data["status"]["conditions"].clone())
                        .unwrap_or_default(),
                }
            }
        };
        self.overrides.apply(&mut fetched.reading.settings);
        Ok(fetched)
    }

    fn found<T>(&self, answer: kube::Result<Option<T>>) -> Result<T, String> {
        match answer {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(format!("{} does not exist: create it", self.origin)),
            Err(error) => Err(format!("{} cannot be read: {}", self.origin, plain(&error))),
        }
    }

    /// The object, as far as it is known without reading it.
    pub fn regarding(&self) -> ObjectReference {
        let (kind, version, namespace, name) = match &self.origin {
            Origin::Defaults => return ObjectReference::default(),
            Origin::ConfigMap(namespace, name) => ("ConfigMap", "v1", namespace, name),
            Origin::Object(namespace, name) => {
                ("OperatorConfiguration", matriarch_api::API_VERSION, namespace, name)
            }
        };
        ObjectReference {
            api_version: Some(version.to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(namespace.clone()),
            name: Some(name.clone()),
            ..ObjectReference::default()
        }
    }

    /// Writes conditions into the `OperatorConfiguration`, if there is one and they changed. Others
    /// of the same object are kept.
    ///
    /// # Errors
    /// When the status cannot be written.
    pub async fn write_conditions(&self, fetched: &Fetched, new: Vec<Condition>) -> kube::Result<()> {
        let Origin::Object(namespace, name) = &self.origin else { return Ok(()) };
        let after = merged(&fetched.conditions, new, fetched.generation);
        let follows = self.leadership.get().is_some_and(|leadership| !leadership.holds());
        if after == fetched.conditions || follows {
            return Ok(());
        }
        let api = kinds::namespaced(&self.client, "OperatorConfiguration", namespace);
        let parameters = PatchParams::apply(STATUS_MANAGER);
        let status: Value =
            json!({"status": {"observedGeneration": fetched.generation, "conditions": after}});
        api.patch_status(name, &parameters, &Patch::Merge(&status)).await.map(|_| ())
    }
}

/// A condition without its times.
pub fn condition(kind: &str, holds: bool, reason: &str, message: String) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message,
        ..Condition::default()
    }
}

fn merged(before: &[Condition], new: Vec<Condition>, generation: Option<i64>) -> Vec<Condition> {
    let mut after = before.to_vec();
    for mut condition in new {
        condition.observed_generation = generation;
        let old = after.iter_mut().find(|old| old.type_ == condition.type_);
        condition.last_transition_time = since(old.as_deref(), &condition.status, Timestamp::now());
        match old {
            Some(old) => *old = condition,
            None => after.push(condition),
        }
    }
    after
}

/// This moment, RFC 3339 with seconds.
pub fn now() -> String {
    seconds(Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_02_1_1_origins() {
        let map = |namespace: &str, name: &str| Ok(Origin::ConfigMap(namespace.to_owned(), name.to_owned()));
        let object = |name: &str| Ok(Origin::Object("own".to_owned(), name.to_owned()));
        for (config_map, configuration, expected) in [
            ("", "", Ok(Origin::Defaults)),
            ("settings", "", map("own", "settings")),
            ("ns/settings", "", map("ns", "settings")),
            ("settings", "object", object("object")),
            ("", "object", object("object")),
        ] {
            assert_eq!(
                Origin::of(config_map, configuration, "own"),
                expected,
                "{config_map} {configuration}"
            );
        }
        assert!(Origin::of("ns/", "object", "own").is_err());
    }

    #[test]
    fn overrides_are_stronger_than_settings() {
        let overrides = Overrides {
            no_database_access: true,
            no_teams_api: true,
            scalyr_api_key: Some("key".to_owned()),
        };
        let mut settings = Settings::of_config_map();
        overrides.apply(&mut settings);
        assert!(!settings.enable_database_access && !settings.enable_teams_api);
        assert_eq!(settings.scalyr_api_key, "key");
        let mut settings = Settings::of_config_map();
        Overrides::default().apply(&mut settings);
        assert_eq!(settings, Settings::of_config_map());
    }

    #[test]
    fn conditions_keep_their_time_while_they_hold() {
        let before = merged(&[], vec![condition("Valid", true, "Accepted", "a".to_owned())], Some(1));
        let mut earlier = before.clone();
        earlier[0].last_transition_time = "2020-01-01T00:00:00Z".to_owned();
        let same = merged(&earlier, vec![condition("Valid", true, "Accepted", "b".to_owned())], Some(2));
        assert_eq!(same[0].last_transition_time, "2020-01-01T00:00:00Z");
        assert_eq!(same[0].observed_generation, Some(2));
        let other = merged(&earlier, vec![condition("Valid", false, "Refused", "c".to_owned())], Some(3));
        assert_ne!(other[0].last_transition_time, "2020-01-01T00:00:00Z");
    }
}
