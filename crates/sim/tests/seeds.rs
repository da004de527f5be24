//! Histories of the simulated world, and the defects that they find.
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // a test reads its seed and prints its counts

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use matriarch_sim::{Defect, Failure, History, Renderings, run};

/// Seeds of the short mode.
const SHORT: u64 = 2_000;
/// In so many tests the defects are looked for: each is to end within a minute beside others.
const PARTS: usize = 3;
/// After so many failures no more are looked for.
const MOST_FAILURES: usize = 30;
/// Seeds of the long mode.
const LONG: u64 = 100_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs seeds on every core until so many fail; the failures by number.
fn run_all(seeds: Range<u64>, defect: Option<Defect>, most: usize) -> (History, Vec<Failure>) {
    let renderings = Renderings::default();
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let total = Mutex::new((History::default(), Vec::<Failure>::new()));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = run(seed, &renderings, defect);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(history) => {
                    total.0.passes += history.passes;
                    total.0.effects += history.effects;
                    total.0.disruptions += history.disruptions;
                    total.0.seconds += history.seconds;
                }
                Err(failure) => {
                    total.1.push(*failure);
                    stop.fetch_or(total.1.len() >= most, Ordering::Relaxed);
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let (history, mut failures) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|failure| failure.seed);
    (history, failures)
}

fn keep_their_promises(seeds: Range<u64>) {
    let begun = std::time::Instant::now();
    let count = seeds.end - seeds.start;
    let (history, failures) = run_all(seeds, None, MOST_FAILURES);
    if let Some(first) = failures.first() {
        let others = failures.iter().map(|other| format!("seed {}: {}", other.seed, other.property));
        panic!(
            "{first}\nall that were found:\n{}\nreplay: MATRIARCH_SEED={}",
            others.collect::<Vec<_>>().join("\n"),
            first.seed
        );
    }
    println!("{count} histories in {:?}: {history:?}", begun.elapsed());
    assert!(count < 100 || history.disruptions > count, "histories must contain rolling updates");
}

/// `MATRIARCH_SEED` replays one seed, `MATRIARCH_SEEDS` sets how many run.
#[test]
fn histories_keep_their_promises() {
    match number("MATRIARCH_SEED") {
        Some(seed) => keep_their_promises(seed..seed + 1),
        None => keep_their_promises(0..number("MATRIARCH_SEEDS").unwrap_or(SHORT / 2)),
    }
}

/// The other half of the short mode, apart so that each ends within a minute.
#[test]
fn more_histories_keep_their_promises() {
    if number("MATRIARCH_SEED").or(number("MATRIARCH_SEEDS")).is_none() {
        keep_their_promises(SHORT / 2..SHORT);
    }
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn very_many_histories_keep_their_promises() {
    keep_their_promises(0..number("MATRIARCH_SEEDS").unwrap_or(LONG));
}

/// Each planted defect is found within the seeds of the short mode, by a history that passes without
/// it. `MATRIARCH_DEFECT` plants one and prints its timeline.
fn are_found(part: usize) {
    let chosen = std::env::var("MATRIARCH_DEFECT").ok();
    let mut missed = Vec::new();
    for defect in Defect::ALL.into_iter().skip(part).step_by(PARTS) {
        let name = format!("{defect:?}");
        if chosen.as_ref().is_some_and(|chosen| *chosen != name) {
            continue;
        }
        let (_, failures) = run_all(0..SHORT, Some(defect), 1);
        match failures.first() {
            Some(failure) => {
                println!("{name}: seed {}: {}", failure.seed, failure.property);
                let without = run_all(failure.seed..failure.seed + 1, None, 1).1;
                let why = without.first().map(|failure| failure.property.as_str());
                assert_eq!(why, None, "{name} is not what seed {} finds", failure.seed);
                assert!(chosen.is_none(), "{failure}");
            }
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "no history finds {missed:?}");
}

#[test]
fn every_planted_defect_is_found() {
    are_found(0);
}

#[test]
fn every_planted_defect_is_found_second_part() {
    are_found(1);
}

#[test]
fn every_planted_defect_is_found_third_part() {
    are_found(2);
}
