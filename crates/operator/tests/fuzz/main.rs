//! Spoilt manifests and configurations on the whole road from text to plan: nothing panics, and
//! whatever is refused names a field and a cure. Each field and each option is spoilt at least once
//! in the short mode; the long mode (`MATRIARCH_LONG=1`, ten minutes) spoils several places at once.
//! `MATRIARCH_SEED` replays one random case.

// Tests may read files, clocks and the environment and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

mod places;
mod random;
mod road;
mod spoil;

use std::time::{Duration, Instant};

use matriarch_settings::{OPTIONS, Settings};
use random::Random;
use road::Road;
use serde_json::Value;

/// Values per place in the short mode.
const PER_FIELD: u64 = 3;
const PER_OPTION: u64 = 2;
/// Random cases in the short mode.
const RANDOM: u64 = 300;

#[test]
fn every_field_is_spoilt() {
    let base = places::rich();
    let paths = places::fields();
    let mut road = Road::default();
    for (index, path) in paths.iter().enumerate() {
        for round in 0..PER_FIELD {
            let mut manifest = base.clone();
            let value = spoil::value(index as u64 * PER_FIELD + round);
            places::put(&mut manifest["spec"], path, value.clone());
            road.manifest(&manifest, &Settings::default(), &format!("{path} = {value}"));
        }
    }
    println!("{} fields, {road}", paths.len());
    assert!(paths.len() > 150 && road.refused > 100 && road.planned > 50, "{road}");
}

#[test]
fn every_option_is_spoilt() {
    let mut road = Road::default();
    for (index, option) in OPTIONS.iter().enumerate() {
        for round in 0..PER_OPTION {
            let number = index as u64 * PER_OPTION + round;
            road.config_map(option, &spoil::text(number));
            road.operator_configuration(option, &spoil::value(number));
        }
    }
    println!("{} options, {road}", OPTIONS.len());
    assert!(road.refused > 50 && road.planned > 100, "{road}");
}

#[test]
fn the_frame_of_a_manifest_is_spoilt() {
    let mut road = Road::default();
    for place in [
        "metadata",
        "metadata/name",
        "metadata/labels",
        "metadata/annotations",
        "metadata/ownerReferences",
        "metadata/namespace",
        "metadata/uid",
        "metadata/generation",
        "spec",
        "status",
        "kind",
        "apiVersion",
    ] {
        for number in 0..spoil::COUNT {
            let mut manifest = places::rich();
            *road::at(&mut manifest, place) = spoil::value(number);
            road.manifest(&manifest, &Settings::default(), &format!("{place} = {}", spoil::value(number)));
        }
    }
    println!("{road}");
    assert!(road.refused > 10, "{road}");
}

fn one(seed: u64, manifests: &[Value], road: &mut Road) {
    let mut random = Random::new(seed);
    let mut manifest = manifests[random.below(manifests.len())].clone();
    for _ in 0..1 + random.below(5) {
        spoil::mutate(&mut manifest, &mut random);
    }
    let (settings, _) = spoil::settings(&mut random);
    road.manifest(&manifest, &settings, &format!("MATRIARCH_SEED={seed}"));
}

#[test]
fn random_manifests() {
    let manifests = places::manifests();
    let mut road = Road::default();
    let seeds = match std::env::var("MATRIARCH_SEED").ok().and_then(|text| text.parse::<u64>().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..RANDOM,
    };
    let single = seeds.end - seeds.start == 1;
    for seed in seeds {
        one(seed, &manifests, &mut road);
    }
    println!("{} manifests to start from, {road}", manifests.len());
    assert!(single || (road.refused > 20 && road.planned > 20), "{road}");
}

#[test]
#[ignore = "ten minutes: cargo xtask test --long"]
fn random_manifests_for_ten_minutes() {
    let manifests = places::manifests();
    let mut road = Road::default();
    let end = Instant::now() + Duration::from_secs(600);
    let mut seed = 1_000_000;
    while Instant::now() < end {
        one(seed, &manifests, &mut road);
        seed += 1;
    }
    println!("{road}");
    assert!(road.refused > 1000 && road.planned > 1000, "{road}");
}
