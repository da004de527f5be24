//! Replication slots that left the manifest. Patroni keeps what it was once told, and slots that
//! others made must stay (04 §9.3): so the StatefulSet's own configuration remembers the manifest's
//! slots, and forgets one only after Patroni has.

use std::collections::BTreeSet;

use matriarch_cluster::Intent;
use serde_json::{Value, json};

use crate::objects::key_of;
use crate::observation::Observation;
use crate::seen::Seen;

const CONFIGURATION: &str = "SPILO_CONFIGURATION";

/// Slots that the manifest once had, has no more, and Patroni may still have.
pub(crate) fn forsaken(intent: &Intent, seen: &Observation) -> BTreeSet<String> {
    let Seen::Present(set) = seen.object(&key_of(&intent.stateful_set)) else { return BTreeSet::new() };
    let wanted = &intent.patroni["slots"];
    remembered(&set.body)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| wanted.get(name).is_none())
        .filter(|name| match config(seen) {
            Some(config) => config["slots"].get(name).is_some_and(|slot| !slot.is_null()),
            None => true,
        })
        .collect()
}

fn config(seen: &Observation) -> Option<&Value> {
    seen.patroni.present()?.config.present()
}

/// Keeps forsaken slots in a rendered StatefulSet until Patroni has forgotten them.
pub(crate) fn remember(intent: &Intent, live: &Value, seen: &Observation, desired: &mut Value) {
    let forsaken = forsaken(intent, seen);
    if forsaken.is_empty() {
        return;
    }
    let live = remembered(live);
    let Some(variable) = variable_mut(desired) else { return };
    let Some(mut configuration) = parsed(variable) else { return };
    for name in forsaken {
        configuration["bootstrap"]["dcs"]["slots"][&name] = live.get(&name).cloned().unwrap_or(json!({}));
    }
    variable["value"] = json!(configuration.to_string());
}

/// The slots in the configuration of a StatefulSet.
fn remembered(set: &Value) -> serde_json::Map<String, Value> {
    let containers = set["spec"]["template"]["spec"]["containers"].as_array();
    let variables = containers.into_iter().flatten().filter_map(|container| container["env"].as_array());
    let configuration = variables.flatten().find(|variable| variable["name"] == CONFIGURATION);
    let slots = configuration.and_then(parsed).map(|mut all| all["bootstrap"]["dcs"]["slots"].take());
    slots.and_then(|slots| slots.as_object().cloned()).unwrap_or_default()
}

fn variable_mut(set: &mut Value) -> Option<&mut Value> {
    let containers = set.pointer_mut("/spec/template/spec/containers")?.as_array_mut()?;
    let variables = containers.iter_mut().filter_map(|container| container.get_mut("env")?.as_array_mut());
    variables.flatten().find(|variable| variable["name"] == CONFIGURATION)
}

fn parsed(variable: &Value) -> Option<Value> {
    let configuration: Value = serde_json::from_str(variable["value"].as_str()?).ok()?;
    configuration.is_object().then_some(configuration)
}

#[cfg(test)]
mod tests {
    use matriarch_cluster::Object;

    use super::*;
    use crate::observation::{ObjectKey, ObjectSeen, PatroniSeen};

    fn set(slots: Value) -> Value {
        let configuration = json!({"bootstrap": {"dcs": {"ttl": 30, "slots": slots}}}).to_string();
        json!({"spec": {"template": {"spec": {"containers": [
            {"name": "postgres", "env": [{"name": CONFIGURATION, "value": configuration}]}]}}}})
    }

    fn world(wanted: Value, written: Value, patroni: Seen<Value>) -> (Intent, Observation) {
        let intent = Intent {
            patroni: json!({"slots": wanted}),
            stateful_set: Object { kind: "StatefulSet".into(), name: "a".into(), ..Object::default() },
            ..Intent::default()
        };
        let live = ObjectSeen { uid: "u".to_owned(), body: set(written) };
        let seen = Observation {
            objects: [(ObjectKey::new("StatefulSet", "a"), Seen::Present(live))].into(),
            patroni: Seen::Present(PatroniSeen { config: patroni, ..PatroniSeen::default() }),
            ..Observation::default()
        };
        (intent, seen)
    }

    #[test]
    fn a_slot_that_left_the_manifest_goes_and_foreign_ones_stay() {
        let config = json!({"slots": {"gone": {}, "kept": {}, "foreign": {}}});
        let (intent, seen) =
            world(json!({"kept": {}}), json!({"gone": {}, "kept": {}}), Seen::Present(config));
        assert_eq!(forsaken(&intent, &seen), BTreeSet::from(["gone".to_owned()]));
    }

    #[test]
    fn what_patroni_has_forgotten_is_forgotten() {
        let config = json!({"slots": {"kept": {}}});
        let (intent, seen) =
            world(json!({"kept": {}}), json!({"gone": {}, "kept": {}}), Seen::Present(config));
        let mut desired = set(json!({"kept": {}}));
        remember(&intent, &set(json!({"gone": {}})), &seen, &mut desired);
        assert_eq!(desired, set(json!({"kept": {}})));
    }

    #[test]
    fn while_patroni_is_silent_nothing_is_forgotten() {
        let (intent, seen) = world(
            json!({"kept": {}}),
            json!({"gone": {"type": "physical"}}),
            Seen::Unknown("timeout".into()),
        );
        let mut desired = set(json!({"kept": {}}));
        remember(&intent, &set(json!({"gone": {"type": "physical"}})), &seen, &mut desired);
        assert_eq!(remembered(&desired).len(), 2, "{desired}");
    }
}
