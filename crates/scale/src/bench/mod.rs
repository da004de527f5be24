//! The benchmark of many clusters. For each number: all clusters are brought to their state, the
//! operator is started anew and timed, watched while nothing changes, then given changes while
//! some clusters are stuck.

mod change;
mod figures;
pub mod fleet;
mod stuck;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::audit::Audit;
use crate::operator::{self, Operator, Start};
use crate::stand_in::StandIn;
use figures::Figures;
use fleet::Fleet;

/// Port of the operator's HTTP interface.
const PORT: u16 = 8080;
/// A stage that takes longer is broken, not slow.
const WITHIN: Duration = Duration::from_secs(1800);
/// What one stage leaves behind has settled by then.
const CALM: Duration = Duration::from_secs(8);

/// Options.
#[derive(clap::Args)]
pub struct Options {
    /// The program `matriarch`.
    #[arg(long)]
    operator: PathBuf,
    /// Numbers of clusters, rising.
    #[arg(long, value_delimiter = ',')]
    clusters: Vec<u32>,
    /// Members of each.
    #[arg(long)]
    members: u32,
    /// Resync period in seconds.
    #[arg(long)]
    resync: u32,
    /// Periods for which the idle operator is watched.
    #[arg(long)]
    syncs: u32,
    /// Changes that are made and timed.
    #[arg(long)]
    changes: u32,
    /// State directory of the world.
    #[arg(long)]
    state: PathBuf,
}

/// Lines with the time since the start.
pub struct Diary(Instant);

impl Diary {
    /// One line.
    pub fn say(&self, text: &str) {
        println!("[{:>7.1}s] {text}", self.0.elapsed().as_secs_f64());
    }
}

/// Measures and prints.
///
/// # Errors
/// When the world breaks, or a stage takes half an hour.
pub async fn run(options: Options) -> Result<()> {
    let diary = Diary(Instant::now());
    let client = crate::administrator(&options.state).await?;
    let stand_in = StandIn::start(client.clone(), false).await?;
    let fleet = Fleet::new(client, options.members, options.resync).await?;
    let start = Start {
        program: options.operator.clone(),
        kubeconfig: options.state.join("pki/operator.kubeconfig"),
        port: PORT,
        namespace: fleet::OPERATOR.to_owned(),
        watched: "*".to_owned(),
        lease: "matriarch",
        controller_id: String::new(),
        databases: false,
        log: options.state.join("logs/operator.log"),
    };
    let mut bench = Bench { options, diary, fleet, stand_in, start };
    let mut all: BTreeMap<u32, Figures> = BTreeMap::new();
    let last = bench.options.clusters.last().copied();
    for number in bench.options.clusters.clone() {
        let figures = bench.measure(number, Some(number) == last).await?;
        all.insert(number, figures);
        println!("\n{}\n", figures::table(&all));
    }
    Ok(())
}

struct Bench {
    options: Options,
    diary: Diary,
    fleet: Fleet,
    stand_in: StandIn,
    start: Start,
}

impl Bench {
    async fn measure(&mut self, number: u32, last: bool) -> Result<Figures> {
        let mut figures = Figures::default();
        let mut audit = Audit::new(&self.options.state);
        let number_of = number as usize;
        self.diary.say(&format!("{number} clusters: writing manifests"));
        self.fleet.grow(number).await?;
        let operator = self.start.start()?;
        self.until(&operator, "running", number_of, operator::ready).await?;
        operator.stop().await;
        tokio::time::sleep(CALM).await;

        audit.since()?;
        let operator = self.start.start()?;
        let verified = self.until(&operator, "verified", number_of, operator::verified).await?;
        figures.verified = verified;
        let usage = operator.usage()?;
        figures.cpu_verified = usage.cpu_seconds;
        figures.start_requests = audit.since()?;
        let text = figures.start_requests.most(8);
        let seconds = verified.as_secs_f64();
        self.diary.say(&format!("verified after {seconds:.1} s; memory: {usage}; requests: {text}"));

        self.idle(&operator, &mut audit, number, &mut figures).await?;
        let stuck = self.fleet.stick(&self.stand_in).await?;
        let wait = Duration::from_secs(u64::from(self.options.resync)) + CALM;
        self.diary.say(&format!("{} clusters are stuck; waiting {} s", stuck.len(), wait.as_secs()));
        tokio::time::sleep(wait).await;
        audit.since()?;
        let before = operator.usage()?;
        figures.stuck = stuck.len();
        figures.changes =
            change::make(&self.fleet, &self.stand_in, &stuck, self.options.changes, &self.diary).await?;
        let usage = operator.usage()?;
        figures.cpu_changes = usage.cpu_seconds - before.cpu_seconds;
        figures.cpu_all = usage.cpu_seconds;
        figures.peak_mib = usage.peak_mib;
        let text = audit.since()?.most(8);
        self.diary.say(&format!("memory: {usage}; before the changes: {before}; requests meanwhile: {text}"));
        if !last {
            self.diary.say("undoing what is stuck and changed");
            self.fleet.heal(&self.stand_in).await?;
            self.until(&operator, "running", number_of, operator::ready).await?;
        }
        operator.stop().await;
        Ok(figures)
    }

    /// Watches the operator while nothing changes.
    async fn idle(
        &self,
        operator: &Operator,
        audit: &mut Audit,
        number: u32,
        figures: &mut Figures,
    ) -> Result<()> {
        tokio::time::sleep(CALM).await;
        let period = Duration::from_secs(u64::from(self.options.resync * self.options.syncs));
        self.diary.say(&format!("watching the idle operator for {} s", period.as_secs()));
        let (before, passes) = (operator.usage()?, passes(operator).await);
        audit.since()?;
        tokio::time::sleep(period).await;
        figures.idle = audit.since()?;
        let usage = operator.usage()?;
        figures.cpu_idle = usage.cpu_seconds - before.cpu_seconds;
        figures.resident_mib = usage.resident_mib;
        figures.syncs = u64::from(number) * u64::from(self.options.syncs);
        let done = self::passes(operator).await - passes;
        let text = figures.idle.most(8);
        let due = figures.syncs;
        self.diary.say(&format!("{done:.0} passes, {due} resyncs due; memory: {usage}; requests: {text}"));
        Ok(())
    }

    /// Waits until so many clusters are counted, and tells how long after the start of the operator.
    async fn until(
        &self,
        operator: &Operator,
        word: &str,
        number: usize,
        count: fn(&BTreeMap<String, f64>) -> usize,
    ) -> Result<Duration> {
        let (begin, mut said) = (Instant::now(), Instant::now());
        loop {
            let counted = operator.metrics().await.map_or(0, |metrics| count(&metrics));
            if counted >= number {
                let took = operator.started.elapsed();
                self.diary.say(&format!("{counted} of {number} {word}"));
                return Ok(took);
            }
            operator.usage()?;
            if begin.elapsed() > WITHIN {
                bail!("{counted} of {number} clusters {word} after {WITHIN:?}\n{}", operator.last_words());
            }
            if said.elapsed() > Duration::from_secs(10) {
                said = Instant::now();
                self.diary.say(&format!("{counted} of {number} {word}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn passes(operator: &Operator) -> f64 {
    let metrics = operator.metrics().await.unwrap_or_default();
    metrics.get("matriarch_passes_total").copied().unwrap_or_default()
}
