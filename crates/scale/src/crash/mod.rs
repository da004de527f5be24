//! Kills the operator before and after its k-th write, in each flow, and lets another one finish.
//!
//! Requests come as lines on standard input, `FLOW PART SEED`: one of so many moments is played,
//! chosen by the seed; 1 plays all. Answers go to standard output: lines about what happens, and
//! in the end `crash-result FLOW ok …` or `crash-result FLOW failed …`.

mod flow;
mod lane;
mod proxy;
mod strike;
mod world;

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc;

use crate::stand_in::StandIn;
use flow::Flow;
pub use flow::Lives;
use lane::{Lane, Run};
pub use strike::Strike;
use strike::{Moment, Side};

/// Failures of one flow after which it is given up.
const MOST_FAILURES: usize = 3;

/// Options.
#[derive(clap::Args)]
pub struct Options {
    /// The program `matriarch`.
    #[arg(long)]
    operator: PathBuf,
    /// State directory of the world.
    #[arg(long)]
    state: PathBuf,
    /// The pods are real: the local cluster, not a world. Of a part every so many-th write.
    #[arg(long)]
    real: bool,
}

/// What a flow is played with.
#[derive(Clone, Copy, Debug)]
struct Asked {
    flow: Flow,
    /// One of so many moments.
    part: u64,
    seed: u64,
    /// Every so many-th write instead of drawn ones.
    every: bool,
}

/// Serves until standard input ends and all flows are played.
///
/// # Errors
/// When the world is not there, or a line is not understood.
pub async fn run(options: Options) -> Result<()> {
    let client = crate::administrator(&options.state).await?;
    let stand_in = if options.real {
        StandIn::look(client.clone())
    } else {
        world::prepare(&client).await?;
        StandIn::start(client.clone(), true).await?
    };
    let mut lines = lines();
    let mut playing = Vec::new();
    let mut numbers = 0..;
    while let Some(line) = lines.recv().await {
        let asked = Asked { every: options.real, ..parse(&line)? };
        let mut lanes = Vec::new();
        let count = if options.real { 1 } else { asked.flow.lanes() };
        for number in numbers.by_ref().take(count) {
            lanes.push(Lane::new(&client, &stand_in, &options, asked.flow, number).await?);
        }
        playing.push(tokio::spawn(play(lanes, asked)));
    }
    let mut failed = 0;
    for playing in playing {
        failed += usize::from(!playing.await?);
    }
    if failed > 0 {
        bail!("{failed} flows failed");
    }
    Ok(())
}

/// Standard input, from a thread that may wait.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn parse(line: &str) -> Result<Asked> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [flow, part, seed] = words[..] else { bail!("not FLOW PART SEED: {line}") };
    let flow = Flow::parse(flow).map_err(anyhow::Error::msg)?;
    let part: u64 = part.parse().context("PART is not a number")?;
    Ok(Asked { flow, part: part.max(1), seed: seed.parse().context("SEED is not a number")?, every: false })
}

/// Plays a flow; true when it is good. Says so.
async fn play(lanes: Vec<Lane>, asked: Asked) -> bool {
    let word = asked.flow.word();
    match moments(lanes, asked).await {
        Ok(Played { played, struck, all, failures }) if failures.is_empty() => {
            println!(
                "crash-result {word} ok {played} of {all} moments played, {struck} kills, all converged"
            );
            true
        }
        Ok(Played { played, all, failures, .. }) => {
            let failures = failures.join("; ").replace('\n', " | ");
            println!("crash-result {word} failed {played} of {all} moments played: {failures}");
            false
        }
        Err(error) => {
            let error = format!("{error:#}").replace('\n', " | ");
            println!("crash-result {word} failed {error}");
            false
        }
    }
}

#[derive(Default)]
struct Played {
    played: usize,
    struck: usize,
    all: usize,
    failures: Vec<String>,
}

/// Moments of each turn.
type Queues = Vec<VecDeque<Moment>>;

