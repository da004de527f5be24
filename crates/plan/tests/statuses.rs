//! What the status says: `Running` only when it is so, problems within a minute, with the words of
//! whoever blocks; and what it remembers of members that do not stream.

mod worlds;

use jiff::{SignedDuration, Timestamp};
use matriarch_api::{Condition, PostgresqlStatus};
use matriarch_cluster::Intent;
use matriarch_plan::healing::remembered;
use matriarch_plan::status::{self, PassResult};
use matriarch_plan::{Action, ClaimSeen, Observation, Outcome, PodSeen, Seen, Step, plan_cluster};
use serde_json::json;
use worlds::*;

fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a moment")
}

/// An operator that has no memory but the status.
struct Life {
    intent: Intent,
    seen: Observation,
    fails: Option<&'static str>,
}

impl Life {
    fn of(instances: u32) -> Self {
        Self::with(intent(instances))
    }

    fn with(intent: Intent) -> Self {
        let seen = Observation { now: start(), ..at_rest(&intent) };
        Self { intent, seen, fails: None }
    }

    /// A pass, so many seconds after the one before; gives the actions that were taken.
    fn pass(&mut self, seconds: i64) -> Vec<String> {
        self.seen.now += SignedDuration::from_secs(seconds);
        let plan = plan_cluster(&self.intent, &self.seen);
        let outcome = |step: &Step| match self.fails {
            Some(why) => (step.clone(), Outcome::Failed(why.to_owned())),
            None => (step.clone(), Outcome::Applied),
        };
        let outcomes: Vec<_> = plan.steps.iter().map(outcome).collect();
        let result = PassResult { intent: &self.intent, seen: &self.seen, plan: &plan, outcomes: &outcomes };
        self.seen.status = status::status(&result, &self.seen.status, self.seen.now);
        actions(&plan)
    }

    fn word(&self) -> &str {
        &self.seen.status.postgres_cluster_status
    }

    fn condition(&self, kind: &str) -> Option<&Condition> {
        find(&self.seen.status, kind)
    }

    fn holds(&self, kind: &str) -> bool {
        self.condition(kind).is_some_and(|condition| condition.status == "True")
    }
}

fn find<'a>(status: &'a PostgresqlStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

#[test]
fn one_late_answer_of_patroni_is_no_news_and_ten_seconds_of_silence_are() {
    let mut life = Life::of(3);
    life.pass(0);
    let before = life.seen.status.clone();
    let answer = life.seen.patroni.clone();
    life.seen.patroni = Seen::Unknown("acid-test-0: timeout".into());
    life.seen.patroni_silent_since = Some(life.seen.now);
    life.pass(4);
    assert_eq!(life.seen.status, before, "four seconds");
    life.seen.patroni = answer;
    life.seen.patroni_silent_since = None;
    life.pass(4);
    assert_eq!(life.seen.status, before, "it answers again");
    life.seen.patroni = Seen::Unknown("acid-test-0: timeout".into());
    life.seen.patroni_silent_since = Some(life.seen.now);
    life.pass(6);
    life.pass(6);
    assert_eq!((life.word(), life.holds("Ready")), ("Updating", false));
    // Whatever else is amiss is told at once.
    let mut life = Life::of(3);
    life.pass(0);
    pods_mut(&mut life.seen)[1].ready = false;
    life.seen.patroni = Seen::Unknown("acid-test-0: timeout".into());
    life.seen.patroni_silent_since = Some(life.seen.now);
    life.pass(1);
    assert!(!life.holds("Ready"));
}

#[test]
fn running_means_that_the_primary_is_ready_and_all_members_stream() {
    let spoilt: [(&str, fn(&mut Observation)); 6] = [
        ("a replica does not stream", |seen| patroni_mut(seen).members[2].state = "running".into()),
        ("a replica is not listed", |seen| drop(patroni_mut(seen).members.pop())),
        ("the primary is not ready", |seen| pods_mut(seen)[0].ready = false),
        ("the primary goes", |seen| pods_mut(seen)[0].deleting = true),
        ("two opinions", |seen| seen.leader = Seen::Present("acid-test-1".into())),
        ("Patroni is silent", |seen| seen.patroni = Seen::Unknown("timeout".into())),
    ];
    for (what, spoil) in spoilt {
        let mut life = Life::of(3);
        life.pass(0);
        assert_eq!((life.word(), life.holds("Ready")), ("Running", true));
        spoil(&mut life.seen);
        life.pass(5);
        assert_eq!((life.word(), life.holds("Ready")), ("Updating", false), "{what}");
        assert!(!life.holds("Degraded"), "{what}");
        life.pass(50);
        assert!(life.holds("Degraded"), "{what}: {:?}", life.seen.status);
    }
}

