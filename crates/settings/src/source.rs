//! Settings from the two sources of the contract. A value that cannot be read keeps its default
//! and becomes a problem; all problems are reported at once.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use serde_json::Value;

use crate::table::{OPTIONS, Settings};

impl Settings {
    /// Settings from the data of a ConfigMap. A missing key has the default of the contract for
    /// this source; an empty value is the zero value of its kind.
    pub fn from_config_map(data: &BTreeMap<String, String>) -> (Self, Vec<Problem>) {
        let mut settings = Self::of_config_map();
        let mut problems = Vec::new();
        for (key, text) in data {
            match settings.set_text(key, text) {
                Some(Ok(())) => {}
                Some(Err(expected)) => problems.push(unreadable(key, &expected)),
                None => problems.extend(unknown(key)),
            }
        }
        problems.extend(settings.contradictions());
        (settings, problems)
    }

    /// Settings from an `OperatorConfiguration` object, `configuration` and all its groups.
    pub fn from_operator_configuration(object: &Value) -> (Self, Vec<Problem>) {
        let mut settings = Self::of_operator_configuration();
        let mut problems = Vec::new();
        let configuration = &object["configuration"];
        for option in OPTIONS {
            let place = if option.group.is_empty() { configuration } else { &configuration[option.group] };
            let Some(value) = place.get(option.key) else { continue };
            if let Some(Err(expected)) = settings.set_json(option.key, value) {
                problems.push(unreadable(&option.path(), &expected));
            }
        }
        problems.extend(settings.contradictions());
        (settings, problems)
    }

    /// Values that can be read but contradict each other or make no sense.
    fn contradictions(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.min_instances > 0 && self.max_instances > 0 && self.min_instances > self.max_instances {
            problems.push(Problem::new(
                "min_instances",
                format!("{} is more than max_instances {}", self.min_instances, self.max_instances),
                "lower min_instances or raise max_instances",
            ));
        }
        if self.workers < 1 {
            problems.push(Problem::new("workers", "must be at least 1", "set it to 8, the default"));
        }
        if self.connection_pooler_user == self.super_username {
            problems.push(Problem::new(
                "connection_pooler_user",
                "is the superuser",
                "choose another role name for the pooler",
            ));
        }
        if !self.cluster_labels.contains_key("application") {
            problems.push(Problem::new(
                "cluster_labels",
                "has no label application, which tells database pods from pooler and backup pods",
                "add application:spilo",
            ));
        }
        problems
    }
}

fn unreadable(field: &str, expected: &str) -> Problem {
    Problem::new(field, expected, "correct the value; until then the default is used")
}

/// Keys that mean nothing to us. The removed switch of old installations is passed over.
fn unknown(key: &str) -> Option<Problem> {
    if key == "enable_load_balancer" {
        return None;
    }
    Some(Problem::new(key, "is not an option", "remove it or correct its spelling"))
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(fields, ["enable_shm_volume", "no_such_thing", "resync_period"]);
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
