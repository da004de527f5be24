//! Rolling updates, restarts, nodes and waits as printed plans: `testdata/golden/plans`.
//! `UPDATE_GOLDEN=1` writes them anew; look at the difference then.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod worlds;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use matriarch_cluster::windows::{Window, Windows};
use matriarch_cluster::{Cluster, Facts, Intent, References, render_with};
use matriarch_plan::{
    Action, ContainerEnd, NodeSeen, Observation, Outcome, Plan, PodSeen, Seen, Trial, plan_cluster,
};
use matriarch_settings::Settings;
use serde_json::json;
use worlds::*;

fn golden(name: &str, plan: &Plan) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/plans").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, plan.to_string()).unwrap();
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run with UPDATE_GOLDEN=1", path.display()));
    assert_eq!(plan.to_string(), expected, "{name}");
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_secs(seconds)
}

/// A cluster at rest whose pods are all of an older template.
fn outdated(intent: &Intent) -> Observation {
    let mut seen = Observation { now: now(), ..at_rest(intent) };
    pods_mut(&mut seen).iter_mut().for_each(|pod| pod.revision = OLD.into());
    seen
}

fn node(name: &str) -> NodeSeen {
    NodeSeen { name: name.into(), ready: true, ..NodeSeen::default() }
}

/// A cluster at rest, each pod on a node of its own: `n0`, `n1`, ...
fn on_nodes(intent: &Intent) -> Observation {
    let mut seen = Observation { now: now(), ..at_rest(intent) };
    for pod in pods_mut(&mut seen) {
        pod.node = Some(format!("n{}", pod.ordinal));
    }
    let nodes = (0..intent.instances).map(|n| (format!("n{n}"), Seen::Present(node(&format!("n{n}")))));
    seen.nodes = nodes.collect();
    seen
}

fn node_mut<'a>(seen: &'a mut Observation, name: &str) -> &'a mut NodeSeen {
    match seen.nodes.get_mut(name) {
        Some(Seen::Present(node)) => node,
        other => panic!("node {name} is {other:?}"),
    }
}

#[test]
fn a_bad_template_stops_at_the_first_pod_and_names_the_scheduler() {
    let intent = intent(3);
    let mut seen = outdated(&intent);
    pods_mut(&mut seen)[2] = PodSeen {
        ready: false,
        age_seconds: 30,
        waiting: Some("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.".into()),
        ..pod(2, NEW)
    };
    golden("bad-template", &plan_cluster(&intent, &seen));
}

/// A sidecar that ends at once: the pod is ready for a moment again and again.
#[test]
fn a_container_that_ends_again_and_again_stops_a_rollout_even_while_its_pod_is_ready() {
    let intent = intent(3);
    let mut seen = outdated(&intent);
    let end =
        ContainerEnd { container: "sidecar".into(), at: ago(2), why: "Error, exit code 1".into(), times: 4 };
    pods_mut(&mut seen)[2] =
        PodSeen { ready_since: Some(ago(1)), restarted: Some(end.clone()), ..pod(2, NEW) };
    golden("bad-sidecar", &plan_cluster(&intent, &seen));

    // It came to its senses.
    pods_mut(&mut seen)[2] = PodSeen {
        ready_since: Some(ago(61)),
        restarted: Some(ContainerEnd { at: ago(61), ..end }),
        ..pod(2, NEW)
    };
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-1"]);
}

#[test]
fn the_next_pod_waits_until_the_first_new_one_has_been_ready_for_a_while() {
    let intent = intent(3);
    let mut seen = outdated(&intent);
    pods_mut(&mut seen)[2] = PodSeen { ready_since: Some(ago(4)), ..pod(2, NEW) };
    let plan = plan_cluster(&intent, &seen);
    golden("just-ready", &plan);
    assert_eq!(plan.look_again_seconds(), Some(6));
    pods_mut(&mut seen)[2].ready_since = Some(ago(10));
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-1"]);
}