/// A member that stays behind a scale-down does not count for one that is wanted.
#[test]
fn members_beyond_the_wanted_number_do_not_count() {
    let mut life = Life::of(2);
    pods_mut(&mut life.seen).push(pod(2, NEW));
    patroni_mut(&mut life.seen).members.push(member(2, "replica"));
    patroni_mut(&mut life.seen).members[1].state = "stopped".into();
    life.pass(0);
    assert!(!life.holds("Ready"));
}

#[test]
fn a_wait_becomes_a_problem_within_a_minute_and_heals_at_once() {
    let mut life = Life::of(2);
    life.pass(0);
    let whole = life.seen.clone();
    pods_mut(&mut life.seen).pop();
    for _ in 0..4 {
        life.pass(10);
        assert!(!life.holds("Degraded"), "{:?}", life.condition("Degraded"));
    }
    // The operator was started anew meanwhile: it has nothing but the status.
    life.pass(10);
    life.pass(5);
    let degraded = life.condition("Degraded").expect("a condition");
    assert_eq!((degraded.status.as_str(), degraded.reason.as_str()), ("True", "MemberStuck"));
    assert_eq!(degraded.message, "until acid-test-1 is ready: the pod does not exist yet");
    let message = degraded.message.clone();
    life.pass(300);
    assert_eq!(life.condition("Degraded").map(|it| &it.message), Some(&message), "it does not tick");

    let (now, status) = (life.seen.now, life.seen.status.clone());
    life.seen = Observation { now, status, ..whole };
    life.pass(1);
    assert_eq!((life.word(), life.holds("Degraded"), life.holds("Ready")), ("Running", false, true));
}

/// One wait after another is progress, however long it all takes.
#[test]
fn waits_that_change_are_no_problem() {
    let mut life = Life::of(3);
    life.pass(0);
    for ordinal in [2, 1, 2, 1, 2] {
        let mut members = vec![member(0, "leader"), member(1, "replica"), member(2, "replica")];
        members[ordinal].state = "starting".into();
        patroni_mut(&mut life.seen).members = members;
        life.pass(30);
        assert!(!life.holds("Degraded"), "{ordinal}");
    }
}

/// Copying a database takes as long as it takes.
#[test]
fn a_member_that_gets_its_data_is_no_problem() {
    let mut life = Life::of(2);
    life.pass(0);
    patroni_mut(&mut life.seen).members[1].state = "creating replica".into();
    for _ in 0..10 {
        life.pass(600);
    }
    assert!(!life.holds("Degraded"));
    assert!(life.condition("MembersStreaming").is_none());
    assert_eq!(life.word(), "Updating");
}

#[test]
fn a_blocked_rollout_has_a_condition_with_the_schedulers_words() {
    let mut life = Life::of(3);
    life.pass(0);
    assert!(!life.holds("RolloutBlocked"));
    let pods = pods_mut(&mut life.seen);
    pods.iter_mut().for_each(|pod| pod.revision = OLD.into());
    let words = "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.";
    pods[2] = PodSeen { ready: false, age_seconds: 30, waiting: Some(words.into()), ..pod(2, NEW) };
    life.pass(10);
    let blocked = life.condition("RolloutBlocked").expect("a condition");
    assert_eq!((blocked.status.as_str(), blocked.reason.as_str()), ("True", "PodNotBack"));
    assert!(blocked.message.contains(words), "{}", blocked.message);
    assert_eq!(life.condition("Degraded").map(|it| it.reason.as_str()), Some("RolloutBlocked"));

    // Put back, and the pod is up again.
    pods_mut(&mut life.seen).iter_mut().for_each(|pod| pod.revision = NEW.into());
    pods_mut(&mut life.seen)[2] = pod(2, NEW);
    life.pass(10);
    assert!(!life.holds("RolloutBlocked") && !life.holds("Degraded"));
}

#[test]
fn a_template_that_the_api_server_refuses_blocks_a_rollout_before_a_pod_is_gone() {
    let mut life = Life::of(2);
    life.pass(0);
    pods_mut(&mut life.seen).iter_mut().for_each(|pod| pod.revision = OLD.into());
    life.fails = Some("the new template is refused, no pod is deleted: cpu 9999 exceeds the limit");
    assert_eq!(life.pass(1), ["recreate pod acid-test-1"]);
    let blocked = life.condition("RolloutBlocked").expect("a condition");
    assert_eq!((blocked.status.as_str(), blocked.reason.as_str()), ("True", "TemplateRefused"));
    assert!(blocked.message.contains("exceeds the limit"));
    assert_eq!(life.word(), "SyncFailed");
}

