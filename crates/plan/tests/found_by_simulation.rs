//! Defects of the planner that the simulated world found, each as the shortest case of it.

mod worlds;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use matriarch_api::{Condition, PostgresqlStatus};
use matriarch_cluster::policy::{Healing, PAUSED_ANNOTATION};
use matriarch_plan::healing::{self, CONDITION};
use matriarch_plan::status::{self, PassResult};
use matriarch_plan::{Action, ContainerEnd, NodeSeen, Observation, PodSeen, Seen, plan_cluster};
use serde_json::json;
use worlds::*;

fn broken(ordinal: u32) -> PodSeen {
    PodSeen {
        ready: false,
        age_seconds: 60,
        waiting: Some("ImagePullBackOff: no such image".into()),
        ..pod(ordinal, OLD)
    }
}

/// Its database runs, its pod is not ready.
fn with_a_crashing_sidecar(ordinal: u32) -> PodSeen {
    let waiting = Some("CrashLoopBackOff: exit code 1".into());
    PodSeen { waiting, database_runs: true, ..broken(ordinal) }
}

/// A member that has not streamed for 400 seconds, in pods that are older than that.
fn stops_streaming(seen: &mut Observation, ordinal: usize) {
    seen.now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000);
    let since = status::seconds(seen.now - SignedDuration::from_secs(400));
    seen.status.conditions.push(Condition {
        type_: CONDITION.into(),
        status: "False".into(),
        message: format!("acid-test-{ordinal} does not stream since {since}: Patroni says it is \"running\""),
        ..Condition::default()
    });
    patroni_mut(seen).members[ordinal].state = "running".into();
    pods_mut(seen).iter_mut().for_each(|pod| pod.age_seconds = 1000);
}

/// Pods are made in order, so the missing one waited for the broken one, and the planner for the
/// missing one.
#[test]
fn a_broken_pod_that_keeps_the_next_from_being_made_is_replaced() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    let pods = pods_mut(&mut seen);
    pods.truncate(2);
    pods[1] = broken(1);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["recreate pod acid-test-1"]);
}

/// The StatefulSet controller would have deleted the new primary, with what only it has.
#[test]
fn a_failover_after_the_shrink_raises_the_number_again_until_the_primary_has_moved() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen).push(pod(1, NEW));
    seen.leader = Seen::Present("acid-test-1".into());
    patroni_mut(&mut seen).members = vec![member(0, "replica"), member(1, "leader")];
    let plan = plan_cluster(&intent, &seen);
    let raised = plan.steps.iter().any(|step| {
        matches!(&step.action, Action::Apply { object, .. }
            if object.kind == "StatefulSet" && object.body["spec"]["replicas"] == json!(2))
    });
    assert!(raised, "{plan}");
    assert!(actions(&plan).contains(&"switch over from acid-test-1 to acid-test-0".to_owned()), "{plan}");

    // Nothing keeps a pod that is on its way out already.
    pods_mut(&mut seen)[1].deleting = true;
    let plan = plan_cluster(&intent, &seen);
    assert!(!plan.steps.iter().any(|step| matches!(step.action, Action::Apply { .. })), "{plan}");
}

/// Patroni lists its members in any order.
#[test]
fn the_order_of_restarts_does_not_follow_patronis_list() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    for member in &mut patroni_mut(&mut seen).members {
        let change = ("max_connections".to_owned(), ("100".to_owned(), "200".to_owned()));
        member.pending_restart = Some(BTreeMap::from([change]));
    }
    let plan = plan_cluster(&intent, &seen);
    patroni_mut(&mut seen).members.reverse();
    assert_eq!(actions(&plan_cluster(&intent, &seen)), actions(&plan));
}

/// A member whose container ended stays in Patroni's list as it was.
#[test]
fn a_paused_cluster_with_a_member_down_is_not_said_to_run() {
    let intent = annotated(2, json!({ PAUSED_ANNOTATION: "true" }));
    let mut seen = at_rest(&intent);
    let word = |seen: &Observation| {
        let plan = plan_cluster(&intent, seen);
        let pass = PassResult { intent: &intent, seen, plan: &plan, outcomes: &[] };
        let before = PostgresqlStatus { postgres_cluster_status: "Running".into(), ..Default::default() };
        status::status(&pass, &before, Timestamp::UNIX_EPOCH).postgres_cluster_status
    };
    assert_eq!(word(&seen), "Running");
    pods_mut(&mut seen)[1].ready = false;
    assert_eq!(word(&seen), "Updating");
}

/// The replica was perhaps the only pod that clients could reach.
#[test]
fn a_primary_in_a_pod_that_is_not_ready_hands_over_before_a_replica_is_touched() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[1].revision = OLD.into();
    pods_mut(&mut seen)[0] = with_a_crashing_sidecar(0);
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["switch over from acid-test-0 to acid-test-1"], "{plan}");
}

