//! The first seeds of the simulated world.
#![allow(clippy::disallowed_methods, clippy::print_stdout)] // a test reads its seed and prints its counts

/// `MATRIARCH_SEED` replays one seed, `MATRIARCH_SEEDS` sets how many run.
#[test]
fn histories_keep_their_promises() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("MATRIARCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MATRIARCH_SEEDS").unwrap_or(60),
    };
    let mut passes = 0;
    let mut disruptions = 0;
    for seed in seeds.clone() {
        match matriarch_sim::run(seed) {
            Ok(history) => {
                passes += history.passes;
                disruptions += history.disruptions;
            }
            Err(failure) => panic!("{failure}\nreplay: MATRIARCH_SEED={seed}"),
        }
    }
    println!("{} histories, {passes} passes, {disruptions} disruptions", seeds.count());
    assert!(disruptions > 0 || passes < 1000, "the histories must contain rolling updates");
}