/// A run without a kill for each turn tells how many writes there are; then the moments, shared
/// between the lanes.
async fn moments(mut lanes: Vec<Lane>, asked: Asked) -> Result<Played> {
    let (word, turns) = (asked.flow.word(), asked.flow.turns());
    let mut shared: Vec<Queues> = lanes.iter().map(|_| vec![VecDeque::new(); turns]).collect();
    let mut all_played = Played::default();
    let first = lanes.first_mut().context("no lane")?;
    for turn in 0..turns {
        let run = first.run(turn, None).await.with_context(|| format!("{word} without a kill"))?;
        println!("crash {word}: {} writes: {}", run.writes.len(), run.writes.join(", "));
        if asked.flow.is_measured(turn) {
            let all = every_moment(run.writes.len());
            all_played.all += all.len();
            let lanes = shared.len();
            let drawn = match asked.every {
                true => every(&all, asked.part),
                false => chosen(&all, asked.part, asked.seed + turn as u64),
            };
            for (index, moment) in drawn.into_iter().enumerate() {
                shared[index % lanes][turn].push_back(moment);
            }
        }
    }
    let playing = lanes.iter_mut().zip(shared).map(|(lane, queues)| lane_moments(lane, queues, asked));
    for played in futures::future::join_all(playing).await {
        all_played.played += played.played;
        all_played.struck += played.struck;
        all_played.all += played.all;
        all_played.failures.extend(played.failures);
    }
    Ok(all_played)
}

async fn lane_moments(lane: &mut Lane, mut queues: Queues, asked: Asked) -> Played {
    let (word, turns) = (asked.flow.word(), asked.flow.turns());
    let mut played = Played::default();
    let mut turn = 0;
    while queues.iter().any(|queue| !queue.is_empty()) && played.failures.len() < MOST_FAILURES {
        let moment = queues[turn].pop_front();
        let run = match lane.run(turn, moment).await {
            Ok(run) => run,
            Err(error) => {
                let when = moment.map_or_else(|| "without a kill".to_owned(), |moment| moment.to_string());
                println!("crash {word} FAILED killed {when}: {error:#}");
                played.failures.push(format!("killed {when}: {error:#}"));
                lane.abandon().await;
                turn = 0;
                continue;
            }
        };
        if let Some(moment) = moment {
            played.played += 1;
            played.struck += usize::from(run.struck);
            tell(word, moment, &run);
            // There were more writes than in the run that was counted.
            if asked.part == 1 && run.struck && queues[turn].is_empty() {
                played.all += 2;
                let k = moment.k + 1;
                queues[turn].extend([Side::Before, Side::After].map(|side| Moment { k, side }));
            }
        }
        turn = (turn + 1) % turns;
    }
    played
}

fn tell(word: &str, moment: Moment, run: &Run) {
    let what = run.writes.get(moment.k - 1).map_or("", String::as_str);
    let seconds = run.took.as_secs_f64();
    if run.struck {
        println!("crash {word}: killed {moment} ({what}), converged after {seconds:.1} s");
    } else {
        println!("crash {word}: no write {} any more ({seconds:.1} s)", moment.k);
    }
}

/// Both sides of each write.
fn every_moment(writes: usize) -> Vec<Moment> {
    (1..=writes).flat_map(|k| [Side::Before, Side::After].map(|side| Moment { k, side })).collect()
}

/// Both sides of every `part`-th write, from the first.
fn every(all: &[Moment], part: u64) -> VecDeque<Moment> {
    all.iter().copied().filter(|moment| (moment.k as u64 - 1).is_multiple_of(part)).collect()
}

/// One of `part`, at least two, in their order; another seed chooses others.
fn chosen(all: &[Moment], part: u64, seed: u64) -> VecDeque<Moment> {
    if part == 1 {
        return all.iter().copied().collect();
    }
    let wanted = all.len().div_ceil(usize::try_from(part).unwrap_or(usize::MAX)).max(2);
    let mut drawn: Vec<(u64, Moment)> =
        (0u64..).zip(all).map(|(index, moment)| (mixed(seed, index), *moment)).collect();
    drawn.sort_unstable();
    let mut moments: Vec<Moment> = drawn.into_iter().take(wanted).map(|(_, moment)| moment).collect();
    moments.sort_unstable();
    moments.into()
}

/// A number that looks like chance and is always the same (SplitMix64).
fn mixed(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_drawn_by_the_seed() {
        let all = every_moment(30);
        assert_eq!(all.len(), 60);
        assert_eq!(chosen(&all, 1, 7).len(), 60);
        let tenth = chosen(&all, 10, 7);
        assert_eq!((tenth.len(), tenth == chosen(&all, 10, 7)), (6, true));
        assert_ne!(tenth, chosen(&all, 10, 8));
        assert_eq!(chosen(&every_moment(3), 10, 1).len(), 2);
        let fifth: Vec<usize> = every(&every_moment(12), 5).into_iter().map(|moment| moment.k).collect();
        assert_eq!(fifth, [1, 1, 6, 6, 11, 11]);
    }

    #[test]
    fn lines_are_read() {
        let asked = parse("roll 10 7").expect("a request");
        assert_eq!((asked.flow, asked.part, asked.seed), (Flow::Roll, 10, 7));
        assert!(parse("roll").is_err() && parse("x 1 1").is_err());
    }
}