/// The rollout waits for the member that does not stream.
#[test]
fn a_trouble_older_than_the_rollout_is_healed_during_it() {
    let mut intent = intent(3);
    intent.policy.healing = Healing::Reinitialize;
    let mut seen = at_rest(&intent);
    stops_streaming(&mut seen, 2);
    // The template is no suspect where the pod is younger than its trouble.
    pods_mut(&mut seen)[0].revision = OLD.into();
    pods_mut(&mut seen)[2].age_seconds = 60;
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["copy the data of acid-test-2 anew"]);
    // It is where the member streamed before its pod was made.
    pods_mut(&mut seen)[2].age_seconds = 1000;
    assert_eq!(actions(&plan_cluster(&intent, &seen)), Vec::<String>::new());
}

/// The member that was to go had the newest data, and no other could take over.
#[test]
fn nothing_shrinks_while_nobody_leads() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    set_mut(&mut seen).body["spec"]["replicas"] = json!(2);
    pods_mut(&mut seen).push(pod(1, NEW));
    seen.leader = Seen::Absent;
    patroni_mut(&mut seen).members = vec![member(0, "replica"), member(1, "replica")];
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new(), "{plan}");
    assert!(gates(&plan).iter().any(|gate| gate.contains("whose data is the newest")), "{plan}");
}

/// The drain moved the primary to a member that the smaller number removes, and back again.
#[test]
fn a_drained_primary_does_not_move_to_a_member_that_is_to_go() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen).push(pod(2, NEW));
    pods_mut(&mut seen)[0].node = Some("n0".into());
    patroni_mut(&mut seen).members = vec![member(0, "leader"), member(1, "replica"), member(2, "replica")];
    patroni_mut(&mut seen).members[1].lag_bytes = Some(100);
    let node = NodeSeen { name: "n0".into(), unschedulable: true, ready: true, ..NodeSeen::default() };
    seen.nodes = BTreeMap::from([("n0".to_owned(), Seen::Present(node))]);
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["switch over from acid-test-0 to acid-test-1"], "{plan}");
}

/// The volume of a member could be made anew without end: with the pod its tries were forgotten.
#[test]
fn a_member_whose_pod_is_made_anew_keeps_its_tries() {
    let mut intent = intent(2);
    intent.policy.healing = Healing::RecreateVolume;
    let mut seen = at_rest(&intent);
    seen.now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000);
    let ago = |seconds| status::seconds(seen.now - SignedDuration::from_secs(seconds));
    let message = format!(
        "acid-test-1 does not stream since {}: gone; 4 tries to mend it, the last at {}",
        ago(4000),
        ago(10)
    );
    let condition =
        Condition { type_: CONDITION.into(), status: "False".into(), message, ..Condition::default() };
    seen.status.conditions.push(condition);
    pods_mut(&mut seen).truncate(1);
    patroni_mut(&mut seen).members.truncate(1);
    let after = healing::after(&intent, &seen, &[]);
    assert_eq!(after.get("acid-test-1").map(|trouble| trouble.tries), Some(4));
    // Of a member that is not wanted any more nothing is remembered.
    intent.instances = 1;
    assert!(healing::after(&intent, &seen, &[]).is_empty());
}

/// Two pods of a template that was never any good: whichever was listed first went first.
#[test]
fn which_of_two_broken_pods_goes_first_does_not_follow_the_list() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    *pods_mut(&mut seen) = vec![broken(0), broken(1)];
    seen.patroni = Seen::Absent;
    seen.leader = Seen::Absent;
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["recreate pod acid-test-0"], "{plan}");
    pods_mut(&mut seen).reverse();
    assert_eq!(actions(&plan_cluster(&intent, &seen)), actions(&plan));
}

/// The template was put back while another member's data was to be copied anew.
#[test]
fn a_pod_that_the_template_mends_goes_before_a_member_is_healed() {
    let mut intent = intent(3);
    intent.policy.healing = Healing::Reinitialize;
    let mut seen = at_rest(&intent);
    stops_streaming(&mut seen, 1);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["copy the data of acid-test-1 anew"]);
    pods_mut(&mut seen)[2] = broken(2);
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["recreate pod acid-test-2"], "{plan}");
}

/// In the middle of a switchover the lock still names the old primary: the new one was scaled away.
#[test]
fn nothing_shrinks_while_the_primary_hands_over() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    set_mut(&mut seen).body["spec"]["replicas"] = json!(2);
    pods_mut(&mut seen).push(pod(1, NEW));
    patroni_mut(&mut seen).members = vec![member(0, "leader"), member(1, "replica")];
    patroni_mut(&mut seen).members[0].state = "stopping".into();
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new(), "{plan}");
    assert!(gates(&plan).iter().any(|gate| gate.contains("acid-test-0 is \"stopping\"")), "{plan}");
}

