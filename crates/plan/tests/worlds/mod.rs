//! A cluster at rest and what can be changed about it, for tests that call the planner with literals.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;

use matriarch_cluster::{Cluster, Intent, render};
use matriarch_plan::{
    Gate, Member, ObjectKey, ObjectSeen, Observation, PatroniSeen, Plan, PodSeen, SecretSeen, Seen,
};
use matriarch_settings::Settings;
use matriarch_sql::{Catalog, CatalogRole, PasswordState};
use serde_json::{Value, json};

pub const NEW: &str = "acid-test-new";
pub const OLD: &str = "acid-test-old";

pub fn intent(instances: u32) -> Intent {
    annotated(instances, json!({}))
}

/// The intent of a manifest with these annotations.
pub fn annotated(instances: u32, annotations: Value) -> Intent {
    let mut manifest = json!({
        "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
        "metadata": {"name": "acid-test", "namespace": "ns", "uid": "u", "generation": 3},
        "spec": {"teamId": "acid", "numberOfInstances": instances, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"}, "users": {"app": []}, "databases": {"app": "app"}}});
    manifest["metadata"]["annotations"] = annotations;
    let settings = Settings::default();
    render(&Cluster::validate(&manifest, &settings).expect("a valid manifest"), &settings)
}

pub fn pod(ordinal: u32, revision: &str) -> PodSeen {
    PodSeen {
        name: format!("acid-test-{ordinal}"),
        uid: format!("pod-{ordinal}"),
        ordinal,
        ready: true,
        revision: revision.to_owned(),
        ..PodSeen::default()
    }
}

pub fn member(ordinal: u32, role: &str) -> Member {
    let state = if role == "leader" { "running" } else { "streaming" };
    Member {
        name: format!("acid-test-{ordinal}"),
        role: role.to_owned(),
        state: state.to_owned(),
        lag_bytes: Some(0),
        ..Member::default()
    }
}

/// A cluster at rest: everything as the intent says, `acid-test-0` is the primary.
pub fn at_rest(intent: &Intent) -> Observation {
    let template = intent.stateful_set.body["spec"]["template"].clone();
    let mut older = template.clone();
    older["spec"]["containers"][0]["image"] = json!("older");
    let objects = intent.objects().filter(|object| object.kind != "Secret").map(|object| {
        let mut body = object.body.clone();
        if object.kind == "StatefulSet" {
            body["metadata"]["generation"] = json!(1);
            body["status"] = json!({"observedGeneration": 1, "updateRevision": NEW});
        }
        let seen = ObjectSeen { uid: format!("uid-{}", object.name), body };
        (ObjectKey::new(&object.kind, &object.name), Seen::Present(seen))
    });
    let unwanted = intent.unwanted.iter().map(|one| (ObjectKey::new(&one.kind, &one.name), Seen::Absent));
    let objects = objects.chain(unwanted);
    let secrets = intent.secrets.iter().map(|secret| {
        let seen = SecretSeen {
            uid: "s".into(),
            username: secret.username.clone(),
            has_password: true,
            ..SecretSeen::default()
        };
        (secret.object.name.clone(), Seen::Present(seen))
    });
    let roles = intent.roles.iter().map(|role| {
        let live = CatalogRole { flags: role.flags, verifier: Some("set".into()), ..CatalogRole::default() };
        (role.name.clone(), live)
    });
    let databases = intent.databases.iter().map(|db| (db.name.clone(), db.owner.clone()));
    let members = (0..intent.instances).map(|n| member(n, if n == 0 { "leader" } else { "replica" }));
    Observation {
        has_finalizer: true,
        objects: objects.collect(),
        secrets: secrets.collect(),
        pods: Seen::Present((0..intent.instances).map(|ordinal| pod(ordinal, NEW)).collect()),
        revisions: BTreeMap::from([(OLD.to_owned(), Seen::Present(older))]),
        claims: Seen::Present(Vec::new()),
        patroni_objects: Seen::Present(Vec::new()),
        user_lists: BTreeMap::new(),
        streams: Seen::Absent,
        leader: Seen::Present("acid-test-0".into()),
        patroni: Seen::Present(PatroniSeen {
            members: members.collect(),
            paused: false,
            config: Seen::Present(intent.patroni.clone()),
            ..PatroniSeen::default()
        }),
        catalog: Seen::Present(Catalog {
            roles: roles.collect(),
            databases: databases.collect(),
            ..Catalog::default()
        }),
        passwords: intent
            .roles
            .iter()
            .filter_map(|role| Some((role.secret.clone()?, PasswordState::Matches)))
            .collect(),
        ..Observation::default()
    }
}

pub fn pods_mut(seen: &mut Observation) -> &mut Vec<PodSeen> {
    match &mut seen.pods {
        Seen::Present(pods) => pods,
        other => panic!("pods are {other:?}"),
    }
}

pub fn patroni_mut(seen: &mut Observation) -> &mut PatroniSeen {
    match &mut seen.patroni {
        Seen::Present(patroni) => patroni,
        other => panic!("Patroni is {other:?}"),
    }
}

pub fn actions(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.action.to_string()).collect()
}

pub fn gates(plan: &Plan) -> Vec<String> {
    plan.gates.iter().map(|Gate { until, because, .. }| format!("{until}: {because}")).collect()
}

pub fn set_mut(seen: &mut Observation) -> &mut ObjectSeen {
    match seen.objects.get_mut(&ObjectKey::new("StatefulSet", "acid-test")) {
        Some(Seen::Present(set)) => set,
        other => panic!("the StatefulSet is {other:?}"),
    }
}