/// Whatever is wrong with the first new pod, no other is touched; reverting the template replaces it
/// and nobody else.
#[test]
fn n_minus_one_pods_stay_untouched_and_a_revert_heals() {
    let intent = intent(3);
    let broken: [(&str, fn(&mut PodSeen)); 5] = [
        ("image", |pod| pod.waiting = Some("ImagePullBackOff: no such image".into())),
        ("scheduler", |pod| pod.waiting = Some("Unschedulable: Insufficient cpu".into())),
        ("probe", |pod| pod.age_seconds = 3600),
        ("crash", |pod| pod.waiting = Some("CrashLoopBackOff: back-off 5m0s".into())),
        ("start", |pod| pod.waiting = Some("ContainerCreating".into())),
    ];
    for (name, spoil) in broken {
        let mut seen = outdated(&intent);
        let pods = pods_mut(&mut seen);
        pods[2] = PodSeen { ready: false, age_seconds: 60, database_runs: false, ..pod(2, NEW) };
        spoil(&mut pods[2]);
        let plan = plan_cluster(&intent, &seen);
        assert_eq!(actions(&plan), Vec::<String>::new(), "{name}: {plan}");
        assert!(plan.gates.iter().any(|gate| gate.rollout), "{name}: {plan}");

        // A second one that is down for another reason is not replaced by the bad template either.
        let pods = pods_mut(&mut seen);
        pods[1] = PodSeen { ready: false, age_seconds: 60, waiting: Some("Error".into()), ..pod(1, OLD) };
        let plan = plan_cluster(&intent, &seen);
        assert_eq!(actions(&plan), Vec::<String>::new(), "{name}: {plan}");

        // The manifest is put back: what was new is old now.
        let mut seen = Observation { now: now(), ..at_rest(&intent) };
        let pods = pods_mut(&mut seen);
        pods[2] = PodSeen { ready: false, age_seconds: 60, database_runs: false, ..pod(2, OLD) };
        spoil(&mut pods[2]);
        let expected: &[&str] = if name == "start" { &[] } else { &["recreate pod acid-test-2"] };
        assert_eq!(actions(&plan_cluster(&intent, &seen)), expected, "{name}");
    }
}

/// The only pod holds the lock and cannot run: nobody else is harmed by its replacement.
#[test]
fn a_single_pod_that_cannot_run_is_replaced_after_a_revert() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[0] =
        PodSeen { ready: false, waiting: Some("ImagePullBackOff: none".into()), ..pod(0, OLD) };
    seen.patroni = Seen::Absent;
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-0"]);
    // Not while nobody can tell who holds the lock.
    seen.leader = Seen::Unknown("timeout".into());
    assert_eq!(actions(&plan_cluster(&intent, &seen)), Vec::<String>::new());
}

/// Its sidecar is broken, its database is the primary: it goes last, by a switchover.
#[test]
fn a_primary_with_a_broken_sidecar_does_not_hold_up_its_own_repair() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[0] = PodSeen {
        ready: false,
        age_seconds: 100,
        database_runs: true,
        waiting: Some("CrashLoopBackOff: sidecar".into()),
        role_label: Some("master".into()),
        ..pod(0, OLD)
    };
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["switch over from acid-test-0 to acid-test-1"]);
}

/// PostgreSQL does not start with the new parameters: the pod is up, and nobody else is touched.
#[test]
fn a_member_whose_postgresql_fails_stops_a_rollout_and_is_replaced_on_revert() {
    let intent = intent(3);
    let mut seen = outdated(&intent);
    pods_mut(&mut seen)[2].revision = NEW.into();
    patroni_mut(&mut seen).members[2].state = "start failed".into();
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new(), "{plan}");
    assert!(plan.gates[0].rollout);

    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[2].revision = OLD.into();
    patroni_mut(&mut seen).members[2].state = "start failed".into();
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-2"]);
    // One that copies its data is left to it.
    patroni_mut(&mut seen).members[2].state = "creating replica".into();
    assert_eq!(actions(&plan_cluster(&intent, &seen)), Vec::<String>::new());
}

