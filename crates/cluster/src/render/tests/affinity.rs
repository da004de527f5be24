//! Where pods run.

use super::*;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn affinity_at(level: Level, spec: Value, settings: &Settings) -> Value {
    pod_at(&intent(&manifest("acid-test-cluster", spec), settings), level)["affinity"].clone()
}

fn expression(key: &str, value: &str) -> Value {
    json!({"key": key, "operator": "In", "values": [value]})
}

fn term(expressions: &[Value]) -> Value {
    json!({ "matchExpressions": expressions })
}

fn required(terms: &[Value]) -> Value {
    json!({REQUIRED: {"nodeSelectorTerms": terms}})
}

fn ready(merge: &str) -> Settings {
    Settings {
        node_readiness_label: map(&[("status", "ready")]),
        node_readiness_label_merge: merge.into(),
        ..Settings::default()
    }
}

/// The rows of 03 §17.9 about node affinity: manifest, settings, the original, the newest level.
#[test]
fn vectors_03_17_9_node_affinity() {
    let own = || json!({"nodeAffinity": required(&[term(&[expression("test-label", "test-value")])])});
    let (one, two) = (expression("a", "1"), expression("b", "2"));
    let status = expression("status", "ready");
    let with = |terms: &[Value]| json!({"nodeAffinity": required(terms)});
    let two_terms = with(&[term(std::slice::from_ref(&one)), term(std::slice::from_ref(&two))]);
    let preferred = json!([{"weight": 1, "preference": term(std::slice::from_ref(&one))}]);
    let kept = json!({"nodeAffinity": {
        PREFERRED: preferred, REQUIRED: {"nodeSelectorTerms": [term(std::slice::from_ref(&status))]},
    }});
    let ready_term = term(std::slice::from_ref(&status));
    let or = with(&[term(&[expression("test-label", "test-value")]), ready_term.clone()]);
    let and = with(&[term(&[one.clone(), status.clone()]), term(&[two.clone(), status.clone()])]);
    let rows = [
        (own(), Settings::default(), own(), own()),
        (json!({}), Settings::default(), json!(null), json!(null)),
        (
            json!({}),
            ready("OR"),
            with(std::slice::from_ref(&ready_term)),
            with(std::slice::from_ref(&ready_term)),
        ),
        (own(), ready("OR"), or.clone(), or.clone()),
        (two_terms, ready("AND"), and.clone(), and),
        (own(), ready(""), own(), or),
        (json!({"nodeAffinity": {PREFERRED: preferred}}), ready("OR"), kept.clone(), kept),
    ];
    for (row, (spec, settings, original, newest)) in rows.into_iter().enumerate() {
        assert_eq!(affinity_at(Level::ORIGINAL, spec.clone(), &settings), original, "row {row}");
        assert_eq!(affinity_at(Level::NEWEST, spec, &settings), newest, "row {row}");
    }
}

/// The rows of 03 §17.9 about pods.
#[test]
fn vectors_03_17_9_pod_anti_affinity() {
    let on = Settings { enable_pod_antiaffinity: true, ..Settings::default() };
    let preferred = Settings { pod_antiaffinity_preferred_during_scheduling: true, ..on.clone() };
    let zone = Settings { pod_antiaffinity_topology_key: "zone".into(), ..on.clone() };
    let term = |key: &str| {
        json!({
            "labelSelector": {"matchLabels": {"application": "spilo", "cluster-name": "acid-test-cluster", "team": "acid"}},
            "topologyKey": key,
        })
    };
    let host = "kubernetes.io/hostname";
    let rows = [
        (Settings::default(), json!(null)),
        (on, json!({"podAntiAffinity": {REQUIRED: [term(host)]}})),
        (preferred, json!({"podAntiAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": term(host)}]}})),
        (zone, json!({"podAntiAffinity": {REQUIRED: [term("zone")]}})),
    ];
    for (settings, expected) in rows {
        for level in Level::all() {
            assert_eq!(affinity_at(level, json!({}), &settings), expected);
        }
    }
}

/// 03 §17.9, topology spread.
#[test]
fn vectors_03_17_9_topology_spread() {
    let bare = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"});
    let mut selecting = bare.clone();
    selecting["labelSelector"] = json!({"matchLabels": {"x": "y"}});
    let mut filled = bare.clone();
    filled["labelSelector"] =
        json!({"matchLabels": {"application": "spilo", "cluster-name": "acid-test-cluster"}});
    let spec = json!({"topologySpreadConstraints": [bare, selecting]});
    let intent = intent(&manifest("acid-test-cluster", spec), &Settings::default());
    let of = |level| pod_at(&intent, level)["topologySpreadConstraints"].clone();
    assert_eq!(of(Level::ORIGINAL), json!([bare, selecting]));
    assert_eq!(of(Level::REPAIRED), json!([filled, selecting]));
}

#[test]
fn tolerations() {
    let settings =
        Settings { toleration: map(&[("key", "db-only"), ("operator", "Exists")]), ..Settings::default() };
    let of =
        |spec: Value| pod(&intent(&manifest("acid-test-cluster", spec), &settings))["tolerations"].clone();
    assert_eq!(of(json!({})), json!([{"key": "db-only", "operator": "Exists"}]));
    let own = json!([{"key": "x", "operator": "Exists", "tolerationSeconds": 5}]);
    assert_eq!(of(json!({"tolerations": own})), own);
}
