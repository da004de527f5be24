//! The planner, called with literals: no cluster, no clock.

use std::collections::BTreeMap;

mod worlds;

use matriarch_cluster::{Intent, LEVEL_ANNOTATION, Object, Unresolved, Unwanted};
use matriarch_plan::{
    Action, ObjectKey, ObjectSeen, Observation, PatroniObject, Plan, PodSeen, Seen, plan_cluster,
    plan_deletion,
};
use matriarch_settings::Settings;
use serde_json::{Value, json};
use worlds::*;

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
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["switch over from acid-test-1 to acid-test-0"], "{plan}");

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

/// An intent with a repair of the template between level 0 and the newest.
fn intent_with_a_repair() -> Intent {
    let mut intent = intent(2);
    intent.stateful_set.body["spec"]["template"]["spec"]["repaired"] = json!("yes");
    let mut older = intent.stateful_set.clone();
    older.body["spec"]["template"]["spec"]["repaired"] = json!("no");
    older.body["metadata"]["annotations"] = Value::Null;
    intent.older_stateful_sets = vec![older];
    intent
}

/// The cluster as the original left it: level 0, no annotation.
fn as_the_original_left_it(intent: &Intent) -> Observation {
    let mut seen = at_rest(intent);
    let set = set_mut(&mut seen);
    set.body["spec"] = intent.older_stateful_sets[0].body["spec"].clone();
    set.body["metadata"]["annotations"] = Value::Null;
    seen
}

fn applied<'a>(plan: &'a Plan, kind: &str) -> &'a Value {
    let found = plan.steps.iter().find_map(|step| match &step.action {
        Action::Apply { object, .. } if object.kind == kind => Some(&object.body),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no {kind} is applied: {plan}"))
}

#[test]
fn a_repair_alone_changes_nothing() {
    let intent = intent_with_a_repair();
    let plan = plan_cluster(&intent, &as_the_original_left_it(&intent));
    assert!(plan.is_settled(), "{plan}");
}

#[test]
fn the_level_rises_with_a_change_of_the_template() {
    let intent = intent_with_a_repair();
    let mut seen = as_the_original_left_it(&intent);
    set_mut(&mut seen).body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("older");
    let plan = plan_cluster(&intent, &seen);
    let set = applied(&plan, "StatefulSet");
    assert_eq!(set["spec"]["template"]["spec"]["repaired"], "yes");
    assert_eq!(set["metadata"]["annotations"][LEVEL_ANNOTATION], "1");
    assert!(plan.steps[0].reasons().contains("(recreates pods)"), "{plan}");
}

#[test]
fn the_level_stays_when_nobody_restarts() {
    let intent = intent_with_a_repair();
    let mut seen = as_the_original_left_it(&intent);
    set_mut(&mut seen).body["spec"]["updateStrategy"]["type"] = json!("RollingUpdate");
    let plan = plan_cluster(&intent, &seen);
    let set = applied(&plan, "StatefulSet");
    assert_eq!(set["spec"]["template"]["spec"]["repaired"], "no");
    assert_eq!(set["metadata"]["annotations"], Value::Null);
}

#[test]
fn the_level_in_the_annotation_is_kept() {
    let intent = intent_with_a_repair();
    let mut seen = at_rest(&intent);
    set_mut(&mut seen).body["metadata"]["annotations"] = json!({LEVEL_ANNOTATION: "1"});
    assert!(plan_cluster(&intent, &seen).is_settled());
    // Forced by hand on a template of the original: the repair is wanted now, and pods roll.
    let mut seen = as_the_original_left_it(&intent);
    set_mut(&mut seen).body["metadata"]["annotations"] = json!({LEVEL_ANNOTATION: "1"});
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(applied(&plan, "StatefulSet")["spec"]["template"]["spec"]["repaired"], "yes");
}

#[test]
fn a_new_cluster_gets_the_newest_level_and_pods_that_stand_keep_theirs() {
    let intent = intent_with_a_repair();
    let absent = |seen: &mut Observation| {
        seen.objects.insert(ObjectKey::new("StatefulSet", "acid-test"), Seen::Absent);
    };
    let mut seen = at_rest(&intent);
    absent(&mut seen);
    seen.pods = Seen::Present(Vec::new());
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(applied(&plan, "StatefulSet")["metadata"]["annotations"][LEVEL_ANNOTATION], "1");

    // Lost between the two halves of a replacement: the pods are as the original made them.
    let mut seen = as_the_original_left_it(&intent);
    absent(&mut seen);
    let template = intent.older_stateful_sets[0].body["spec"]["template"].clone();
    seen.revisions.insert(NEW.to_owned(), Seen::Present(template));
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(applied(&plan, "StatefulSet")["spec"]["template"]["spec"]["repaired"], "no");

    seen.pods = Seen::Unknown("timeout".into());
    let plan = plan_cluster(&intent, &seen);
    assert!(actions(&plan).is_empty(), "{plan}");
}

#[test]
fn what_cannot_be_followed_keeps_the_stateful_set() {
    let mut intent = intent(1);
    intent.unresolved =
        vec![Unresolved { field: "pod_environment_secret".into(), why: "Secret env does not exist".into() }];
    let mut seen = at_rest(&intent);
    set_mut(&mut seen).body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("older");
    let plan = plan_cluster(&intent, &seen);
    assert!(actions(&plan).is_empty(), "{plan}");
    assert_eq!(gates(&plan), ["pod_environment_secret can be followed: Secret env does not exist"]);
}

#[test]
fn immutable_fields_replace_the_stateful_set_and_keep_its_pods() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    let claim = &mut set_mut(&mut seen).body["spec"]["volumeClaimTemplates"][0];
    claim["spec"]["resources"]["requests"]["storage"] = json!("512Mi");
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["replace StatefulSet acid-test, keeping its pods"]);
    assert_eq!(plan.disruptive_steps(), 0);
    // While the old one goes nothing is done, to pods neither.
    set_mut(&mut seen).body["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z");
    let plan = plan_cluster(&intent, &seen);
    assert!(actions(&plan).is_empty() && !plan.gates.is_empty(), "{plan}");
}