#[test]
fn the_words_of_the_api_server_explain_a_pod_that_is_missing() {
    let intent = intent(2);
    let mut seen = Observation { now: now(), ..at_rest(&intent) };
    pods_mut(&mut seen).pop();
    seen.creation_refused = Some("pods \"acid-test-1\" is forbidden: exceeded quota: small".into());
    golden("creation-refused", &plan_cluster(&intent, &seen));
}

/// Only the first pod of a template is preceded by a trial, and the trial is a whole pod.
#[test]
fn the_first_deletion_for_a_template_tries_it_before() {
    let intent = intent(3);
    let mut seen = outdated(&intent);
    let trial = |plan: &Plan| match &plan.steps[0].action {
        Action::DeletePod { trial, .. } => trial.clone(),
        other => panic!("{other}"),
    };
    let first: Trial = *trial(&plan_cluster(&intent, &seen)).expect("a trial");
    assert_eq!(first.pod.body["kind"], "Pod");
    assert_eq!(first.pod.body["spec"]["containers"][0]["name"], "postgres");
    let volumes = first.pod.body["spec"]["volumes"].as_array().unwrap();
    assert!(
        volumes.iter().any(|volume| volume["persistentVolumeClaim"]["claimName"] == "pgdata-acid-test-2")
    );
    assert_eq!(first.stateful_set.body["spec"]["template"]["spec"]["containers"][0]["name"], "postgres");
    assert_ne!(first.stateful_set.name, "acid-test");

    pods_mut(&mut seen)[2].revision = NEW.into();
    assert_eq!(trial(&plan_cluster(&intent, &seen)), None);
}

