//! The planner, called with literals: no cluster, no clock.

use std::collections::BTreeMap;

use matriarch_cluster::{Cluster, Intent, render};
use matriarch_plan::{
    Action, Gate, Member, ObjectKey, ObjectSeen, Observation, PatroniObject, PatroniSeen, Plan, PodSeen,
    SecretSeen, Seen,
    plan_cluster, plan_deletion,
};
use matriarch_settings::Settings;
use matriarch_sql::{Catalog, CatalogRole, PasswordState};
use serde_json::{Value, json};

const NEW: &str = "acid-test-new";
const OLD: &str = "acid-test-old";

fn intent(instances: u32) -> Intent {
    let manifest = json!({
        "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
        "metadata": {"name": "acid-test", "namespace": "ns", "uid": "u", "generation": 3},
        "spec": {"teamId": "acid", "numberOfInstances": instances, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"}, "users": {"app": []}, "databases": {"app": "app"}}});
    let settings = Settings::default();
    render(&Cluster::validate(&manifest, &settings).expect("a valid manifest"), &settings)
}

fn pod(ordinal: u32, revision: &str) -> PodSeen {
    PodSeen {
        name: format!("acid-test-{ordinal}"),
        uid: format!("pod-{ordinal}"),
        ordinal,
        ready: true,
        revision: revision.to_owned(),
        ..PodSeen::default()
    }
}

fn member(ordinal: u32, role: &str) -> Member {
    let state = if role == "leader" { "running" } else { "streaming" };
    Member {
        name: format!("acid-test-{ordinal}"),
        role: role.to_owned(),
        state: state.to_owned(),
        lag_bytes: Some(0),
        pending_restart: None,
    }
}

/// A cluster at rest: everything as the intent says, `acid-test-0` is the primary.
fn at_rest(intent: &Intent) -> Observation {
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
        }),
        catalog: Seen::Present(Catalog { roles: roles.collect(), databases: databases.collect() }),
        passwords: intent
            .roles
            .iter()
            .filter_map(|role| Some((role.secret.clone()?, PasswordState::Matches)))
            .collect(),
    }
}

fn pods_mut(seen: &mut Observation) -> &mut Vec<PodSeen> {
    match &mut seen.pods {
        Seen::Present(pods) => pods,
        other => panic!("pods are {other:?}"),
    }
}

fn patroni_mut(seen: &mut Observation) -> &mut PatroniSeen {
    match &mut seen.patroni {
        Seen::Present(patroni) => patroni,
        other => panic!("Patroni is {other:?}"),
    }
}

fn actions(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.action.to_string()).collect()
}

fn gates(plan: &Plan) -> Vec<String> {
    plan.gates.iter().map(|Gate { until, because, .. }| format!("{until}: {because}")).collect()
}

#[test]
fn a_cluster_at_rest_needs_nothing() {
    let intent = intent(3);
    let plan = plan_cluster(&intent, &at_rest(&intent));
    assert!(plan.is_settled(), "{plan}");
}

#[test]
fn a_rolling_update_takes_the_highest_replica_first() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen).iter_mut().for_each(|pod| pod.revision = OLD.into());
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["recreate pod acid-test-2"]);
    assert!(plan.steps[0].reasons().contains("image"), "{plan}");
}

#[test]
fn the_next_replica_waits_until_the_last_one_streams() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[0].revision = OLD.into();
    pods_mut(&mut seen)[1].revision = OLD.into();
    patroni_mut(&mut seen).members[2].state = "starting".into();
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert_eq!(gates(&plan), ["acid-test-2 streams: Patroni says it is \"starting\""]);
}

#[test]
fn a_replica_that_runs_without_streaming_is_not_up() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    patroni_mut(&mut seen).members[1].state = "running".into();
    assert_eq!(gates(&plan_cluster(&intent, &seen)), ["acid-test-1 streams: Patroni says it is \"running\""]);
}