fn by_the_original(body: &mut Value) {
    body["metadata"]["resourceVersion"] = json!("7");
    body["metadata"]["managedFields"] = json!([{"manager": "postgres-operator", "operation": "Update",
        "apiVersion": body["apiVersion"], "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:ports": {}}}}]);
}

#[test]
fn fields_of_a_predecessor_are_adopted_once() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("Service", "acid-test");
    if let Some(Seen::Present(service)) = seen.objects.get_mut(&key) {
        by_the_original(&mut service.body);
    }
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["adopt the fields of Service acid-test", "update Service acid-test"]);
    assert_eq!(plan.disruptive_steps(), 0);
    let Action::AdoptFields { managed_fields, .. } = &plan.steps[0].action else { panic!("{plan}") };
    if let Some(Seen::Present(service)) = seen.objects.get_mut(&key) {
        service.body["metadata"]["managedFields"] = managed_fields.clone();
    }
    assert!(plan_cluster(&intent, &seen).is_settled());
}

#[test]
fn of_a_secret_only_the_metadata_is_adopted() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    let secret = &intent.secrets[0];
    let mut body = secret.object.body.clone();
    by_the_original(&mut body);
    if let Some(Seen::Present(live)) = seen.secrets.get_mut(&secret.object.name) {
        live.metadata = body["metadata"].clone();
    }
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(plan.steps.len(), 2, "{plan}");
    let applied = applied(&plan, "Secret");
    assert_eq!(applied["metadata"]["uid"], "s");
    assert!(applied.get("data").is_none() && applied.get("type").is_none(), "{applied}");
}