/// A quota that is full with the pods that stand does not forbid a pod in the place of another.
#[test]
fn a_full_quota_is_no_refusal_when_the_old_pod_makes_room() {
    let goes = json!({"spec": {"containers": [
        {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1"}}},
        {"resources": {"limits": {"memory": "512Mi"}}},
    ]}});
    let trial = Trial { goes, ..Trial::of(&json!({}), "a-0", json!({})) };
    let refusal = |requested: &str, used: &str, limited: &str| {
        format!(
            "pods \"t\" is forbidden: exceeded quota: q, requested: {requested}, used: {used}, limited: {limited}"
        )
    };
    for (requested, used, limited, fits) in [
        ("pods=1", "pods=3", "pods=3", true),
        ("pods=1", "pods=5", "pods=3", false),
        ("requests.cpu=500m", "requests.cpu=3", "requests.cpu=3", true),
        ("cpu=600m", "cpu=3", "cpu=3", false),
        ("requests.memory=1536Mi", "requests.memory=4Gi", "requests.memory=4Gi", true),
        ("limits.cpu=64", "limits.cpu=3", "limits.cpu=4", false),
        ("limits.cpu=1,pods=1", "limits.cpu=3,pods=3", "limits.cpu=3,pods=3", true),
        ("limits.cpu=2,pods=1", "limits.cpu=3,pods=3", "limits.cpu=3,pods=3", false),
        ("requests.example/gpu=1", "requests.example/gpu=3", "requests.example/gpu=3", false),
    ] {
        assert_eq!(trial.fits_after_all(&refusal(requested, used, limited)), fits, "{requested}");
    }
    for other in ["admission webhook says no", "exceeded quota: q", "exceeded quota: q, requested: x"] {
        assert!(!trial.fits_after_all(other), "{other}");
    }
}

/// Who takes over: rows of what is special about acid-test-1 beside an ordinary acid-test-2.
#[test]
fn the_candidate_is_healthy_near_and_on_a_node_that_stays() {
    let intent = intent(3);
    type Change = fn(&mut Observation);
    let rows: [(&str, Change, &str); 11] = [
        ("nothing: the first by name", |_| {}, "acid-test-1"),
        ("it lags", |seen| patroni_mut(seen).members[1].lag_bytes = Some(5), "acid-test-2"),
        ("its lag is not known", |seen| patroni_mut(seen).members[1].lag_bytes = None, "acid-test-2"),
        ("nofailover", |seen| patroni_mut(seen).members[1].nofailover = true, "acid-test-2"),
        (
            "an older timeline",
            |seen| {
                patroni_mut(seen).members.iter_mut().for_each(|member| member.timeline = Some(2));
                patroni_mut(seen).members[1].timeline = Some(1);
            },
            "acid-test-2",
        ),
        ("a node that leaves", |seen| node_mut(seen, "n1").unschedulable = true, "acid-test-2"),
        (
            "all nodes leave",
            |seen| ["n0", "n1", "n2"].into_iter().for_each(|name| node_mut(seen, name).unschedulable = true),
            "acid-test-1",
        ),
        (
            "the other is synchronous",
            |seen| patroni_mut(seen).members[2].role = "sync_standby".into(),
            "acid-test-2",
        ),
        (
            "and lags",
            |seen| {
                patroni_mut(seen).members[2].role = "sync_standby".into();
                patroni_mut(seen).members[2].lag_bytes = Some(7);
            },
            "acid-test-2",
        ),
        ("a quorum", |seen| patroni_mut(seen).members[2].role = "quorum_standby".into(), "acid-test-2"),
        (
            "a node that could not be read",
            |seen| {
                seen.nodes.insert("n1".into(), Seen::Unknown("forbidden".into()));
            },
            "acid-test-1",
        ),
    ];
    for (what, change, expected) in rows {
        let mut seen = on_nodes(&intent);
        pods_mut(&mut seen)[0].revision = OLD.into();
        change(&mut seen);
        let plan = plan_cluster(&intent, &seen);
        assert_eq!(actions(&plan), [format!("switch over from acid-test-0 to {expected}")], "{what}: {plan}");
    }
}

#[test]
fn nobody_takes_over_who_is_too_far_behind_or_not_synchronous() {
    let intent = intent(3);
    let mut seen = on_nodes(&intent);
    pods_mut(&mut seen)[0].revision = OLD.into();
    let patroni = patroni_mut(&mut seen);
    patroni.members[1].lag_bytes = Some(40_000_000);
    patroni.members[2].nofailover = true;
    if let Seen::Present(config) = &mut patroni.config {
        config["maximum_lag_on_failover"] = json!(33_554_432);
    }
    golden("no-candidate", &plan_cluster(&intent, &seen));

    let mut seen = on_nodes(&intent);
    pods_mut(&mut seen)[0].revision = OLD.into();
    let mut synchronous = intent.clone();
    synchronous.patroni["synchronous_mode"] = json!(true);
    if let Seen::Present(config) = &mut patroni_mut(&mut seen).config {
        config["synchronous_mode"] = json!(true);
    }
    assert_eq!(actions(&plan_cluster(&synchronous, &seen)), Vec::<String>::new());
}

/// The primary leaves by one switchover; replicas are left to the eviction.
#[test]
fn the_primary_leaves_a_node_that_is_taken_away() {
    let intent = intent(3);
    let facts: [(&str, fn(&mut NodeSeen), bool); 8] = [
        ("nothing", |_| {}, false),
        ("cordon", |node| node.unschedulable = true, true),
        ("taint", |node| node.taints = taints(&["node.kubernetes.io/unschedulable"]), true),
        ("karpenter", |node| node.taints = taints(&["karpenter.sh/disrupted"]), true),
        ("autoscaler", |node| node.taints = taints(&["ToBeDeletedByClusterAutoscaler"]), true),
        ("candidate", |node| node.taints = taints(&["DeletionCandidateOfClusterAutoscaler"]), true),
        ("label", |node| node.lacks = vec!["status=ready".into()], true),
        ("other taint", |node| node.taints = taints(&["dedicated"]), false),
    ];
    for (what, change, moves) in facts {
        for (ordinal, primary) in [(0, true), (1, false)] {
            let mut seen = on_nodes(&intent);
            change(node_mut(&mut seen, &format!("n{ordinal}")));
            let plan = plan_cluster(&intent, &seen);
            let expected = usize::from(moves && primary);
            assert_eq!(plan.disruptive_steps(), expected, "{what} on n{ordinal}: {plan}");
            assert_eq!(plan.steps.len(), expected, "{what} on n{ordinal}: {plan}");
        }
    }
    let mut seen = on_nodes(&intent);
    node_mut(&mut seen, "n0").unschedulable = true;
    node_mut(&mut seen, "n1").unschedulable = true;
    golden("drain", &plan_cluster(&intent, &seen));
    // The replica was evicted already: the primary goes all the same.
    pods_mut(&mut seen).remove(1);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["switch over from acid-test-0 to acid-test-2"]);
    // Nobody goes round in circles where every node leaves.
    node_mut(&mut seen, "n2").unschedulable = true;
    assert_eq!(actions(&plan_cluster(&intent, &seen)), Vec::<String>::new());
}

