//! Settings from the two sources of the contract. A value that cannot be read keeps its default
//! and becomes a problem; all problems are reported at once.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use serde_json::{Map, Value};

use crate::allowed::{Objection, ROLE_SOURCE_KEYS};
use crate::name;
use crate::number;
use crate::table::{OPTIONS, Opt, Settings, Sources};

/// Namespace of an unqualified Secret of infrastructure roles in a ConfigMap; in an object it is
/// the operator's own (02 §2.4).
const ROLE_SOURCE_NAMESPACE: &str = "default";
/// Fewest pods of poolers that an object can ask for: less is raised (02 §1.16).
const POOLER_PODS_IN_OBJECT: i64 = 2;
/// The option that a ConfigMap writes otherwise than any other.
const ROLE_SOURCES: &str = "infrastructure_roles_secrets";

/// Settings as they were read, and what was wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The settings; what could not be read has its default.
    pub settings: Settings,
    /// What is wrong: settings with any of these must not be put in force.
    pub problems: Vec<Problem>,
    /// What has no effect, or another than was meant. The settings work all the same.
    pub warnings: Vec<Problem>,
}

impl Reading {
    fn of(settings: Settings) -> Self {
        Self { settings, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Reads a whole ConfigMap or `OperatorConfiguration`, by its `kind`.
    pub fn of_document(document: &Value) -> Self {
        if document["kind"] == "OperatorConfiguration" || document.get("configuration").is_some() {
            return Self::of_operator_configuration(document);
        }
        let mut data = BTreeMap::new();
        let mut wrong = Vec::new();
        for (key, value) in document["data"].as_object().into_iter().flatten() {
            match value.as_str() {
                Some(text) => _ = data.insert(key.clone(), text.to_owned()),
                None => wrong.push(Problem::new(
                    key,
                    format!("{value} is not a text"),
                    "put it in quotes: a ConfigMap holds texts only",
                )),
            }
        }
        let mut reading = Self::of_config_map(&data);
        reading.problems.extend(wrong);
        reading
    }

    /// Settings from the data of a ConfigMap. A missing key has the default of the contract for
    /// this source; an empty value is the zero value of its kind.
    pub fn of_config_map(data: &BTreeMap<String, String>) -> Self {
        let mut reading = Self::of(Settings::of_config_map());
        for (key, text) in data {
            match Opt::of(key) {
                None => reading.warnings.push(unknown(key)),
                Some(option) if option.sources == Sources::Object => reading.warnings.push(Problem::new(
                    key,
                    "is not read from a ConfigMap",
                    "use an OperatorConfiguration, or remove it",
                )),
                Some(option) => reading.set_text(option, text),
            }
        }
        reading.judge(&|option| option.key.to_owned());
        reading.contradictions(true);
        reading.raise_requests();
        reading
    }

    /// With `set_memory_request_to_limit` the original raises default requests as it reads a
    /// ConfigMap, not as it reads an object, and ends where there is no default limit (D17).
    fn raise_requests(&mut self) {
        let settings = &mut self.settings;
        if !settings.set_memory_request_to_limit {
            return;
        }
        for (request, limit) in [
            (&mut settings.default_memory_request, &settings.default_memory_limit),
            (&mut settings.scalyr_memory_request, &settings.scalyr_memory_limit),
        ] {
            let amount = |text: &str| number::amount(text).unwrap_or_default();
            if amount(request) < amount(limit) {
                request.clone_from(limit);
            }
        }
    }

    fn set_text(&mut self, option: &Opt, text: &str) {
        let result = if option.key == ROLE_SOURCES {
            let (sources, warnings) = role_sources(text);
            self.warnings.extend(warnings);
            self.settings.set_json(option.key, &sources)
        } else {
            self.settings.set_text(option.key, text)
        };
        if let Some(Err(expected)) = result {
            self.problems.push(unreadable(option.key, &expected));
        }
        if option.sources == Sources::ConfigMap {
            self.warnings.push(Problem::new(option.key, "has no effect any more", "remove it"));
        }
    }

    /// Settings from an `OperatorConfiguration` object, `configuration` and all its groups.
    pub fn of_operator_configuration(object: &Value) -> Self {
        let mut reading = Self::of(Settings::of_operator_configuration());
        let configuration = &object["configuration"];
        if !configuration.is_object() {
            reading.problems.push(Problem::new(
                "configuration",
                "is missing",
                "write the options below configuration, {} for defaults only",
            ));
        }
        for option in OPTIONS.iter().filter(|option| option.sources != Sources::ConfigMap) {
            let place = if option.group.is_empty() { configuration } else { &configuration[option.group] };
            // What the API server would drop, or fill with the default.
            let Some(value) = place.get(option.key).filter(|value| !value.is_null()) else { continue };
            let result = match option.filler() {
                Some(default) if is_empty(option, value) => reading.settings.set_text(option.key, default),
                _ => reading.settings.set_json(option.key, value),
            };
            if let Some(Err(expected)) = result {
                reading.problems.push(unreadable(&option.path(), &expected));
            }
        }
        let pods = &mut reading.settings.connection_pooler_number_of_instances;
        *pods = (*pods).max(POOLER_PODS_IN_OBJECT);
        reading.warnings.extend(strangers(configuration));
        reading.judge(&Opt::path);
        reading.contradictions(false);
        reading
    }

    /// Objections against single values.
    fn judge(&mut self, field: &dyn Fn(&Opt) -> String) {
        // Defaults are beyond objection: a test judges them.
        let default = Settings::of_config_map();
        for option in OPTIONS {
            let value = self.settings.value(option.key);
            if value == default.value(option.key) {
                continue;
            }
            for objection in option.allowed.check(&value) {
                let Objection { is_error, message, cure, taken_for } = objection;
                let problem = Problem::new(field(option), message, cure);
                if is_error {
                    self.problems.push(problem)
                } else {
                    self.warnings.push(problem)
                }
                if let Some(meaning) = taken_for {
                    self.settings.set_text(option.key, meaning);
                }
            }
        }
    }

    /// Values that contradict each other.
    fn contradictions(&mut self, in_config_map: bool) {
        let settings = &self.settings;
        let field = |key: &str| match Opt::of(key) {
            Some(option) if !in_config_map => option.path(),
            _ => key.to_owned(),
        };
        let (least, most) = (settings.min_instances, settings.max_instances);
        if least > 0 && most > 0 && least > most {
            let problem = Problem::new(
                field("min_instances"),
                format!("{least} is more than max_instances {most}"),
                "lower min_instances or raise max_instances",
            );
            // The contract lets the minimum win in an object.
            if in_config_map { self.problems.push(problem) } else { self.warnings.push(problem) }
        }
        if settings.connection_pooler_user == settings.super_username {
            self.problems.push(Problem::new(
                field("connection_pooler_user"),
                format!("{:?} is the superuser, super_username", settings.super_username),
                "choose another role name for the pooler",
            ));
        }
        if !settings.cluster_labels.contains_key("application") {
            self.problems.push(Problem::new(
                field("cluster_labels"),
                "has no label application, which tells database pods from pooler and backup pods",
                "add application:spilo",
            ));
        }
    }
}

impl Settings {
    /// As [`Reading::of_config_map`]: the settings, and what is wrong.
    pub fn from_config_map(data: &BTreeMap<String, String>) -> (Self, Vec<Problem>) {
        let reading = Reading::of_config_map(data);
        (reading.settings, reading.problems)
    }

    /// As [`Reading::of_operator_configuration`]: the settings, and what is wrong.
    pub fn from_operator_configuration(object: &Value) -> (Self, Vec<Problem>) {
        let reading = Reading::of_operator_configuration(object);
        (reading.settings, reading.problems)
    }
}

/// Whether a value counts as not given, for an option that has a default for that.
fn is_empty(option: &Opt, value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) if text.is_empty() => true,
        Value::String(text) => {
            option.kind == <std::time::Duration as crate::Kind>::NAME
                && crate::number::duration(text).is_some_and(|duration| duration.is_zero())
        }
        _ => false,
    }
}