#[test]
fn endpoints_are_made_once_and_then_only_their_metadata_is_patched() {
    // D29: replacing them wiped Patroni's lock.
    let mut intent = intent(1);
    let metadata = json!({"name": "acid-test", "namespace": "ns", "labels": {
        "application": "spilo", "cluster-name": "acid-test", "spilo-role": "master"}});
    intent.endpoints = vec![Object {
        api_version: "v1".into(),
        kind: "Endpoints".into(),
        namespace: "ns".into(),
        name: "acid-test".into(),
        body: json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}),
    }];
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("Endpoints", "acid-test");
    seen.objects.insert(key.clone(), Seen::Absent);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["create Endpoints acid-test"]);

    let mut body = intent.endpoints[0].body.clone();
    body["metadata"]["labels"]["spilo-role"] = json!("replica");
    body["metadata"]["annotations"] = json!({"leader": "acid-test-0"});
    body["subsets"] = json!([{"addresses": [{"ip": "10.0.0.1"}]}]);
    seen.objects.insert(key, Seen::Present(ObjectSeen { uid: "e".into(), body }));
    let plan = plan_cluster(&intent, &seen);
    let applied = applied(&plan, "Endpoints");
    assert!(applied.get("subsets").is_none(), "{applied}");
    assert!(applied["metadata"].get("annotations").is_none(), "{applied}");
}

#[test]
fn what_was_switched_off_goes_when_it_was_seen_and_is_ours() {
    let mut intent = intent(1);
    let unwanted = Unwanted {
        kind: "Deployment".into(),
        name: "acid-test-pooler".into(),
        because: "spec.enableConnectionPooler is off".into(),
    };
    intent.unwanted = vec![unwanted];
    let mut seen = at_rest(&intent);
    let key = ObjectKey::new("Deployment", "acid-test-pooler");
    let live = |cluster: &str| {
        let labels = json!({"application": "db-connection-pooler", "cluster-name": cluster});
        Seen::Present(ObjectSeen { uid: "d".into(), body: json!({"metadata": {"labels": labels}}) })
    };
    let removed = vec!["delete Deployment acid-test-pooler".to_owned()];
    for (state, expected) in [
        (live("acid-test"), removed),
        (live("another"), Vec::new()),
        (Seen::Absent, Vec::new()),
        (Seen::Unknown("timeout".into()), Vec::new()),
    ] {
        seen.objects.insert(key.clone(), state.clone());
        assert_eq!(actions(&plan_cluster(&intent, &seen)), expected, "{state:?}");
    }
}

#[test]
fn patronis_objects_get_owners_and_annotations_and_nothing_else() {
    let mut intent = intent(1);
    let owner = json!({"apiVersion": "acid.zalan.do/v1", "kind": "postgresql", "name": "acid-test", "uid": "u",
        "controller": true});
    for budget in &mut intent.disruption_budgets {
        budget.body["metadata"]["ownerReferences"] = json!([owner]);
        budget.body["metadata"]["annotations"] = json!({"cost": "42"});
    }
    let mut seen = at_rest(&intent);
    let leader = PatroniObject {
        key: ObjectKey::new("ConfigMap", "acid-test-leader"),
        uid: "l".into(),
        metadata: json!({"annotations": {"leader": "acid-test-0"}}),
    };
    seen.patroni_objects = Seen::Present(vec![leader.clone()]);
    let plan = plan_cluster(&intent, &seen);
    let Some(Action::PatchMetadata { metadata, .. }) = plan.steps.first().map(|step| &step.action) else {
        panic!("{plan}")
    };
    assert_eq!(*metadata, json!({"annotations": {"cost": "42"}, "ownerReferences": [owner]}));
    let mut adopted = leader;
    adopted.metadata = json!({"annotations": {"leader": "x", "cost": "42"}, "ownerReferences": [owner]});
    seen.patroni_objects = Seen::Present(vec![adopted]);
    assert!(plan_cluster(&intent, &seen).is_settled());
}

#[test]
fn annotations_of_the_template_are_set_on_pods_that_stay() {
    let mut intent = intent(1);
    intent.stateful_set.body["spec"]["template"]["metadata"]["annotations"] = json!({"a": "1"});
    intent.older_stateful_sets = vec![intent.stateful_set.clone()];
    let mut seen = at_rest(&intent);
    let mut older = intent.stateful_set.body["spec"]["template"].clone();
    older["metadata"]["annotations"] = json!({"gone": "1"});
    seen.revisions.insert(OLD.to_owned(), Seen::Present(older));
    pods_mut(&mut seen)[0].revision = OLD.to_owned();
    pods_mut(&mut seen)[0].annotations = BTreeMap::from([("gone".to_owned(), "1".to_owned())]);
    let plan = plan_cluster(&intent, &seen);
    let Some(Action::PatchMetadata { metadata, .. }) = plan.steps.first().map(|step| &step.action) else {
        panic!("{plan}")
    };
    assert_eq!(*metadata, json!({"annotations": {"a": "1", "gone": null}}));
    pods_mut(&mut seen)[0].annotations = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    assert!(plan_cluster(&intent, &seen).is_settled());
}