fn taints(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(ToString::to_string).collect()
}

#[test]
fn a_single_pod_on_a_cordoned_node_stays_and_the_way_out_is_said() {
    let one = intent(1);
    let mut seen = on_nodes(&one);
    node_mut(&mut seen, "n0").unschedulable = true;
    let plan = plan_cluster(&one, &seen);
    golden("drain-of-one", &plan);
    assert!(plan.is_quiet());
    let allowed = annotated(1, json!({"acid.zalan.do/single-instance-drain": "allow"}));
    let mut seen = on_nodes(&allowed);
    node_mut(&mut seen, "n0").unschedulable = true;
    assert!(plan_cluster(&allowed, &seen).is_settled());
}

/// Outside of a window a cordon waits for it; a node that goes at once does not.
#[test]
fn a_cordon_waits_for_the_maintenance_window_with_its_moment() {
    let mut intent = intent(2);
    intent.windows = Windows::Only(vec![Window::parse("Wed:01:00-06:00").unwrap()]);
    let mut seen = on_nodes(&intent);
    node_mut(&mut seen, "n0").unschedulable = true;
    let plan = plan_cluster(&intent, &seen);
    golden("drain-waits", &plan);
    // Thirteen hours, but looked at once an hour.
    assert_eq!(plan.look_again_seconds(), Some(3600));
    seen.now = "2026-11-25T00:59:30Z".parse().unwrap();
    assert_eq!(plan_cluster(&intent, &seen).look_again_seconds(), Some(30));
    seen.now = "2026-11-25T01:00:00Z".parse().unwrap();
    assert_eq!(plan_cluster(&intent, &seen).steps.len(), 1);
    seen.now = now();
    node_mut(&mut seen, "n0").taints = taints(&["karpenter.sh/disrupted"]);
    assert_eq!(plan_cluster(&intent, &seen).steps.len(), 1);
}

