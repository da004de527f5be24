//! What follows from a manifest and settings, in named parts that can be compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use matriarch_cluster::windows::Windows;
use matriarch_cluster::{Cluster, Intent, Level, Object, Problem, render_with, status_word_for_problems};
use matriarch_plan::protection::missing_for_deletion;
use matriarch_plan::{ClaimSeen, ObjectKey, Observation, SecretSeen, Seen, plan_deletion};
use matriarch_settings::Settings;
use serde_json::{Value, json};

use crate::base;

/// Parts by name.
#[derive(Debug, PartialEq)]
pub struct Outcome(BTreeMap<String, Value>);

/// What follows; the error is a refusal.
pub fn of(manifest: &Value, settings: &Settings) -> Result<Outcome, Vec<Problem>> {
    let cluster = Cluster::validate(manifest, settings)?;
    let references = base::references(settings);
    let intent = render_with(&cluster, settings, &references, &base::facts());
    let mut parts = BTreeMap::new();
    for object in intent.objects() {
        parts.insert(format!("{} {}", object.kind, object.name), object.body.clone());
    }
    let original = intent.stateful_set_at(Level::ORIGINAL);
    parts.insert("StatefulSet of the original".to_owned(), original.body.clone());
    for (name, value) in [
        ("roles", json!(intent.roles)),
        ("databases", json!(intent.databases)),
        ("Patroni's configuration", intent.patroni.clone()),
        ("number of pods", json!(intent.instances)),
        ("selector", json!(intent.selector)),
        ("notices", json!(intent.notices)),
        ("passwords", json!(intent.secrets.iter().map(|s| (&s.role, &s.password)).collect::<Vec<_>>())),
        ("users of poolers", json!(intent.poolers.iter().map(|pooler| &pooler.users).collect::<Vec<_>>())),
        ("what is removed", json!(intent.unwanted)),
        ("maintenance windows", windows(&cluster, settings)),
        ("people who may log in", json!(references.humans)),
        ("what a deletion removes", deletion(&intent, settings)),
        ("what a deletion asks for", protection(manifest, settings)),
        ("how the plan acts", whole(&intent)),
    ] {
        parts.insert(name.to_owned(), value);
    }
    Ok(Outcome(parts))
}

/// Everything else that somebody may add to an intent.
fn whole(intent: &Intent) -> Value {
    let mut rest = intent.clone();
    let none = Object::default;
    (rest.stateful_set, rest.pod_service_account, rest.pod_role_binding) = (none(), none(), none());
    rest.older_stateful_sets.clear();
    json!(rest)
}

fn windows(cluster: &Cluster, settings: &Settings) -> Value {
    let windows = Windows::of(cluster, settings);
    // A Tuesday.
    let now: Timestamp = "2025-11-11T12:35:00Z".parse().unwrap();
    json!([windows.contain(now), windows.next_start_for_patroni(now)])
}

fn deletion(intent: &Intent, settings: &Settings) -> Value {
    let secret = SecretSeen { uid: "s".to_owned(), ..SecretSeen::default() };
    let claim = ClaimSeen {
        name: "pgdata-acid-test-cluster-0".to_owned(),
        uid: "c".to_owned(),
        deleting: false,
        ..ClaimSeen::default()
    };
    let mut steps = BTreeSet::new();
    let with_secret = Observation {
        secrets: BTreeMap::from([("acid-secret".to_owned(), Seen::Present(secret))]),
        ..nothing(intent)
    };
    let with_claim = Observation { claims: Seen::Present(vec![claim]), ..nothing(intent) };
    for seen in [with_secret, with_claim] {
        let plan = plan_deletion(intent, settings, &seen);
        steps.extend(plan.steps.iter().map(|step| step.action.to_string()));
    }
    json!(steps)
}

fn protection(manifest: &Value, settings: &Settings) -> Value {
    let metadata = &manifest["metadata"];
    let name = metadata["name"].as_str().unwrap();
    let missing =
        missing_for_deletion(settings, &metadata["annotations"], name, "2025-11-11".parse().unwrap());
    json!(missing.map(|reason| reason.to_string()))
}

/// A cluster of which nothing is there.
fn nothing(intent: &Intent) -> Observation {
    let rendered = intent.objects().map(|object| ObjectKey::new(&object.kind, &object.name));
    let unwanted = intent.unwanted.iter().map(|unwanted| ObjectKey::new(&unwanted.kind, &unwanted.name));
    Observation {
        objects: rendered.chain(unwanted).map(|key| (key, Seen::Absent)).collect(),
        pods: Seen::Present(Vec::new()),
        claims: Seen::Present(Vec::new()),
        patroni_objects: Seen::Present(Vec::new()),
        ..Observation::default()
    }
}

/// What differs, kinds instead of objects; empty if nothing does. A refusal differs from anything
/// but the same refusal.
pub fn changes(
    before: &Result<Outcome, Vec<Problem>>,
    after: &Result<Outcome, Vec<Problem>>,
) -> BTreeSet<String> {
    let (before, after) = match (before, after) {
        (Ok(before), Ok(after)) => (&before.0, &after.0),
        (Err(before), Err(after)) if before == after => return BTreeSet::new(),
        (_, Err(problems)) | (Err(problems), _) => {
            return BTreeSet::from([format!("refused: {}", status_word_for_problems(problems, false))]);
        }
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let mut changes: BTreeSet<String> = differing
        .map(|name| match name.split_once(" acid") {
            _ if name == "StatefulSet of the original" => "StatefulSet".to_owned(),
            _ => name
                .split_once(' ')
                .filter(|(kind, _)| is_kind(kind))
                .map_or(name.clone(), |(kind, _)| kind.to_owned()),
        })
        .collect();
    if changes.len() > 1 {
        changes.remove("how the plan acts");
    }
    changes
}

fn is_kind(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase()) && !word.contains('\'')
}
