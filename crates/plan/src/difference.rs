//! What differs between a rendered object and the live one, after the API server's
//! defaulting: every rendered field must be there and mean the same; fields that were
//! not rendered belong to others.

use matriarch_cluster::quantity::Quantity;
use serde::Serialize;
use serde_json::Value;

use crate::consequence::{self, Consequence};

/// One differing field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Dotted path, list elements by key: `spec.containers[postgres].image`.
    pub path: String,
    /// The live value; null when absent.
    pub from: Value,
    /// The rendered value; null when it should be absent.
    pub to: Value,
    /// What it takes to make them equal.
    pub consequence: Consequence,
}

impl Difference {
    /// A difference whose consequence is not known yet.
    fn new(path: &str, from: &Value, to: &Value) -> Self {
        Self { path: path.to_owned(), from: from.clone(), to: to.clone(), consequence: Consequence::None }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} → {}{}", self.path, short(&self.from), short(&self.to), self.consequence)
    }
}

/// All differences of a live object of `kind` from the rendered one, each with its consequence.
pub fn object_differences(kind: &str, desired: &Value, live: &Value) -> Vec<Difference> {
    let mut found = differences(desired, live, "");
    for difference in &mut found {
        difference.consequence = consequence::of(kind, difference);
    }
    found
}

/// A value short enough for a line; long ones are cut, the path tells the rest.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "(absent)".to_owned(),
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// All differences of `live` from `desired`, below `path`.
pub fn differences(desired: &Value, live: &Value, path: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(desired, Some(live), path, &mut found);
    found
}

fn compare(desired: &Value, live: Option<&Value>, path: &str, found: &mut Vec<Difference>) {
    let live_value = live.unwrap_or(&Value::Null);
    // Most of an object is as it should be: no path is written for it.
    if desired == live_value {
        return;
    }
    // The API server drops empty values; absent and empty mean the same (03 §2.5).
    if is_empty(desired) && is_empty(live_value) {
        return;
    }
    match (desired, live_value) {
        (Value::Object(desired), Value::Object(live)) => {
            for (key, value) in desired {
                compare(value, live.get(key), &join(path, key), found);
            }
            if is_atomic(path) {
                let surplus = live.iter().filter(|(key, _)| !desired.contains_key(*key));
                found.extend(
                    surplus.map(|(key, value)| Difference::new(&join(path, key), value, &Value::Null)),
                );
            }
        }
        (Value::Array(desired), Value::Array(live)) => compare_lists(desired, live, path, found),
        (desired, live) if same_scalar(desired, live, path) => {}
        _ => found.push(Difference::new(path, live_value, desired)),
    }
}

/// Maps that Kubernetes takes as a whole: a label that stands in a live selector besides ours makes
/// it another selector, and nobody's fields tell whose it is.
fn is_atomic(path: &str) -> bool {
    path == "matchLabels" || path.ends_with(".matchLabels")
}

fn compare_lists(desired: &[Value], live: &[Value], path: &str, found: &mut Vec<Difference>) {
    if let Some(key) = list_key(path, desired) {
        for (index, element) in desired.iter().enumerate() {
            let name = &element[key];
            // Of two variables of one name the last one counts: the original writes such lists (D22).
            if desired[index + 1..].iter().any(|later| &later[key] == name) {
                continue;
            }
            let twin = live.iter().rfind(|candidate| &candidate[key] == name);
            let below = format!("{path}[{}]", name.as_str().map_or(name.to_string(), str::to_owned));
            match twin {
                Some(twin) if is_json_text(name) => compare_json_text(element, twin, &below, found),
                twin => compare(element, twin, &below, found),
            }
        }
        if key == "port" {
            surplus_ports(desired, live, path, found);
        }
        return;
    }
    if desired.len() != live.len() {
        found.push(Difference::new(path, &Value::Array(live.to_vec()), &Value::Array(desired.to_vec())));
        return;
    }
    let (desired, live) = (in_order(desired, path), in_order(live, path));
    for (index, (desired, live)) in desired.iter().zip(&live).enumerate() {
        compare(desired, Some(live), &format!("{path}[{index}]"), found);
    }
}