/// Another major version waits for the window, and the plan says for which one.
#[test]
fn another_major_version_waits_for_the_maintenance_window() {
    let manifest = json!({
        "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
        "metadata": {"name": "acid-test", "namespace": "ns", "uid": "u", "generation": 3},
        "spec": {"teamId": "acid", "numberOfInstances": 2, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"}, "maintenanceWindows": ["Wed:01:00-06:00"]}});
    let settings = Settings::default();
    let cluster = Cluster::validate(&manifest, &settings).unwrap();
    let intent = |inside| {
        let running_version = Some("16".to_owned());
        let facts = Facts { running_version, in_maintenance_window: inside, ..Facts::default() };
        render_with(&cluster, &settings, &References::default(), &facts)
    };
    let outside = intent(false);
    let seen = Observation { now: now(), ..at_rest(&outside) };
    golden("version-waits", &plan_cluster(&outside, &seen));
    assert!(!plan_cluster(&intent(true), &seen).is_settled(), "inside the version is put into force");
}

/// A rolling update waits for no window: that is the contract.
#[test]
fn a_rolling_update_and_a_restart_wait_for_no_window() {
    let mut intent = intent(2);
    intent.windows = Windows::Only(vec![Window::parse("Wed:01:00-06:00").unwrap()]);
    let seen = outdated(&intent);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-1"]);
    let mut seen = Observation { now: now(), ..at_rest(&intent) };
    patroni_mut(&mut seen).members[1].pending_restart = Some(BTreeMap::new());
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["restart PostgreSQL in acid-test-1"]);
}

/// The primary is touched when the printed value stands in the annotation, and for that revision only.
#[test]
fn the_primary_waits_for_an_approval_of_this_very_rollout() {
    let key = "acid.zalan.do/approve-primary";
    let rows = [("required", false), ("acid-test-older", false), (NEW, true), ("", false)];
    for (value, approved) in rows {
        let intent = annotated(2, json!({key: value}));
        let mut seen = outdated(&intent);
        assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-1"], "replicas go on");
        pods_mut(&mut seen)[1].revision = NEW.into();
        let plan = plan_cluster(&intent, &seen);
        assert_eq!(plan.steps.len(), usize::from(approved), "{value}: {plan}");
        if value == "required" {
            golden("approval", &plan);
            assert!(plan.is_quiet());
        }
    }
}

#[test]
fn the_restart_of_the_primary_waits_for_an_approval_of_its_values() {
    let pending = Some(BTreeMap::from([("shared_buffers".to_owned(), ("1".to_owned(), "2".to_owned()))]));
    for (value, approved) in [("required", false), ("shared_buffers=2", true), ("shared_buffers=1", false)] {
        let intent = annotated(2, json!({"acid.zalan.do/approve-primary": value}));
        let mut seen = Observation { now: now(), ..at_rest(&intent) };
        patroni_mut(&mut seen).members[0].pending_restart = pending.clone();
        let plan = plan_cluster(&intent, &seen);
        assert_eq!(plan.steps.len(), usize::from(approved), "{value}: {plan}");
    }
}

/// A paused cluster has a plan, and the executor takes no step of it.
#[test]
fn paused_means_no_step() {
    let intent = annotated(2, json!({"acid.zalan.do/paused": "true"}));
    let seen = outdated(&intent);
    let plan = plan_cluster(&intent, &seen);
    golden("paused", &plan);
    let mut executor = matriarch_plan::Executor::new(&plan);
    assert!(executor.next_step().is_none());
    let outcomes = executor.finish();
    assert_eq!(outcomes.len(), plan.steps.len());
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Skipped(_))));
}

type Changes = &'static [(&'static str, &'static str, &'static str)];

fn restarts(changes: [Changes; 3]) -> Vec<String> {
    let intent = intent(3);
    let mut seen = Observation { now: now(), ..at_rest(&intent) };
    for (member, changes) in patroni_mut(&mut seen).members.iter_mut().zip(changes) {
        let changes = changes
            .iter()
            .map(|(name, old, new)| ((*name).to_owned(), ((*old).to_owned(), (*new).to_owned())));
        let changes: BTreeMap<_, _> = changes.collect();
        member.pending_restart = (!changes.is_empty()).then_some(changes);
    }
    actions(&plan_cluster(&intent, &seen))
}