#[test]
fn a_pod_can_be_asked_for_by_its_annotation() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    let flag = "zalando-postgres-operator-rolling-update-required".to_owned();
    pods_mut(&mut seen)[1].annotations = BTreeMap::from([(flag.clone(), "false".to_owned())]);
    assert!(plan_cluster(&intent, &seen).is_settled());
    pods_mut(&mut seen)[1].annotations = BTreeMap::from([(flag, "true".to_owned())]);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-1"]);
}

fn stream(name: &str, application: &str) -> Object {
    let metadata = json!({"name": name, "namespace": "ns", "labels": {"application": "spilo", "cluster-name": "acid-test"}});
    Object {
        api_version: "zalando.org/v1".into(),
        kind: "FabricEventStream".into(),
        namespace: "ns".into(),
        name: name.into(),
        body: json!({"metadata": metadata, "spec": {"applicationId": application, "eventStreams": []}}),
    }
}

#[test]
fn streams_keep_their_names_and_go_with_their_application() {
    let mut intent = intent(1);
    intent.streams = vec![stream("acid-test-aaaaa", "app")];
    let mut seen = at_rest(&intent);
    assert_eq!(plan_cluster(&intent, &seen).refusals.len(), 1);
    let live = |name: &str, application: &str| ObjectSeen {
        uid: name.to_owned(),
        body: stream(name, application).body,
    };
    seen.streams = Seen::Present(vec![live("acid-test-zzzzz", "app"), live("acid-test-yyyyy", "old")]);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["delete FabricEventStream acid-test-yyyyy"]);
    seen.streams = Seen::Present(Vec::new());
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["create FabricEventStream acid-test-aaaaa"]);
}

#[test]
fn d44_a_manifest_gets_the_finalizer_first() {
    let intent = intent(1);
    let seen = Observation { has_finalizer: false, ..at_rest(&intent) };
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["add the finalizer to the manifest"]);
}

#[test]
fn d45_changed_labels_reach_every_object() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    let ours = |key: &ObjectKey| !matches!(key.kind.as_str(), "ServiceAccount" | "RoleBinding");
    let mut expected = Vec::new();
    for (key, object) in seen.objects.iter_mut().filter(|(key, _)| ours(key)) {
        if let Seen::Present(object) = object {
            object.body["metadata"]["labels"]["team"] = json!("former");
            expected.push(format!("{} {}", key.kind, key.name));
        }
    }
    for secret in &intent.secrets {
        if let Some(Seen::Present(live)) = seen.secrets.get_mut(&secret.object.name) {
            live.metadata = secret.object.body["metadata"].clone();
            live.metadata["labels"]["team"] = json!("former");
            expected.push(format!("Secret {}", secret.object.name));
        }
    }
    let plan = plan_cluster(&intent, &seen).to_string();
    assert!(expected.len() > 6, "{expected:?}");
    for object in expected {
        assert!(plan.contains(&object), "{object} keeps its label:\n{plan}");
    }
    assert!(!plan.contains("recreate"), "{plan}");
}

#[test]
fn credentials_that_a_predecessor_left_stay() {
    let mut intent = intent(1);
    let name = "pooler.acid-test.credentials.postgresql.acid.zalan.do";
    intent.unwanted =
        vec![Unwanted { kind: "Secret".into(), name: name.into(), because: "there is no pooler".into() }];
    let mut seen = at_rest(&intent);
    for (manager, steps) in [("postgres-operator", 0), ("matriarch", 1)] {
        let body = json!({"metadata": {"labels": {"application": "db-connection-pooler", "cluster-name": "acid-test"},
            "managedFields": [{"manager": manager, "operation": "Update", "fieldsV1": {}}]}});
        seen.objects
            .insert(ObjectKey::new("Secret", name), Seen::Present(ObjectSeen { uid: "s".into(), body }));
        assert_eq!(plan_cluster(&intent, &seen).steps.len(), steps, "{manager}");
    }
}
