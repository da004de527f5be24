//! What a deletion removes and what it keeps, by the settings; what it waits for and how it says so.

mod worlds;

use matriarch_cluster::{Cluster, Intent, render};
use matriarch_plan::{
    Action, ClaimSeen, NodeSeen, ObjectKey, ObjectSeen, Observation, PodSeen, SecretSeen, Seen, plan_deletion,
};
use matriarch_settings::Settings;
use serde_json::{Value, json};
use worlds::*;

fn rendered(settings: &Settings) -> Intent {
    let manifest = json!({
        "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
        "metadata": {"name": "acid-test", "namespace": "ns", "uid": "u", "generation": 3},
        "spec": {"teamId": "acid", "numberOfInstances": 2, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"}}});
    render(&Cluster::validate(&manifest, settings).expect("a valid manifest"), settings)
}

fn claim(ordinal: u32) -> ClaimSeen {
    ClaimSeen {
        name: format!("pgdata-acid-test-{ordinal}"),
        uid: format!("c{ordinal}"),
        deleting: false,
        ..ClaimSeen::default()
    }
}

/// The world of a running cluster whose Secrets carry the owner references that were rendered.
fn running(intent: &Intent) -> Observation {
    let mut seen = at_rest(intent);
    for secret in &intent.secrets {
        let metadata = secret.object.body["metadata"].clone();
        let found = SecretSeen { uid: "s".into(), metadata, has_password: true, ..SecretSeen::default() };
        seen.secrets.insert(secret.object.name.clone(), Seen::Present(found));
    }
    seen.claims = Seen::Present(vec![claim(0), claim(1)]);
    seen
}

fn refers_to_the_manifest(metadata: &Value) -> bool {
    metadata["ownerReferences"].as_array().into_iter().flatten().any(|owner| owner["uid"] == "u")
}

/// Carries out what was planned, and what Kubernetes does by itself; true when the finalizer is gone.
fn carry_out(seen: &mut Observation, intent: &Intent, settings: &Settings) -> bool {
    let plan = plan_deletion(intent, settings, seen);
    let mut done = false;
    for step in plan.steps {
        match step.action {
            Action::Delete { key, .. } if key.kind == "Secret" => {
                seen.secrets.insert(key.name, Seen::Absent);
            }
            Action::Delete { key, .. } if key.kind == "PersistentVolumeClaim" => {
                if let Seen::Present(claims) = &mut seen.claims {
                    claims.retain(|claim| claim.name != key.name);
                }
            }
            Action::Delete { key, .. } => {
                if let Some(Seen::Present(set)) = seen.objects.get(&key).filter(|_| key.kind == "StatefulSet")
                {
                    // The StatefulSet controller made the claims its own where its policy says so.
                    let policy = &set.body["spec"]["persistentVolumeClaimRetentionPolicy"];
                    if policy["whenDeleted"] == "Delete" {
                        seen.claims = Seen::Present(Vec::new());
                    }
                    seen.pods = Seen::Present(Vec::new());
                }
                seen.objects.insert(key, Seen::Absent);
            }
            Action::PatchMetadata { object, metadata, .. } => {
                assert_eq!(object.kind, "Secret", "only Secrets are kept");
                if let Some(Seen::Present(secret)) = seen.secrets.get_mut(&object.name) {
                    secret.metadata["ownerReferences"] = metadata["ownerReferences"].clone();
                }
            }
            Action::RemoveFinalizer => done = true,
            other => panic!("{other}"),
        }
    }
    done
}

/// Every combination of what keeps and what removes.
#[test]
fn the_matrix_of_retention() {
    for bits in 0..16_u32 {
        let (claims, secrets) = (bits & 1 > 0, bits & 2 > 0);
        let (owners, policy) = (bits & 4 > 0, bits & 8 > 0);
        let when = if policy { "delete" } else { "retain" };
        let settings = Settings {
            enable_persistent_volume_claim_deletion: claims,
            enable_secrets_deletion: secrets,
            enable_owner_references: owners,
            persistent_volume_claim_retention_policy: [("when_deleted".to_owned(), when.to_owned())].into(),
            ..Settings::default()
        };
        let intent = rendered(&settings);
        let mut seen = running(&intent);
        let what = format!("claims {claims}, secrets {secrets}, owner references {owners}, policy {when}");
        let passes = (0..20).position(|_| carry_out(&mut seen, &intent, &settings));
        assert!(passes.is_some(), "{what}: the finalizer stays");
        // With the manifest goes what refers to it.
        let kept = seen.secrets.values().filter_map(Seen::present);
        let kept = kept.filter(|secret| !refers_to_the_manifest(&secret.metadata)).count();
        assert_eq!(kept, if secrets { 0 } else { intent.secrets.len() }, "{what}: Secrets");
        let claims_left = seen.claims.present().map_or(0, Vec::len);
        assert_eq!(claims_left, if claims || policy { 0 } else { 2 }, "{what}: claims");
        let shared = |key: &ObjectKey| matches!(key.kind.as_str(), "ServiceAccount" | "RoleBinding");
        let left: Vec<_> = seen
            .objects
            .iter()
            .filter(|(key, object)| object.present().is_some() && !shared(key))
            .map(|(key, _)| key.name.clone())
            .collect();
        assert_eq!(left, Vec::<String>::new(), "{what}");
    }
}

fn gone(intent: &Intent) -> Observation {
    let mut seen = running(intent);
    seen.objects.values_mut().for_each(|object| *object = Seen::Absent);
    seen.secrets.values_mut().for_each(|secret| *secret = Seen::Absent);
    (seen.pods, seen.claims) = (Seen::Present(Vec::new()), Seen::Present(Vec::new()));
    seen
}

/// Somebody was faster: nothing is missed and nothing is waited for.
#[test]
fn a_cluster_of_which_nothing_is_left_lets_its_manifest_go() {
    let settings = Settings::default();
    let intent = rendered(&settings);
    let plan = plan_deletion(&intent, &settings, &gone(&intent));
    assert_eq!(actions(&plan), ["remove the finalizer from the manifest"], "{plan}");
}

#[test]
fn pods_without_their_stateful_set_are_deleted() {
    let settings = Settings::default();
    let intent = rendered(&settings);
    let mut seen = gone(&intent);
    seen.pods = Seen::Present(vec![pod(0, NEW), PodSeen { deleting: true, ..pod(1, NEW) }]);
    let plan = plan_deletion(&intent, &settings, &seen);
    assert_eq!(actions(&plan), ["delete Pod acid-test-0"]);
    assert_eq!(gates(&plan), ["Pod acid-test-0 is gone: it is terminating"]);
    // One that cannot be read may still be there: it ends its own pods.
    seen.objects.insert(ObjectKey::new("StatefulSet", "acid-test"), Seen::Unknown("timeout".into()));
    assert_eq!(actions(&plan_deletion(&intent, &settings, &seen)), Vec::<String>::new());
}

/// Nobody can say that a pod on a lost node ended; only a person may force it.
#[test]
fn a_pod_on_a_lost_node_is_named_with_the_cure() {
    let settings = Settings::default();
    let intent = rendered(&settings);
    let mut seen = gone(&intent);
    let stuck = PodSeen { deleting: true, node: Some("n1".into()), ..pod(0, NEW) };
    seen.pods = Seen::Present(vec![stuck]);
    let rows = [
        (Seen::Absent, Some("its node n1 does not exist any more")),
        (Seen::Present(NodeSeen::default()), Some("its node n1 is not ready")),
        (Seen::Present(NodeSeen { ready: true, ..NodeSeen::default() }), None),
        (Seen::Unknown("forbidden".into()), None),
    ];
    for (node, words) in rows {
        seen.nodes.insert("n1".into(), node);
        let plan = plan_deletion(&intent, &settings, &seen);
        assert_eq!(actions(&plan), Vec::<String>::new());
        assert_eq!(plan.gates[0].stuck, words.is_some(), "{plan}");
        let cure = "kubectl delete pod acid-test-0 --force";
        assert_eq!(plan.gates[0].because.contains(cure), words.is_some(), "{plan}");
        assert!(plan.gates[0].because.contains(words.unwrap_or("terminating")), "{plan}");
    }
}

#[test]
fn a_deletion_touches_nothing_of_others() {
    let settings = Settings::default();
    let intent = rendered(&settings);
    let mut seen = gone(&intent);
    let foreign = ObjectSeen { uid: "x".into(), body: json!({"metadata": {"labels": {"team": "acid"}}}) };
    seen.objects.insert(ObjectKey::new("Service", "acid-test"), Seen::Present(foreign));
    let plan = plan_deletion(&intent, &settings, &seen);
    assert_eq!(actions(&plan), ["remove the finalizer from the manifest"], "{plan}");
}

#[test]
fn a_paused_cluster_is_not_deleted() {
    let settings = Settings::default();
    let mut intent = rendered(&settings);
    intent.policy.paused = true;
    let plan = plan_deletion(&intent, &settings, &running(&intent));
    assert!(!plan.steps.is_empty());
    assert!(matriarch_plan::Executor::new(&plan).next_step().is_none());
}

/// Only an explicit `false` leaves the finalizer out, and takes it away where it stands.
#[test]
fn the_finalizer_follows_enable_finalizers() {
    for (value, present, step) in [
        (None, false, Some("add the finalizer to the manifest")),
        (None, true, None),
        (Some(true), false, Some("add the finalizer to the manifest")),
        (Some(true), true, None),
        (Some(false), false, None),
        (Some(false), true, Some("remove the finalizer from the manifest")),
    ] {
        let settings = Settings { enable_finalizers: value, ..Settings::default() };
        let intent = rendered(&settings);
        let seen = Observation { has_finalizer: present, ..at_rest(&intent) };
        let steps = actions(&matriarch_plan::plan_cluster(&intent, &seen));
        assert_eq!(steps, step.into_iter().collect::<Vec<_>>(), "{value:?} {present}");
    }
}