fn unreadable(field: &str, expected: &str) -> Problem {
    Problem::new(field, expected, "correct the value, or remove the key to have the default")
}

fn unknown(key: &str) -> Problem {
    Problem::new(key, "is not an option and has no effect", "remove it or correct its spelling")
}

/// Fields of an object that are no options, or stand in the wrong group.
fn strangers(configuration: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    for (key, value) in configuration.as_object().into_iter().flatten() {
        let is_group = OPTIONS.iter().any(|option| option.group == key);
        if is_group && !value.is_object() && !value.is_null() {
            found.push(Problem::new(key, "is a group and not a value", "write its options below it"));
        }
        if !is_group {
            found.extend(stranger("", key));
            continue;
        }
        found.extend(value.as_object().into_iter().flatten().filter_map(|(inner, _)| stranger(key, inner)));
    }
    found
}

fn stranger(group: &str, key: &str) -> Option<Problem> {
    let written = if group.is_empty() { key.to_owned() } else { format!("{group}.{key}") };
    match Opt::of(key).filter(|option| option.sources != Sources::ConfigMap) {
        Some(option) if option.group == group => None,
        Some(option) => Some(Problem::new(
            written,
            "stands in the wrong group and has no effect",
            format!("move it to {}", option.path()),
        )),
        None => Some(unknown(&written)),
    }
}