/// Waits for a decision or a moment leave the cluster `Running`.
#[test]
fn what_waits_for_a_decision_is_well() {
    let mut life = Life::with(annotated(2, json!({"acid.zalan.do/approve-primary": "required"})));
    life.pass(0);
    pods_mut(&mut life.seen)[0].revision = OLD.into();
    for _ in 0..5 {
        assert_eq!(life.pass(600), Vec::<String>::new());
    }
    assert_eq!((life.word(), life.holds("Ready"), life.holds("Degraded")), ("Running", true, false));
    let progressing = life.condition("Progressing").expect("a condition");
    assert_eq!((progressing.status.as_str(), progressing.reason.as_str()), ("True", "Postponed"));
    assert!(progressing.message.contains("acid.zalan.do/approve-primary=acid-test-new"));
}

#[test]
fn a_paused_cluster_shows_its_plan() {
    let mut life = Life::with(annotated(2, json!({"acid.zalan.do/paused": "true"})));
    pods_mut(&mut life.seen)[1].revision = OLD.into();
    life.pass(0);
    let paused = life.condition("Paused").expect("a condition");
    assert!(paused.message.contains("recreate pod acid-test-1"), "{}", paused.message);
    assert_eq!(life.word(), "Running", "all members stream");
    life.intent = intent(2);
    life.pass(1);
    assert!(life.condition("Paused").is_none());
}

fn sick(policy: &str) -> Life {
    let mut life = Life::with(annotated(2, json!({"acid.zalan.do/self-healing": policy})));
    let claim = ClaimSeen {
        name: "pgdata-acid-test-1".into(),
        uid: "c".into(),
        deleting: false,
        ..ClaimSeen::default()
    };
    life.seen.claims = Seen::Present(vec![claim]);
    life.pass(0);
    patroni_mut(&mut life.seen).members[1].state = "start failed".into();
    life
}

/// Every step and when it was taken, over `hours` with a pass each minute.
fn history(life: &mut Life, hours: i64) -> Vec<(i64, String)> {
    let start = life.seen.now;
    let mut taken = Vec::new();
    for _ in 0..hours * 60 {
        for action in life.pass(60) {
            taken.push((life.seen.now.duration_since(start).as_secs() / 60, action));
        }
    }
    taken
}

#[test]
fn without_permission_a_member_that_does_not_stream_is_only_told_of() {
    for policy in ["off", "nonsense"] {
        let mut life = sick(policy);
        assert_eq!(history(&mut life, 5), []);
        assert!(life.holds("Degraded"));
        let condition = life.condition("MembersStreaming").expect("a condition");
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "NotStreaming"));
        let line =
            "acid-test-1 does not stream since 2026-11-24T12:01:00Z: Patroni says it is \"start failed\"";
        assert_eq!(condition.message, line);
    }
}

#[test]
fn reinitialising_is_bounded_and_backed_off() {
    let copy = || "copy the data of acid-test-1 anew".to_owned();
    let mut life = sick("reinitialize");
    assert_eq!(history(&mut life, 12), [(6, copy()), (16, copy()), (36, copy())]);
    assert!(life.condition("MembersStreaming").is_some_and(|it| it.message.contains("; 3 tries to mend it")));

    // It streams for a moment: nothing is forgotten.
    patroni_mut(&mut life.seen).members[1].state = "streaming".into();
    life.pass(30);
    assert_eq!(life.condition("MembersStreaming"), None, "the last try was long ago");
}

#[test]
fn tries_are_remembered_while_a_member_streams_for_a_moment() {
    let mut life = sick("reinitialize");
    assert_eq!(history(&mut life, 1).len(), 3);
    patroni_mut(&mut life.seen).members[1].state = "streaming".into();
    life.pass(30);
    let mended = life.condition("MembersStreaming").expect("a condition");
    assert_eq!((mended.status.as_str(), mended.reason.as_str()), ("True", "Mended"));
    patroni_mut(&mut life.seen).members[1].state = "start failed".into();
    assert_eq!(history(&mut life, 10), [], "three tries are three tries");
}