/// Expressions of a selector mean the same in any order, and the original writes some at random (D14).
fn in_order(list: &[Value], path: &str) -> Vec<Value> {
    let mut list = list.to_vec();
    if path.ends_with(".matchExpressions") {
        list.sort_by_key(ToString::to_string);
    }
    list
}

/// A Service's ports are ours alone: one that is not rendered was put there by hand.
fn surplus_ports(desired: &[Value], live: &[Value], path: &str, found: &mut Vec<Difference>) {
    let surplus = live.iter().filter(|port| !desired.iter().any(|wanted| wanted["port"] == port["port"]));
    found.extend(
        surplus.map(|port| Difference::new(&format!("{path}[{}]", port["port"]), port, &Value::Null)),
    );
}

/// The key of a list that Kubernetes treats as a map, or `None` for an ordered list.
fn list_key(path: &str, list: &[Value]) -> Option<&'static str> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let key = match last {
        "containers" | "initContainers" | "env" | "volumes" => "name",
        "volumeMounts" => "mountPath",
        "ports" if list.iter().all(|port| port.get("containerPort").is_some()) => "containerPort",
        "ports" if list.iter().all(|port| port.get("port").is_some()) => "port",
        _ => return None,
    };
    list.iter().all(|element| element.get(key).is_some()).then_some(key)
}

/// Environment variables whose text is JSON: compared by meaning (03 §2.5).
fn is_json_text(name: &Value) -> bool {
    matches!(name.as_str(), Some("SPILO_CONFIGURATION" | "KUBERNETES_LABELS"))
}

fn compare_json_text(desired: &Value, live: &Value, path: &str, found: &mut Vec<Difference>) {
    let before = found.len();
    if let (Some(wanted), Some(seen)) = (parse(desired), parse(live)) {
        if wanted == seen {
            return;
        }
        found.extend(both_ways(&wanted, &seen, &format!("{path}.value")));
    }
    // Not JSON, or JSON that differs only in what is empty: the text as a whole.
    if found.len() == before {
        compare(desired, Some(live), path, found);
    }
}

fn parse(variable: &Value) -> Option<Value> {
    serde_json::from_str(variable.get("value")?.as_str()?).ok()
}

fn same_scalar(desired: &Value, live: &Value, path: &str) -> bool {
    if desired == live {
        return true;
    }
    let is_quantity = ["requests.", "limits.", "sizeLimit"].iter().any(|part| path.contains(part));
    is_quantity
        && match (quantity_text(desired), quantity_text(live)) {
            (Some(desired), Some(live)) => same_quantity(&desired, &live),
            _ => false,
        }
}

/// Whether both texts mean the same amount (`1000m` and `1`).
fn same_quantity(a: &str, b: &str) -> bool {
    match (Quantity::parse(a), Quantity::parse(b)) {
        (Ok(a), Ok(b)) => !a.less_than(b) && !b.less_than(a),
        _ => false,
    }
}

fn quantity_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What differs between two pod templates that the API server has both defaulted, so that
/// pods of the older one must be recreated. `bootstrap.dcs` of SPILO_CONFIGURATION is left
/// out: Patroni's dynamic configuration carries it and no pod restarts for it (04 §7.1).
/// Annotations of the template restart nobody either.
pub fn template_differences(newest: &Value, older: &Value) -> Vec<Difference> {
    let (newest_spec, older_spec) = (without_dcs(&newest["spec"]), without_dcs(&older["spec"]));
    let labels = |template: &Value| template["metadata"]["labels"].clone();
    let mut found = both_ways(&labels(newest), &labels(older), "labels");
    found.extend(both_ways(&newest_spec, &older_spec, "spec"));
    found.iter_mut().for_each(|difference| difference.consequence = Consequence::Recreate);
    found
}

/// What `newest` has and `older` lacks or has otherwise, and what only `older` has.
fn both_ways(newest: &Value, older: &Value, path: &str) -> Vec<Difference> {
    let mut found = differences(newest, older, path);
    for Difference { path, from, to, .. } in differences(older, newest, path) {
        if !found.iter().any(|known| known.path == path) {
            found.push(Difference::new(&path, &to, &from));
        }
    }
    found
}