/// The one source of infrastructure roles that a ConfigMap can hold, as a list (02 §2.4).
fn role_sources(text: &str) -> (Value, Vec<Problem>) {
    let mut source = Map::new();
    let mut warnings = Vec::new();
    for piece in text.split(',') {
        let mut parts = piece.split(':').map(str::trim);
        let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
        // A ConfigMap has never known the last one.
        if !ROLE_SOURCE_KEYS.contains(&key) || key == "details" {
            warnings.push(Problem::new(
                ROLE_SOURCES,
                format!("{key:?} is not part of a source"),
                format!("use {}", ROLE_SOURCE_KEYS[..6].join(", ")),
            ));
            continue;
        }
        let value = match name::namespaced_name(value, ROLE_SOURCE_NAMESPACE) {
            Some((namespace, name)) if key == "secretname" => format!("{namespace}/{name}"),
            _ => value.to_owned(),
        };
        source.insert(key.to_owned(), Value::from(value));
    }
    let sources = if source.is_empty() { Value::Null } else { Value::Array(vec![Value::Object(source)]) };
    (sources, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d17_memory_requests_follow_limits_where_there_are_any() {
        let read = |pairs: &[(&str, &str)]| {
            let data = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            let reading = Reading::of_config_map(&data);
            assert_eq!(reading.problems, vec![]);
            reading.settings.default_memory_request
        };
        let on = ("set_memory_request_to_limit", "true");
        let (request, limit) = (("default_memory_request", "100Mi"), ("default_memory_limit", "1Gi"));
        assert_eq!(read(&[on, request, limit]), "1Gi");
        assert_eq!(read(&[on, limit]), "1Gi");
        assert_eq!(read(&[on, request]), "100Mi");
        assert_eq!(read(&[on]), "");
        assert_eq!(read(&[request, limit]), "100Mi");
        assert_eq!(read(&[on, request, ("default_memory_limit", "50M")]), "100Mi");
    }

    #[test]
    fn no_default_meets_an_objection() {
        for settings in
            [Settings::of_config_map(), Settings::of_operator_configuration(), Settings::default()]
        {
            for option in OPTIONS {
                assert_eq!(option.allowed.check(&settings.value(option.key)), [], "{}", option.key);
            }
        }
    }
    use serde_json::json;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn the_sources_differ_where_the_contract_says_so() {
        let (from_map, _) = Settings::from_config_map(&map(&[]));
        assert!(from_map.enable_master_load_balancer);
        assert_eq!(from_map.default_cpu_request, "");
        let (from_object, _) = Settings::from_operator_configuration(&json!({"configuration": {}}));
        assert!(!from_object.enable_master_load_balancer);
        assert_eq!(from_object.secret_name_template, from_map.secret_name_template);
        assert_eq!(Settings::default().default_cpu_request, "100m");
    }

    #[test]
    fn every_bad_value_is_reported_and_keeps_its_default() {
        let (settings, problems) = Settings::from_config_map(&map(&[
            ("enable_shm_volume", "yes"),
            ("resync_period", "30"),
            ("no_such_thing", "1"),
            ("pam_role_name", ""),
        ]));
        let fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["enable_shm_volume", "resync_period"]);
        assert!(settings.enable_shm_volume);
        assert_eq!(settings.pam_role_name, "");
    }

    #[test]
    fn groups_are_found() {
        let (settings, problems) = Settings::from_operator_configuration(&json!({"configuration": {
            "workers": 4,
            "kubernetes": {"cluster_labels": {"application": "spilo", "env": "prod"}, "spilo_fsgroup": 103},
            "timeouts": {"resource_check_timeout": "bad"},
        }}));
        assert_eq!(settings.workers, 4);
        assert_eq!(settings.cluster_labels["env"], "prod");
        assert_eq!(settings.spilo_fsgroup, Some(103));
        assert_eq!(problems[0].field, "timeouts.resource_check_timeout");
    }
}
