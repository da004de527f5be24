//! The scheduler, by examples and by random stories.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use matriarch_plan::scheduler::{Key, Next, Pace, Scheduler, Turn, Verdict, Why};
use proptest::prelude::*;

const EVENT: Why = Why::Event("Pod");

fn key(number: usize) -> Key {
    Key::new("demo", &format!("acid-{number}"))
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn s(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn pace() -> Pace {
    Pace { running: 4, troubled: 2, ..Pace::default() }
}

fn names(scheduler: &mut Scheduler, now: Duration) -> Vec<String> {
    std::iter::from_fn(|| scheduler.start(now)).map(|turn| turn.key.name).collect()
}

#[test]
fn a_wake_during_a_turn_runs_again_right_after_and_never_beside_it() {
    let mut scheduler = Scheduler::new(pace());
    scheduler.wake(&key(1), Why::Manifest, s(0));
    let first = scheduler.start(s(1));
    assert_eq!(first, Some(Turn { key: key(1), why: vec![Why::Manifest], waited: s(1) }));
    scheduler.wake(&key(1), EVENT, s(2));
    scheduler.wake(&key(1), Why::Manifest, s(3));
    assert_eq!(scheduler.start(s(4)), None);
    scheduler.finished(&key(1), Next::Settled.into(), s(5));
    let second = scheduler.start(s(5));
    assert_eq!(second, Some(Turn { key: key(1), why: vec![Why::Manifest, EVENT], waited: s(3) }));
}

#[test]
fn the_earliest_wanted_time_wins() {
    let mut scheduler = Scheduler::new(pace());
    scheduler.wake_at(&key(1), Why::Gate, s(9));
    scheduler.wake_at(&key(1), Why::Gate, s(5));
    scheduler.wake_at(&key(1), Why::Gate, s(7));
    assert_eq!(scheduler.next_wake(), Some(s(5)));
    assert_eq!(scheduler.start(ms(4999)), None);
    assert!(scheduler.start(s(5)).is_some());
    assert_eq!(scheduler.next_wake(), None);
}

#[test]
fn urgent_before_events_before_routine_and_in_order_within_each() {
    let mut scheduler = Scheduler::new(Pace { running: 10, ..pace() });
    for (number, why) in
        [(1, Why::Resync), (2, EVENT), (3, Why::Resync), (4, Why::Manifest), (5, EVENT), (6, Why::Deletion)]
    {
        scheduler.wake(&key(number), why, s(number as u64));
    }
    // What is woken again for a better reason moves up; a worse one changes nothing.
    scheduler.wake(&key(3), Why::SyncNow, s(7));
    scheduler.wake(&key(4), Why::Resync, s(7));
    assert_eq!(names(&mut scheduler, s(8)), ["acid-4", "acid-6", "acid-3", "acid-2", "acid-5", "acid-1"]);
}

#[test]
fn what_waited_long_enough_goes_before_urgent_newcomers() {
    let mut scheduler = Scheduler::new(Pace { running: 1, ..pace() });
    scheduler.wake(&key(1), Why::Resync, s(0));
    scheduler.wake(&key(2), Why::Manifest, s(59));
    scheduler.wake(&key(3), Why::Manifest, s(61));
    for expected in [2, 1, 3] {
        let turn = scheduler.start(s(62)).map(|turn| turn.key);
        assert_eq!(turn, Some(key(expected)));
        scheduler.finished(&key(expected), Next::Asleep.into(), s(62));
    }
}

#[test]
fn clusters_in_trouble_hold_their_part_of_the_slots_only() {
    let mut scheduler = Scheduler::new(pace());
    let verdicts =
        [Next::Failed.into(), Next::Waiting(s(1)).into(), Verdict { next: Next::Settled, slow: true }];
    for (number, verdict) in verdicts.into_iter().enumerate() {
        scheduler.wake(&key(number), Why::Start, s(0));
        assert!(scheduler.start(s(0)).is_some());
        scheduler.finished(&key(number), verdict, s(0));
    }
    (0..3).for_each(|number| scheduler.wake(&key(number), Why::Manifest, s(1)));
    scheduler.wake(&key(7), Why::Manifest, s(1));
    scheduler.wake(&key(8), EVENT, s(1));
    assert_eq!(names(&mut scheduler, s(1)), ["acid-0", "acid-1", "acid-7", "acid-8"]);
    // A slot is free, and the third one in trouble still may not have it.
    scheduler.finished(&key(7), Next::Settled.into(), s(2));
    assert_eq!(scheduler.start(s(2)), None);
    scheduler.finished(&key(0), Next::Settled.into(), s(2));
    assert_eq!(names(&mut scheduler, s(2)), ["acid-2"]);
}

/// Ends turns of one cluster with the same verdict and tells the pauses in between.
fn pauses(scheduler: &mut Scheduler, next: Next, turns: usize) -> Vec<Duration> {
    let mut now = s(0);
    scheduler.wake(&key(1), Why::Manifest, now);
    let mut pauses = Vec::new();
    for _ in 0..turns {
        assert!(scheduler.start(now).is_some(), "at {now:?}");
        scheduler.finished(&key(1), next.into(), now);
        let next = scheduler.next_wake().expect("another look");
        pauses.push(next - now);
        now = next;
    }
    pauses
}

#[test]
fn failures_double_the_pause_up_to_a_minute() {
    let found = pauses(&mut Scheduler::new(pace()), Next::Failed, 9);
    for (pause, middle) in found.iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60]) {
        assert!(*pause >= s(middle) * 4 / 5 && *pause <= s(middle) * 6 / 5, "{pause:?}, about {middle} s");
    }
    assert_eq!(pauses(&mut Scheduler::new(pace()), Next::Failed, 9), found, "not random");
}