#[test]
fn then_the_volume_is_made_anew() {
    let mut life = sick("recreate-volume");
    let copy = || "copy the data of acid-test-1 anew".to_owned();
    let volume = || "make the volume of claim pgdata-acid-test-1 anew".to_owned();
    let expected = [(6, copy()), (16, copy()), (36, copy()), (76, volume()), (156, volume())];
    assert_eq!(history(&mut life, 12), expected);

    // The claim goes only after its pod.
    let mut life = sick("recreate-volume");
    assert_eq!(history(&mut life, 1).len(), 3);
    if let Seen::Present(claims) = &mut life.seen.claims {
        claims[0].deleting = true;
    }
    assert_eq!(life.pass(30), ["recreate pod acid-test-1"]);
}

#[test]
fn a_claim_that_somebody_deletes_is_left_to_him_without_permission() {
    for policy in ["off", "reinitialize"] {
        let mut life = sick(policy);
        if let Seen::Present(claims) = &mut life.seen.claims {
            claims[0].deleting = true;
        }
        assert!(history(&mut life, 1).iter().all(|(_, action)| !action.contains("pod")), "{policy}");
    }
}

/// Never the leader, never without one, never on an unknown, never while a rollout or a pause goes on.
#[test]
fn nobody_is_healed_in_doubt() {
    let doubts: [(&str, fn(&mut Observation)); 8] = [
        ("the leader is not healthy", |seen| patroni_mut(seen).members[0].state = "stopped".into()),
        ("no leader", |seen| seen.leader = Seen::Absent),
        ("the leader is not known", |seen| seen.leader = Seen::Unknown("timeout".into())),
        ("two opinions", |seen| seen.leader = Seen::Present("acid-test-1".into())),
        ("Patroni is silent", |seen| seen.patroni = Seen::Unknown("timeout".into())),
        ("Patroni is paused", |seen| patroni_mut(seen).paused = true),
        ("a rollout goes on, and the pod is older than its trouble", |seen| {
            pods_mut(seen)[0].revision = OLD.into();
            pods_mut(seen)[1].age_seconds = 1_000_000;
        }),
        ("the pods are not known", |seen| seen.pods = Seen::Unknown("timeout".into())),
    ];
    for (what, doubt) in doubts {
        let mut life = sick("recreate-volume");
        life.pass(30);
        doubt(&mut life.seen);
        let taken = history(&mut life, 6);
        let heals = |action: &String| action.contains("anew");
        assert!(!taken.iter().any(|(_, action)| heals(action)), "{what}: {taken:?}");
    }
    // The claims are not known: the data may be copied, no volume is touched.
    let mut life = sick("recreate-volume");
    life.seen.claims = Seen::Unknown("forbidden".into());
    assert_eq!(history(&mut life, 12).len(), 3);
}

#[test]
fn a_condition_that_somebody_edited_harms_nobody() {
    for message in [
        "",
        "x",
        "acid-test-1 does not stream since yesterday: x",
        "acid-test-1 x; y tries to mend it, the last at z",
    ] {
        let condition =
            Condition { type_: "MembersStreaming".into(), message: message.into(), ..Condition::default() };
        let status = PostgresqlStatus { conditions: vec![condition], ..PostgresqlStatus::default() };
        assert!(remembered(&status).values().all(|trouble| trouble.since.is_none()), "{message}");
    }
}

/// A refused manifest does not make the count begin anew.
#[test]
fn a_refusal_forgets_no_try() {
    let mut life = sick("reinitialize");
    history(&mut life, 1);
    let refused = status::refused(&[], "UpdateFailed", 4, &life.seen.status, life.seen.now);
    assert_eq!(remembered(&refused), remembered(&life.seen.status));
}

#[test]
fn a_deletion_that_hangs_is_said() {
    let life = Life::of(1);
    let mut seen = life.seen.clone();
    let plan = matriarch_plan::plan_deletion(&life.intent, &Default::default(), &seen);
    let step = Step::new(Action::RemoveFinalizer, "x");
    let outcomes = [(step, Outcome::Failed("forbidden".into()))];
    let status = status::deleting(&plan, &outcomes, 4, &seen.status, seen.now);
    assert_eq!(find(&status, "Degraded").map(|it| it.reason.as_str()), Some("StepFailed"));
    for (seconds, hangs) in [(0, "False"), (200, "False"), (150, "True")] {
        seen.now += SignedDuration::from_secs(seconds);
        seen.status = status::deleting(&plan, &[], 4, &seen.status, seen.now);
        let degraded = find(&seen.status, "Degraded").map(|it| it.status.as_str());
        assert_eq!(degraded, Some(hangs), "{seconds}");
    }
    assert_eq!(find(&seen.status, "Ready").map(|it| it.reason.as_str()), Some("Deleting"));
}