#[test]
fn the_old_primary_is_left_by_a_switchover_and_goes_last() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[0].revision = OLD.into();
    patroni_mut(&mut seen).members[1].lag_bytes = Some(100);
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["switch over from acid-test-0 to acid-test-2"]);

    seen.leader = Seen::Present("acid-test-2".into());
    patroni_mut(&mut seen).members = vec![member(0, "replica"), member(1, "replica"), member(2, "leader")];
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["recreate pod acid-test-0"]);
}

#[test]
fn a_rollout_stops_at_the_first_pod_that_does_not_come_back() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    let pods = pods_mut(&mut seen);
    pods.iter_mut().for_each(|pod| pod.revision = OLD.into());
    pods[2] = PodSeen {
        ready: false,
        age_seconds: 30,
        waiting: Some("ImagePullBackOff: no such image".into()),
        ..pod(2, NEW)
    };
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert!(plan.gates.iter().any(|gate| gate.stuck), "{plan}");
}

#[test]
fn after_a_revert_the_broken_replica_is_replaced_and_nobody_else() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[2] =
        PodSeen { ready: false, waiting: Some("ImagePullBackOff: no such image".into()), ..pod(2, OLD) };
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-2"]);
}

#[test]
fn tolerations_that_the_api_server_adds_to_pods_restart_nobody() {
    // D2: pods were compared with the template and recreated for ever; now revisions are.
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    let older = intent.stateful_set.body["spec"]["template"].clone();
    seen.revisions.insert(OLD.into(), Seen::Present(older));
    pods_mut(&mut seen)[1].revision = OLD.into();
    assert!(plan_cluster(&intent, &seen).is_settled());
}

#[test]
fn unknown_templates_leave_pods_alone() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[1].revision = OLD.into();
    seen.revisions.insert(OLD.into(), Seen::Unknown("timeout".into()));
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert_eq!(gates(&plan), ["every pod's template is known: timeout"]);
}

#[test]
fn two_opinions_about_the_primary_leave_pods_alone() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[1].revision = OLD.into();
    seen.leader = Seen::Present("acid-test-1".into());
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(plan.disruptive_steps(), 0, "{plan}");
}

#[test]
fn a_scale_down_waits_until_the_primary_is_among_the_survivors() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("StatefulSet", "acid-test");
    if let Some(Seen::Present(set)) = seen.objects.get_mut(&key) {
        set.body["spec"]["replicas"] = json!(2);
    }
    seen.pods = Seen::Present(vec![pod(0, NEW), pod(1, NEW)]);
    seen.leader = Seen::Present("acid-test-1".into());
    patroni_mut(&mut seen).members = vec![member(0, "replica"), member(1, "leader")];
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["switch over from acid-test-1 to acid-test-0"]);

    seen.leader = Seen::Present("acid-test-0".into());
    patroni_mut(&mut seen).members = vec![member(0, "leader"), member(1, "replica")];
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["update StatefulSet acid-test"]);
}

#[test]
fn drift_is_repaired_and_named() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("Service", "acid-test");
    if let Some(Seen::Present(service)) = seen.objects.get_mut(&key) {
        service.body["spec"]["selector"]["spilo-role"] = json!("replica");
    }
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["update Service acid-test"]);
    assert_eq!(plan.steps[0].reasons(), "spec.selector.spilo-role replica → master");
}

#[test]
fn a_service_port_changed_by_hand_is_replaced_as_a_whole() {
    // D6: a merge by key kept the foreign port, and the API server refused both.
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("Service", "acid-test");
    if let Some(Seen::Present(service)) = seen.objects.get_mut(&key) {
        service.body["spec"]["ports"][0]["port"] = json!(5433);
    }
    let plan = plan_cluster(&intent, &seen);
    let Some(Action::Apply { whole_lists, .. }) = plan.steps.first().map(|step| &step.action) else {
        panic!("{plan}")
    };
    assert_eq!(*whole_lists, ["ports"]);
    assert!(plan.steps[0].reasons().contains("spec.ports[5433]"), "{plan}");
}