/// The rollout moved the primary to a node that was cordoned, and the cordon moved it back, without end.
#[test]
fn a_rollout_moves_no_primary_to_a_node_that_it_would_have_to_leave() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[0].revision = OLD.into();
    for pod in pods_mut(&mut seen) {
        pod.node = Some(format!("n{}", pod.ordinal));
    }
    let node = |name: &str, unschedulable: bool| {
        let node = NodeSeen { name: name.into(), unschedulable, ready: true, ..NodeSeen::default() };
        (name.to_owned(), Seen::Present(node))
    };
    seen.nodes = BTreeMap::from([node("n0", false), node("n1", true)]);
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new(), "{plan}");
    assert!(gates(&plan).iter().any(|gate| gate.contains("n1, which is cordoned")), "{plan}");
    seen.nodes = BTreeMap::from([node("n0", false), node("n1", false)]);
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["switch over from acid-test-0 to acid-test-1"]);
}

/// Not knowing the StatefulSet led to a switchover that its pending change had held back.
#[test]
fn the_primary_leaves_its_node_also_while_the_template_changes() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    set_mut(&mut seen).body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("other");
    pods_mut(&mut seen)[0].node = Some("n0".into());
    let node = NodeSeen { name: "n0".into(), unschedulable: true, ready: true, ..NodeSeen::default() };
    seen.nodes = BTreeMap::from([("n0".to_owned(), Seen::Present(node))]);
    let plan = plan_cluster(&intent, &seen);
    assert!(actions(&plan).contains(&"switch over from acid-test-0 to acid-test-1".to_owned()), "{plan}");
}

/// The newest data was in a member that was to be made after a broken one, and that one waited for a
/// leader.
#[test]
fn a_crashing_pod_that_keeps_the_last_leader_from_being_made_is_replaced() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    set_mut(&mut seen).body["spec"]["replicas"] = json!(3);
    *pods_mut(&mut seen) = vec![with_a_crashing_sidecar(0), pod(1, NEW)];
    patroni_mut(&mut seen).members = vec![member(0, "replica"), member(1, "replica")];
    seen.leader = Seen::Absent;
    let plan = plan_cluster(&intent, &seen);
    assert!(actions(&plan).contains(&"recreate pod acid-test-0".to_owned()), "{plan}");
    // With all of them there, one may still take over.
    pods_mut(&mut seen).push(pod(2, NEW));
    assert_eq!(plan_cluster(&intent, &seen).disruptive_steps(), 0);
}

/// The value shrank in the same pass: the replica would have got fewer connections than its primary.
#[test]
fn nobody_is_restarted_for_a_value_that_is_being_changed() {
    let mut intent = intent(2);
    let mut seen = at_rest(&intent);
    let change = ("max_connections".to_owned(), ("100".to_owned(), "200".to_owned()));
    patroni_mut(&mut seen).members[1].pending_restart = Some(BTreeMap::from([change]));
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["restart PostgreSQL in acid-test-1"]);
    intent.patroni["ttl"] = json!(77);
    let plan = plan_cluster(&intent, &seen);
    assert!(plan.steps.iter().any(|step| matches!(step.action, Action::PatchPatroniConfig(_))), "{plan}");
    assert_eq!(plan.disruptive_steps(), 0, "{plan}");
}

/// The only pod that clients could reach was made anew, because it could not take over at that moment.
#[test]
fn a_replica_stays_while_its_primary_limps_and_nobody_can_take_over() {
    let intent = intent(2);
    let mut seen = at_rest(&intent);
    pods_mut(&mut seen)[1].revision = OLD.into();
    pods_mut(&mut seen)[0] = with_a_crashing_sidecar(0);
    patroni_mut(&mut seen).members[1].nofailover = true;
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new(), "{plan}");
    assert!(gates(&plan).iter().any(|gate| gate.contains("nofailover")), "{plan}");
}

/// The primary's node was lost, and the members that were to take over were scaled away.
#[test]
fn nothing_shrinks_while_the_primarys_pod_is_not_ready() {
    let intent = intent(1);
    let mut seen = at_rest(&intent);
    set_mut(&mut seen).body["spec"]["replicas"] = json!(2);
    pods_mut(&mut seen).push(pod(1, NEW));
    patroni_mut(&mut seen).members = vec![member(0, "leader"), member(1, "replica")];
    assert_eq!(actions(&plan_cluster(&intent, &seen)), ["update StatefulSet acid-test"]);
    pods_mut(&mut seen)[0].ready = false;
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), Vec::<String>::new(), "{plan}");
    assert!(gates(&plan).iter().any(|gate| gate.contains("acid-test-0 is not ready")), "{plan}");
}

/// The status said that all was well whenever the crashing pod ran for a moment.
#[test]
fn a_pod_that_crashes_again_and_again_holds_up_the_next_also_while_it_runs() {
    let intent = intent(3);
    let mut seen = at_rest(&intent);
    seen.now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000);
    let restarted = Some(ContainerEnd {
        container: "extra".into(),
        at: seen.now - SignedDuration::from_secs(2),
        why: "Error: exit code 1".into(),
        times: 9,
    });
    *pods_mut(&mut seen) = vec![pod(0, NEW), PodSeen { restarted, ..pod(1, OLD) }];
    let plan = plan_cluster(&intent, &seen);
    assert!(gates(&plan).iter().any(|gate| gate.contains("container extra ended")), "{plan}");
    assert!(plan.gates.iter().any(|gate| gate.stuck), "{plan}");
}
