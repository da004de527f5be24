//! A first database that nobody makes any more: what is done, and what is left to people.

mod worlds;

use jiff::{SignedDuration, Timestamp};
use matriarch_cluster::Intent;
use matriarch_plan::bootstrap::nobody_begins;
use matriarch_plan::{Action, ClaimSeen, ObjectKey, Observation, PatroniObject, Seen, plan_cluster};
use serde_json::{Value, json};
use worlds::*;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + second)
}

/// A new cluster of `members` that all wait since second 100; it is second 100 + `waited`.
fn at_a_loss(members: u32, waited: i64, annotations: Value) -> (Intent, Observation) {
    let intent = intent(members);
    let mut seen = at_rest(&intent);
    seen.leader = Seen::Absent;
    seen.catalog = Seen::Absent;
    let patroni = patroni_mut(&mut seen);
    patroni.config = Seen::Absent;
    for member in &mut patroni.members {
        (member.role, member.state) = ("replica".into(), "stopped".into());
        patroni.without_database.insert(member.name.clone());
    }
    seen.patroni_objects = Seen::Present(vec![PatroniObject {
        key: ObjectKey::new("ConfigMap", "acid-test-config"),
        uid: "p".into(),
        metadata: json!({"annotations": annotations, "resourceVersion": "7", "creationTimestamp": at(90).to_string()}),
    }]);
    let claim = |ordinal: u32| ClaimSeen {
        name: format!("pgdata-acid-test-{ordinal}"),
        uid: format!("c{ordinal}"),
        deleting: false,
        created: Some(at(50)),
    };
    seen.claims = Seen::Present((0..members).map(claim).collect());
    seen.manifest_created = Some(at(40));
    seen.nobody_begins_since = Some(at(100));
    seen.now = at(100 + waited);
    (intent, seen)
}

fn done(intent: &Intent, seen: &Observation) -> Vec<String> {
    actions(&plan_cluster(intent, seen))
}

fn claims_mut(seen: &mut Observation) -> &mut Vec<ClaimSeen> {
    match &mut seen.claims {
        Seen::Present(claims) => claims,
        other => panic!("claims are {other:?}"),
    }
}

#[test]
fn an_empty_key_of_somebody_who_is_gone_is_removed() {
    let (intent, seen) = at_a_loss(3, 20, json!({"initialize": ""}));
    let plan = plan_cluster(&intent, &seen);
    assert_eq!(actions(&plan), ["remove the empty key initialize from ConfigMap acid-test-config"]);
    let Action::FreeInitializeKey { uid, resource_version, .. } = &plan.steps[0].action else {
        panic!("{plan}")
    };
    assert_eq!(
        (uid.as_str(), resource_version.as_str()),
        ("p", "7"),
        "what Patroni has written since is safe"
    );
    assert!(plan.steps[0].reasons().contains("is gone"), "{}", plan.steps[0].reasons());
    let (intent, seen) = at_a_loss(3, 19, json!({"initialize": ""}));
    assert!(plan_cluster(&intent, &seen).steps.is_empty(), "whoever began may be about to say so");
}

#[test]
fn a_volume_of_the_attempt_is_made_anew_and_its_pod_after_it() {
    let (intent, mut seen) = at_a_loss(2, 60, json!({}));
    assert_eq!(done(&intent, &seen), ["make the volume of claim pgdata-acid-test-0 anew"]);
    claims_mut(&mut seen)[0].deleting = true;
    assert_eq!(done(&intent, &seen), ["recreate pod acid-test-0"]);
    let (intent, seen) = at_a_loss(2, 59, json!({}));
    assert!(done(&intent, &seen).is_empty(), "Patroni has its rounds");
}

#[test]
fn what_may_be_missed_is_left_to_people() {
    type Change = fn(&mut Observation);
    let cases: [(&str, Change); 6] = [
        ("the cluster ran before", |seen| seen.status.postgres_cluster_status = "Updating".into()),
        ("Patroni has kept nothing", |seen| seen.patroni_objects = Seen::Present(Vec::new())),
        ("it is not known when", |seen| claims_mut(seen)[0].created = None),
        ("it is not known when", |seen| seen.manifest_created = None),
        ("its volume is older than the manifest", |seen| claims_mut(seen)[0].created = Some(at(39))),
        ("its volume is older than the attempt", |seen| {
            (claims_mut(seen)[0].created, seen.manifest_created) = (Some(at(90 - 3601)), Some(at(-9000)));
        }),
    ];
    for (why, change) in cases {
        let (intent, mut seen) = at_a_loss(1, 600, json!({}));
        change(&mut seen);
        let plan = plan_cluster(&intent, &seen);
        assert!(plan.steps.is_empty(), "{why}: {plan}");
        let gate = plan.gates.iter().find(|gate| gate.stuck).expect(why);
        assert!(
            gate.because.contains(why) && gate.because.contains("delete claim"),
            "{why}: {}",
            gate.because
        );
    }
}

#[test]
fn a_cluster_that_has_a_system_is_never_begun_anew() {
    let (intent, seen) = at_a_loss(1, 600, json!({"initialize": "7713313735200956449"}));
    let plan = plan_cluster(&intent, &seen);
    assert!(plan.steps.is_empty(), "{plan}");
    let gate = plan.gates.iter().find(|gate| gate.stuck).expect("it is said");
    assert!(gate.because.contains("7713313735200956449"), "{}", gate.because);
    let (intent, seen) = at_a_loss(1, 600, json!({"config": "{}"}));
    assert!(plan_cluster(&intent, &seen).steps.is_empty(), "there was a configuration");
}

#[test]
fn only_what_every_member_says_counts() {
    let cases: [fn(&mut Observation); 7] = [
        |seen| seen.leader = Seen::Present("acid-test-0".into()),
        |seen| seen.leader = Seen::Unknown("silence".into()),
        |seen| seen.patroni = Seen::Unknown("silence".into()),
        |seen| seen.pods = Seen::Unknown("silence".into()),
        |seen| seen.pods = Seen::Present(Vec::new()),
        |seen| pods_mut(seen)[1].deleting = true,
        |seen| patroni_mut(seen).without_database.clear(),
    ];
    let (_, seen) = at_a_loss(2, 600, json!({"initialize": ""}));
    assert!(nobody_begins(&seen));
    for (number, change) in cases.into_iter().enumerate() {
        for annotations in [json!({"initialize": ""}), json!({})] {
            let (intent, mut seen) = at_a_loss(2, 600, annotations);
            change(&mut seen);
            assert!(!nobody_begins(&seen), "case {number}");
            let steps = done(&intent, &seen);
            assert!(
                steps.iter().all(|step| !step.contains("claim") && !step.contains("pod")),
                "case {number}: {steps:?}"
            );
        }
    }
}

#[test]
fn objects_that_are_not_known_lead_to_nothing() {
    let (intent, mut seen) = at_a_loss(1, 600, json!({}));
    seen.patroni_objects = Seen::Unknown("silence".into());
    assert!(plan_cluster(&intent, &seen).steps.is_empty());
    let (intent, mut seen) = at_a_loss(1, 600, json!({}));
    seen.claims = Seen::Unknown("silence".into());
    assert!(plan_cluster(&intent, &seen).steps.is_empty());
}