/// 04 §9.4: shrinking parameters restart the primary first, everything else the replicas.
#[test]
fn vectors_04_9_4_order_of_restarts() {
    const GROWS: Changes = &[("max_connections", "100", "200")];
    const SHRINKS: Changes = &[("max_connections", "200", "100")];
    const BOTH: Changes = &[("max_connections", "200", "100"), ("max_wal_senders", "10", "20")];
    const OTHER: Changes = &[("shared_buffers", "2GB", "1GB")];
    const NONE: Changes = &[];
    let rows: [([Changes; 3], &[&str]); 9] = [
        ([NONE, NONE, NONE], &[]),
        ([GROWS, GROWS, GROWS], &["acid-test-1"]),
        ([GROWS, NONE, GROWS], &["acid-test-2"]),
        ([GROWS, NONE, NONE], &["acid-test-0"]),
        ([SHRINKS, SHRINKS, SHRINKS], &["acid-test-0"]),
        ([NONE, SHRINKS, SHRINKS], &["acid-test-1"]),
        // Mixed: a replica takes what grows first; what shrinks it keeps until the primary has it.
        ([BOTH, BOTH, SHRINKS], &["acid-test-1"]),
        ([BOTH, SHRINKS, SHRINKS], &["acid-test-0"]),
        ([OTHER, OTHER, NONE], &["acid-test-1"]),
    ];
    for (changes, expected) in rows {
        let expected: Vec<String> =
            expected.iter().map(|name| format!("restart PostgreSQL in {name}")).collect();
        assert_eq!(restarts(changes), expected, "{changes:?}");
    }
}

/// Before Patroni 4 nobody says what a restart is for: each replica gets one turn, then the primary.
#[test]
fn restarts_without_a_reason_end() {
    let intent = intent(2);
    let mut seen = Observation { now: now(), ..at_rest(&intent) };
    for member in &mut patroni_mut(&mut seen).members {
        member.pending_restart = Some(BTreeMap::new());
        member.started_at = Some(ago(3600));
    }
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["restart PostgreSQL in acid-test-1"]);
    patroni_mut(&mut seen).members[1].started_at = Some(ago(5));
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["restart PostgreSQL in acid-test-0"]);
    patroni_mut(&mut seen).members[0].pending_restart = None;
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["restart PostgreSQL in acid-test-1"]);
}

/// The leader of a standby cluster replicates, and is well.
#[test]
fn a_standby_leader_that_streams_is_healthy() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    for state in ["streaming", "in archive recovery", "running"] {
        patroni_mut(&mut seen).members[0].role = "standby_leader".into();
        patroni_mut(&mut seen).members[0].state = state.into();
        assert!(plan_cluster(&intent, &seen).is_settled(), "{state}");
    }
}

/// What could not be seen never adds a step to a pod.
#[test]
fn unknowns_add_no_disruption() {
    let intent = intent(3);
    let worlds: [fn(&Intent) -> Observation; 3] = [
        outdated,
        |intent| {
            let mut seen = on_nodes(intent);
            node_mut(&mut seen, "n0").unschedulable = true;
            seen
        },
        |intent| {
            let mut seen = at_rest(intent);
            pods_mut(&mut seen)[1] =
                PodSeen { ready: false, age_seconds: 60, waiting: Some("Error".into()), ..pod(1, OLD) };
            seen
        },
    ];
    let blind: [fn(&mut Observation); 6] = [
        |seen| seen.pods = Seen::Unknown("x".into()),
        |seen| seen.leader = Seen::Unknown("x".into()),
        |seen| seen.patroni = Seen::Unknown("x".into()),
        |seen| seen.revisions.values_mut().for_each(|one| *one = Seen::Unknown("x".into())),
        |seen| seen.nodes.values_mut().for_each(|one| *one = Seen::Unknown("x".into())),
        |seen| seen.objects.values_mut().for_each(|one| *one = Seen::Unknown("x".into())),
    ];
    for (w, world) in worlds.iter().enumerate() {
        let seen = world(&intent);
        let before = plan_cluster(&intent, &seen);
        for (b, blind) in blind.iter().enumerate() {
            let mut seen = seen.clone();
            blind(&mut seen);
            let after = plan_cluster(&intent, &seen);
            let disrupts = |plan: &Plan| {
                let steps = plan.steps.iter().filter(|step| step.action.lane() == matriarch_plan::Lane::Pods);
                steps.map(|step| step.action.to_string()).collect::<Vec<_>>()
            };
            let added: Vec<_> =
                disrupts(&after).into_iter().filter(|step| !disrupts(&before).contains(step)).collect();
            assert_eq!(added, Vec::<String>::new(), "world {w}, blind {b}: {after}");
        }
    }
}