#[test]
fn somebody_elses_object_is_refused_not_taken() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    let body = json!({"metadata": {"labels": {}}, "spec": {}});
    let foreign = Seen::Present(ObjectSeen { uid: "x".into(), body });
    seen.objects.insert(ObjectKey::new("Service", "acid-test"), foreign);
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert_eq!(plan.refusals.len(), 1, "{plan}");
}

#[test]
fn immutable_fields_are_refused_and_the_rest_goes_through() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("StatefulSet", "acid-test");
    if let Some(Seen::Present(set)) = seen.objects.get_mut(&key) {
        set.body["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] =
            json!("5Gi");
        set.body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    }
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["update StatefulSet acid-test"]);
    let Action::Apply { object, .. } = &plan.steps[0].action else { panic!("{plan}") };
    let kept = &object.body["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"];
    assert_eq!(*kept, json!("5Gi"));
    assert!(plan.refusals[0].what.contains("5Gi → 1Gi"), "{plan}");
}

#[test]
fn parameters_that_shrink_restart_the_primary_first_others_the_replica() {
    let intent = intent(2);
    let pending = |old: &str, new: &str| {
        Some(BTreeMap::from([("max_connections".to_owned(), (old.to_owned(), new.to_owned()))]))
    };
    for (old, new, first) in [("200", "100", "acid-test-0"), ("100", "200", "acid-test-1")] {
        let mut seen = at_rest(&intent);
        for member in &mut patroni_mut(&mut seen).members {
            member.pending_restart = pending(old, new);
        }
        let plan = plan_cluster(&intent, &seen);
        assert_eq!(actions(&plan), [format!("restart PostgreSQL in {first}")]);
    }
}

#[test]
fn deletion_keeps_patronis_objects_and_claims_until_the_pods_are_gone() {
    let intent = intent(1);
    let settings = Settings::default();
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("ConfigMap", "acid-test-leader");
    let leader = PatroniObject { key, uid: "l".into(), ..PatroniObject::default() };
    seen.patroni_objects = Seen::Present(vec![leader]);
    let plan = plan_deletion(&intent, &settings, &seen);
    assert!(actions(&plan).contains(&"delete StatefulSet acid-test".to_owned()), "{plan}");
    assert!(!actions(&plan).iter().any(|action| action.contains("ConfigMap")), "{plan}");

    let absent = |seen: &mut Observation| {
        seen.objects.values_mut().for_each(|object| *object = Seen::Absent);
        seen.secrets.values_mut().for_each(|secret| *secret = Seen::Absent);
        seen.pods = Seen::Present(Vec::new());
    };
    absent(&mut seen);
    assert_eq!(actions(&plan_deletion(&intent, &settings, &seen)), ["delete ConfigMap acid-test-leader"]);
    seen.patroni_objects = Seen::Present(Vec::new());
    assert_eq!(
        actions(&plan_deletion(&intent, &settings, &seen)),
        ["remove the finalizer from the manifest"]
    );
}

#[test]
fn deletion_waits_for_what_it_cannot_see() {
    let intent = intent(1);
    let mut seen = Observation { has_finalizer: true, ..Observation::default() };
    seen.pods = Seen::Unknown("timeout".into());
    let plan = plan_deletion(&intent, &Settings::default(), &seen);
    assert_eq!(actions(&plan), Vec::<String>::new());
    assert!(!plan.gates.is_empty());
}

#[test]
fn no_plan_shows_a_password() {
    let intent = intent(2);
    let seen = at_rest(&intent);
    let text: Value = serde_json::to_value(plan_cluster(&intent, &seen)).expect("a plan is JSON");
    assert!(!text.to_string().contains("SCRAM-SHA-256$"), "{text}");
}