#[test]
fn a_gate_is_looked_at_less_often_the_longer_it_is_shut() {
    let found = pauses(&mut Scheduler::new(pace()), Next::Waiting(s(1)), 60);
    assert_eq!(found[0], s(1));
    assert!(found.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(found.last(), Some(&s(15)));
    // A gate that knows when it opens is not asked before.
    assert_eq!(pauses(&mut Scheduler::new(pace()), Next::Waiting(s(3600)), 3), [s(3600); 3]);
}

#[test]
fn steps_that_never_end_are_a_fight_and_get_pauses() {
    let found = pauses(&mut Scheduler::new(pace()), Next::Again, 14);
    assert!(found[..10].iter().all(Duration::is_zero), "{found:?}");
    assert!(found[10] >= ms(800) && found[13] >= s(6), "{found:?}");
}

#[test]
fn events_do_not_cut_the_first_pause_short_and_a_new_manifest_does() {
    let mut scheduler = Scheduler::new(pace());
    scheduler.wake(&key(1), Why::Start, s(0));
    assert!(scheduler.start(s(0)).is_some());
    // What the failing turn itself wrote comes back as an event.
    scheduler.wake(&key(1), EVENT, s(0));
    scheduler.finished(&key(1), Next::Failed.into(), s(0));
    scheduler.wake(&key(1), EVENT, ms(1));
    assert_eq!(scheduler.start(ms(500)), None);
    assert!(scheduler.next_wake().is_some_and(|at| at <= s(1)));
    scheduler.wake(&key(1), Why::Manifest, ms(600));
    assert!(scheduler.start(ms(600)).is_some());
}

#[test]
fn resyncs_spread_over_the_period_and_stay_there() {
    let mut scheduler = Scheduler::new(Pace { running: 2000, resync: s(60), ..pace() });
    let begun = s(1000);
    for number in 0..1000 {
        scheduler.wake(&key(number), Why::Start, begun);
        assert!(scheduler.start(begun).is_some());
        scheduler.finished(&key(number), Next::Settled.into(), begun);
    }
    let mut per_second = BTreeMap::<u64, u32>::new();
    let mut first = BTreeMap::new();
    while first.len() < 1000 {
        let now = scheduler.next_wake().expect("a resync");
        assert!(now > begun && now <= begun + s(60), "{now:?}");
        while let Some(turn) = scheduler.start(now) {
            assert_eq!(turn.why, [Why::Resync]);
            *per_second.entry((now - begun).as_secs()).or_default() += 1;
            first.insert(turn.key.clone(), now);
            scheduler.finished(&turn.key, Next::Settled.into(), now);
        }
    }
    assert!(per_second.values().all(|count| *count < 50), "{per_second:?}");
    let again = scheduler.next_wake();
    assert_eq!(again, first.values().min().map(|at| *at + s(60)));
}

#[test]
fn a_cluster_that_is_not_well_is_looked_at_after_the_repair_period() {
    let after = |repair| {
        let mut scheduler = Scheduler::new(Pace { repair, resync: s(3600), ..pace() });
        pauses(&mut scheduler, Next::Unwell, 1)[0]
    };
    assert!(after(s(100)) >= s(90) && after(s(100)) <= s(110));
    assert!(after(s(0)) > s(110), "without a repair period it is the resync");
}

#[test]
fn what_is_forgotten_does_not_run_and_may_come_back() {
    let mut scheduler = Scheduler::new(pace());
    scheduler.wake(&key(1), Why::Manifest, s(0));
    scheduler.forget(&key(1));
    assert_eq!(scheduler.start(s(0)), None);
    scheduler.wake(&key(1), Why::Manifest, s(1));
    assert!(scheduler.start(s(1)).is_some());
    scheduler.forget(&key(1));
    scheduler.finished(&key(1), Next::Failed.into(), s(2));
    assert_eq!((scheduler.next_wake(), scheduler.keys().count()), (None, 0));
    // Deleted and made anew while a turn runs.
    scheduler.wake(&key(1), Why::Manifest, s(3));
    assert!(scheduler.start(s(3)).is_some());
    scheduler.forget(&key(1));
    scheduler.wake(&key(1), Why::Manifest, s(4));
    assert_eq!(scheduler.start(s(4)), None);
    scheduler.finished(&key(1), Next::Asleep.into(), s(5));
    assert!(scheduler.start(s(5)).is_some());
}

/// Something that happens to the scheduler.
#[derive(Clone, Debug)]
enum Happens {
    Wake(usize, Why),
    WakeIn(usize, u64),
    Finish(usize, Verdict),
    Forget(usize),
    Pass(u64),
}

fn why() -> impl Strategy<Value = Why> {
    prop::sample::select(vec![Why::Manifest, Why::Deletion, Why::SyncNow, EVENT, Why::Resync, Why::Settings])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let next = prop_oneof![
        Just(Next::Settled),
        Just(Next::Unwell),
        Just(Next::Again),
        (1u64..20).prop_map(|seconds| Next::Waiting(s(seconds))),
        Just(Next::Failed),
        Just(Next::Asleep),
    ];
    (next, any::<bool>()).prop_map(|(next, slow)| Verdict { next, slow })
}

fn happens() -> impl Strategy<Value = Happens> {
    let one = 0usize..8;
    prop_oneof![
        3 => (one.clone(), why()).prop_map(|(key, why)| Happens::Wake(key, why)),
        1 => (one.clone(), 0u64..90_000).prop_map(|(key, after)| Happens::WakeIn(key, after)),
        4 => (any::<prop::sample::Index>(), verdict())
            .prop_map(|(which, verdict)| Happens::Finish(which.index(8), verdict)),
        1 => one.prop_map(Happens::Forget),
        2 => (0u64..5_000).prop_map(Happens::Pass),
    ]
}

/// What a reader of the contract would keep beside it.
#[derive(Default)]
struct Witness {
    running: BTreeSet<Key>,
    /// Clusters with a wake that no turn has served yet.
    owed: BTreeSet<Key>,
}

fn start_all(scheduler: &mut Scheduler, pace: &Pace, witness: &mut Witness, now: Duration) -> Vec<Turn> {
    let mut turns = Vec::new();
    while let Some(turn) = scheduler.start(now) {
        assert!(witness.running.insert(turn.key.clone()), "{} has two turns at once", turn.key);
        assert!(!turn.why.is_empty(), "a turn without a reason");
        witness.owed.remove(&turn.key);
        turns.push(turn);
        assert!(witness.running.len() <= pace.running);
        assert!(scheduler.running_troubled() <= pace.troubled);
        assert_eq!(scheduler.running(), witness.running.len());
    }
    turns
}

fn tell(scheduler: &mut Scheduler, story: &[Happens]) -> (Vec<Turn>, Witness, Duration) {
    let pace = pace();
    let (mut witness, mut now, mut turns) = (Witness::default(), s(0), Vec::new());
    for what in story {
        match what {
            Happens::Wake(number, why) => {
                scheduler.wake(&key(*number), *why, now);
                witness.owed.insert(key(*number));
            }
            Happens::WakeIn(number, after) => {
                scheduler.wake_at(&key(*number), Why::Gate, now + ms(*after));
                witness.owed.insert(key(*number));
            }
            Happens::Finish(which, verdict) => {
                let running = witness.running.iter().cycle().nth(*which).cloned();
                if let Some(key) = running {
                    witness.running.remove(&key);
                    scheduler.finished(&key, *verdict, now);
                }
            }
            Happens::Forget(number) => {
                scheduler.forget(&key(*number));
                witness.owed.remove(&key(*number));
            }
            Happens::Pass(time) => now += ms(*time),
        }
        turns.extend(start_all(scheduler, &pace, &mut witness, now));
        assert!(scheduler.next_wake().is_none_or(|at| at > now), "it would wake for nothing");
    }
    (turns, witness, now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_wake_is_lost(story in prop::collection::vec(happens(), 1..200)) {
        let mut scheduler = Scheduler::new(pace());
        let (_, mut witness, mut now) = tell(&mut scheduler, &story);
        // Turns end, and time goes on: whatever was woken gets its turn within bounded time.
        let end = now + s(200);
        while !witness.owed.is_empty() {
            for key in std::mem::take(&mut witness.running) {
                scheduler.finished(&key, Next::Settled.into(), now);
            }
            let turns = start_all(&mut scheduler, &pace(), &mut witness, now);
            if turns.is_empty() && !witness.owed.is_empty() {
                now = scheduler.next_wake().expect("somebody is owed a turn and nothing is planned");
            }
            prop_assert!(now <= end, "{:?} are still owed a turn", witness.owed);
        }
    }

    #[test]
    fn the_same_story_gives_the_same_turns(story in prop::collection::vec(happens(), 1..100)) {
        let first = tell(&mut Scheduler::new(pace()), &story).0;
        prop_assert_eq!(first, tell(&mut Scheduler::new(pace()), &story).0);
    }

    /// However many urgent changes come, routine is served when its handicap is over.
    #[test]
    fn nothing_starves(urgent_per_turn in 1usize..4) {
        let mut scheduler = Scheduler::new(Pace { running: 1, ..pace() });
        scheduler.wake(&key(999), Why::Resync, s(0));
        let mut number = 0;
        for second in 0..100 {
            for _ in 0..urgent_per_turn {
                number += 1;
                scheduler.wake(&key(1000 + number), Why::Manifest, s(second));
            }
            if let Some(turn) = scheduler.start(s(second)) {
                if turn.key == key(999) {
                    return Ok(());
                }
                scheduler.finished(&turn.key, Next::Asleep.into(), s(second));
            }
        }
        // With more urgent work than can be done, the wait is longer, but those that came later
        // than the handicap wait behind it.
        let queued_before = urgent_per_turn * 61;
        for _ in 0..queued_before {
            if let Some(turn) = scheduler.start(s(100)) {
                if turn.key == key(999) {
                    return Ok(());
                }
                scheduler.finished(&turn.key, Next::Asleep.into(), s(100));
            }
        }
        prop_assert!(false, "never served");
    }

    /// Clusters in trouble, and be there ever so many, do not delay one that is well.
    #[test]
    fn trouble_delays_nobody(count in 3usize..40) {
        let mut scheduler = Scheduler::new(pace());
        for number in 0..count {
            scheduler.wake(&key(number), Why::Start, s(0));
            prop_assert!(scheduler.start(s(0)).is_some());
            scheduler.finished(&key(number), Next::Waiting(s(1)).into(), s(0));
        }
        (0..count).for_each(|number| scheduler.wake(&key(number), Why::Manifest, s(1)));
        // All their turns hang.
        while scheduler.start(s(2)).is_some() {}
        scheduler.wake(&key(100), EVENT, s(3));
        scheduler.wake(&key(101), Why::Resync, s(3));
        prop_assert_eq!(names(&mut scheduler, s(3)), ["acid-100", "acid-101"]);
    }
}