fn without_dcs(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let containers = spec.get_mut("containers").and_then(Value::as_array_mut);
    for variable in containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get_mut("env").and_then(Value::as_array_mut))
        .flatten()
    {
        if variable["name"] != "SPILO_CONFIGURATION" {
            continue;
        }
        if let Some(mut configuration) = parse(variable) {
            if let Some(bootstrap) = configuration.get_mut("bootstrap").and_then(Value::as_object_mut) {
                bootstrap.remove("dcs");
            }
            variable["value"] = Value::String(configuration.to_string());
        }
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(desired: &Value, live: &Value) -> Vec<String> {
        differences(desired, live, "").into_iter().map(|difference| difference.path).collect()
    }

    #[test]
    fn server_defaults_and_canonical_quantities_are_no_difference() {
        let desired = json!({"tolerations": [], "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
            "ports": [{"containerPort": 8008, "protocol": "TCP"}]});
        let live = json!({"dnsPolicy": "ClusterFirst", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
            "ports": [{"containerPort": 8008, "protocol": "TCP", "hostPort": 0}]});
        assert_eq!(paths(&desired, &live), Vec::<String>::new());
    }

    #[test]
    fn a_label_that_a_selector_should_not_have_is_named() {
        let selector = |labels: Value| json!({"spec": {"selector": {"matchLabels": labels}}});
        let (desired, live) = (selector(json!({"a": "1"})), selector(json!({"a": "1", "b": "2"})));
        assert_eq!(paths(&desired, &live), ["spec.selector.matchLabels.b"]);
    }

    #[test]
    fn a_changed_removed_or_moved_field_is_named() {
        let desired =
            json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["x"]});
        let live = json!({"env": [{"name": "B", "value": "3"}], "args": ["x", "y"]});
        assert_eq!(paths(&desired, &live), ["args", "env[A]", "env[B].value"]);
    }

    #[test]
    fn d14_expressions_mean_the_same_in_any_order() {
        let term = |keys: &[&str]| {
            let all: Vec<_> = keys.iter().map(|key| json!({"key": key, "values": ["x"]})).collect();
            json!({"term": {"matchExpressions": all}})
        };
        assert_eq!(paths(&term(&["a", "b"]), &term(&["b", "a"])), Vec::<String>::new());
        assert_eq!(paths(&term(&["a", "b"]), &term(&["a", "c"])), ["term.matchExpressions[1].key"]);
    }

    #[test]
    fn d22_the_last_variable_of_a_name_counts() {
        let env = |values: &[&str]| {
            let all: Vec<_> = values.iter().map(|value| json!({"name": "A", "value": value})).collect();
            json!({ "env": all })
        };
        assert_eq!(paths(&env(&["1", "2"]), &env(&["1", "2"])), Vec::<String>::new());
        assert_eq!(paths(&env(&["1", "2"]), &env(&["2"])), Vec::<String>::new());
        assert_eq!(paths(&env(&["2"]), &env(&["1", "2"])), Vec::<String>::new());
        assert_eq!(paths(&env(&["1"]), &env(&["1", "2"])), ["env[A].value"]);
    }

    #[test]
    fn a_field_that_the_newest_template_lacks_is_a_difference() {
        let older = json!({"spec": {"containers": [{"name": "postgres", "env": [{"name": "A"}]}]}});
        let newest = json!({"spec": {"containers": [{"name": "postgres"}]}});
        assert_eq!(template_differences(&newest, &older).len(), 1);
    }

    #[test]
    fn dynamic_configuration_restarts_nobody_but_local_parameters_do() {
        let spec = |text: &str| {
            json!({"spec": {"containers": [{"name": "postgres",
            "env": [{"name": "SPILO_CONFIGURATION", "value": text}]}]}})
        };
        let old = spec(r#"{"postgresql":{},"bootstrap":{"initdb":[],"dcs":{"ttl":20}}}"#);
        let dcs = spec(r#"{"bootstrap":{"dcs":{"ttl":30},"initdb":[]},"postgresql":{}}"#);
        let local =
            spec(r#"{"postgresql":{"parameters":{"shared_buffers":"32MB"}},"bootstrap":{"initdb":[]}}"#);
        assert!(template_differences(&dcs, &old).is_empty());
        assert_eq!(template_differences(&local, &old).len(), 1);
    }
}
