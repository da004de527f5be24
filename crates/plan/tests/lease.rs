//! The Lease: by the moves of single candidates, and by many candidates in a world whose requests
//! get lost.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use matriarch_plan::lease::{Candidate, Move, Record, Timing, Write, Written};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn candidate() -> Candidate {
    Candidate::new("me", Timing::default())
}

fn record(holder: &str, version: &str) -> Record {
    Record { holder: holder.to_owned(), duration: at(10_000), transitions: 3, version: version.to_owned() }
}

fn written(result: Move) -> Write {
    match result {
        Move::Write(write) => write,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_that_does_not_exist_is_made() {
    let mut me = candidate();
    assert_eq!(me.next(at(0)), Move::Read);
    me.saw(at(10), None);
    let write = written(me.next(at(10)));
    assert_eq!((write.version.as_deref(), write.transitions, write.acquires), (None, 0, true));
    assert!(!me.acts(at(10)));
    me.wrote(at(10), &write, Written::Done("1".into()));
    assert!(me.acts(at(10)) && me.acts(at(6_009)) && !me.acts(at(6_010)));
    assert_eq!(me.next(at(10)), Move::Wait(at(2_000)));
    assert!(!written(me.next(at(2_010))).acquires);
}

#[test]
fn a_silent_holder_is_respected_for_the_duration_after_the_first_look() {
    let mut me = candidate();
    me.saw(at(1_000), Some(record("other", "1")));
    assert_eq!(me.next(at(1_000)), Move::Wait(at(1_000)));
    for second in 2..11 {
        assert_eq!(me.next(at(second * 1_000)), Move::Read);
        me.saw(at(second * 1_000), Some(record("other", "1")));
    }
    let write = written(me.next(at(11_000)));
    assert_eq!((write.version.as_deref(), write.transitions), (Some("1"), 4));
}

#[test]
fn a_holder_that_renews_keeps_it() {
    let mut me = candidate();
    for second in 1..60 {
        me.saw(at(second * 1_000), Some(record("other", &second.to_string())));
        assert!(!matches!(me.next(at(second * 1_000)), Move::Write(_)));
    }
}

#[test]
fn what_was_handed_back_is_taken_at_the_next_look() {
    let mut me = candidate();
    me.saw(at(0), Some(Record { duration: at(1_000), ..record("", "2") }));
    assert_eq!(written(me.next(at(0))).holder, "me");
}

#[test]
fn a_holder_who_cannot_renew_stops_before_others_may_begin() {
    let mut me = candidate();
    me.saw(at(0), None);
    let write = written(me.next(at(0)));
    me.wrote(at(0), &write, Written::Done("1".into()));
    let renewal = written(me.next(at(2_000)));
    me.wrote(at(2_000), &renewal, Written::Failed);
    assert_eq!(me.next(at(2_100)), Move::Read);
    me.saw_nothing(at(2_100));
    assert!(me.acts(at(5_999)) && !me.acts(at(6_000)));
    assert!(matches!(me.next(at(6_000)), Move::Read));
    // Back again: it was not taken, and is not ours without a write.
    me.saw(at(7_000), Some(Record { holder: "me".into(), ..record("me", "1") }));
    assert!(!me.acts(at(7_000)));
}

#[test]
fn a_conflict_with_an_edit_by_hand_does_not_end_it() {
    let mut me = candidate();
    me.saw(at(0), None);
    let write = written(me.next(at(0)));
    me.wrote(at(0), &write, Written::Done("1".into()));
    let renewal = written(me.next(at(2_000)));
    me.wrote(at(2_000), &renewal, Written::Conflict);
    assert_eq!(me.next(at(2_000)), Move::Read);
    me.saw(at(2_050), Some(record("me", "9")));
    assert!(me.acts(at(2_050)));
    let renewal = written(me.next(at(4_050)));
    assert_eq!(renewal.version.as_deref(), Some("9"));
    me.saw(at(4_060), Some(record("other", "10")));
    assert!(!me.acts(at(4_060)));
}

#[test]
fn only_a_holder_hands_back() {
    let mut me = candidate();
    assert_eq!(me.release(at(0)), None);
    me.saw(at(0), None);
    let write = written(me.next(at(0)));
    me.wrote(at(0), &write, Written::Done("1".into()));
    let release = me.release(at(100)).unwrap();
    assert_eq!((release.holder.as_str(), release.duration), ("", at(1_000)));
    assert_eq!(me.release(at(7_000)), None);
}

/// One request: how long it takes, whether it reaches the server, whether the answer comes back.
#[derive(Clone, Debug)]
struct Request(u64, bool, bool);

fn request() -> impl Strategy<Value = Request> {
    (1u64..3_000, prop::bool::weighted(0.8), prop::bool::weighted(0.8)).prop_map(|(t, a, b)| Request(t, a, b))
}

/// The server's Lease, and what each candidate is in the middle of.
struct Server {
    lease: Option<Record>,
    version: u64,
}

impl Server {
    fn write(&mut self, write: &Write) -> Written {
        let found = self.lease.as_ref().map(|lease| lease.version.clone());
        if found != write.version {
            return Written::Conflict;
        }
        self.version += 1;
        let version = self.version.to_string();
        self.lease = Some(Record {
            holder: write.holder.clone(),
            duration: write.duration,
            transitions: write.transitions,
            version: version.clone(),
        });
        Written::Done(version)
    }
}

/// How many act at most at the same time. Each candidate is busy with one request at a time.
fn most_who_act(requests: &[(usize, Request)], timing: Timing) -> usize {
    let mut server = Server { lease: None, version: 0 };
    let mut candidates: Vec<Candidate> = (0..3).map(|n| Candidate::new(&format!("c{n}"), timing)).collect();
    let mut busy_until = [at(0); 3];
    let mut now = at(0);
    let mut most = 0;
    for (who, Request(millis, arrives, returns)) in requests {
        let who = *who;
        // The clock goes on; somebody who is still busy is waited for.
        now = now.max(busy_until[who]) + at(50);
        let ends = now + at(*millis);
        match candidates[who].next(now) {
            Move::Wait(pause) => now += pause.min(at(1_000)),
            Move::Read => {
                if *arrives && *returns {
                    candidates[who].saw(ends, server.lease.clone());
                } else {
                    candidates[who].saw_nothing(ends);
                }
                busy_until[who] = ends;
            }
            Move::Write(write) => {
                let result = if *arrives { server.write(&write) } else { Written::Failed };
                let result = if *returns { result } else { Written::Failed };
                candidates[who].wrote(now, &write, result);
                busy_until[who] = ends;
            }
        }
        most = most.max(candidates.iter().filter(|candidate| candidate.acts(now)).count());
    }
    most
}

fn histories() -> impl Strategy<Value = Vec<(usize, Request)>> {
    proptest::collection::vec((0usize..3, request()), 50..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever gets lost or comes late.
    #[test]
    fn never_do_two_act(requests in histories()) {
        prop_assert!(most_who_act(&requests, Timing::default()) <= 1);
    }
}

/// The histories above are hard enough: a holder who acts longer than others wait is found.
#[test]
fn a_deadline_beyond_the_duration_is_found() {
    let wrong = Timing { renew_deadline: at(20_000), ..Timing::default() };
    let mut runner = TestRunner::deterministic();
    let found = (0..300).any(|_| {
        let history = histories().new_tree(&mut runner).unwrap().current();
        most_who_act(&history, wrong) > 1
    });
    assert!(found);
}
