//! A history: the world, the manifest, and an operator that hears of changes, in a world where things
//! go wrong.

mod operator;

use std::sync::Arc;
use std::time::Duration;

use matriarch_plan::Plan;
use matriarch_plan::scheduler::{Key, Pace, Scheduler, Why};
use matriarch_settings::Settings;

use self::operator::Ghost;
use crate::defect::{Defect, Saboteur};
use crate::eyes::Eyes;
use crate::judge::{Judge, Retention};
use crate::script;
use crate::seed::Seed;
use crate::variant::{Rendered, Renderings, Variant};
use crate::world::World;

/// Name of the cluster.
pub const CLUSTER: &str = "acid-sim";
/// Turns within one second of the virtual clock.
const TURNS_PER_SECOND: u32 = 4;
/// Every cluster is looked at this often.
const RESYNC: Duration = Duration::from_secs(60);

/// A property that did not hold.
#[derive(Debug)]
pub struct Failure {
    /// Number of the seed.
    pub seed: u64,
    /// What did not hold.
    pub property: String,
    /// Plans and events up to then.
    pub timeline: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.timeline.len().saturating_sub(200);
        self.timeline[shown..].iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "seed {}: {}", self.seed, self.property)
    }
}

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// Passes made.
    pub passes: u64,
    /// Steps that took effect.
    pub effects: u64,
    /// Pods deleted, restarts and switchovers.
    pub disruptions: u64,
    /// Seconds of the virtual clock.
    pub seconds: u64,
}

/// Runs the history of a seed.
///
/// # Errors
/// The first property that did not hold, with the timeline.
pub fn run(number: u64, renderings: &Renderings, defect: Option<Defect>) -> Result<History, Box<Failure>> {
    let attempt = |recorded| {
        let mut run = Run::new(number, renderings, defect, recorded);
        let result = script::play(&mut run);
        (result, run)
    };
    let (result, run) = attempt(false);
    if result.is_ok() {
        return Ok(run.history());
    }
    // The same again, told.
    let (result, run) = attempt(true);
    let property = result.err().unwrap_or_else(|| "a seed gives one history".to_owned());
    Err(Box::new(Failure { seed: number, property, timeline: run.timeline.unwrap_or_default() }))
}

/// A history in progress.
pub struct Run<'a> {
    renderings: &'a Renderings,
    /// Choices of the history.
    pub seed: Seed,
    /// Which properties are looked at. Apart, so that a history is the same without looking.
    looks: Seed,
    /// The world.
    pub world: World,
    /// What is counted, and what must hold.
    pub judge: Judge,
    /// The manifest as it stands.
    pub rendered: Arc<Rendered>,
    /// By what the operator deletes.
    pub settings: Settings,
    /// The last plan, when it was made without trouble and nothing disturbed it.
    pub last: Option<Plan>,
    saboteur: Option<Saboteur>,
    timeline: Option<Vec<String>>,
    /// The manifest as the operator knows it, and when it hears of the newest.
    known: (Arc<Rendered>, bool),
    heard_at: Option<u64>,
    caches: Eyes,
    /// What is asked of the API server itself, before something is written.
    live: Eyes,
    /// The plan at hand rests on that.
    looks_live: bool,
    scheduler: Scheduler,
    heard_version: u64,
    ghost: Option<Ghost>,
    passes: u64,
}

fn key() -> Key {
    Key::new("sim", CLUSTER)
}

impl<'a> Run<'a> {
    fn new(number: u64, renderings: &'a Renderings, defect: Option<Defect>, recorded: bool) -> Self {
        let mut seed = Seed::new(number);
        let world = World::new(CLUSTER, Seed::new(seed.draw()));
        // Replaced by the first edit.
        let rendered = Arc::new(Rendered::default());
        Self {
            renderings,
            seed,
            looks: Seed::new(number),
            world,
            judge: Judge::default(),
            known: (Arc::clone(&rendered), false),
            rendered,
            settings: Settings::default(),
            last: None,
            saboteur: defect.map(Saboteur::new),
            timeline: recorded.then(Vec::new),
            heard_at: None,
            caches: Eyes::default(),
            live: Eyes::default(),
            looks_live: false,
            scheduler: Scheduler::new(pace()),
            heard_version: 0,
            ghost: None,
            passes: 0,
        }
    }

    fn history(&self) -> History {
        History {
            passes: self.passes,
            effects: u64::from(self.judge.effects),
            disruptions: u64::from(self.judge.disruptions),
            seconds: self.world.now,
        }
    }

    /// Writes a line into the timeline, if one is kept.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let Some(timeline) = &mut self.timeline else { return };
        let line = line();
        // A wait is said once.
        let same = timeline.last().is_some_and(|last| last.get(6..) == Some(line.as_str()));
        if !same {
            timeline.push(format!("{:>5} {line}", self.world.now));
        }
    }

    /// What the manifest becomes.
    pub fn rendering(&self, variant: Variant) -> Result<Arc<Rendered>, String> {
        self.renderings.of(CLUSTER, variant)
    }

    /// Somebody changes the manifest; the operator hears of it after so many seconds.
    pub fn edit(&mut self, rendered: Arc<Rendered>, delay: u64) {
        self.tell(|| format!("the manifest becomes {:?}", rendered.variant));
        self.judge.edit(self.world.now, rendered.variant);
        if self.world.leader_up().is_none() {
            // Which of its old members take part in the next election was asked for here.
            self.world.patroni.ended_by_us = false;
        }
        self.rendered = rendered;
        self.heard_at = Some(self.world.now + delay);
        self.last = None;
    }

    /// Somebody deletes the manifest; what the settings keep stays.
    pub fn delete(&mut self, keeps: Retention, delay: u64) {
        self.tell(|| format!("the manifest is deleted; kept: {keeps:?}"));
        self.judge.edit(self.world.now, self.rendered.variant);
        self.judge.keeps = keeps;
        self.settings.enable_secrets_deletion = !keeps.secrets;
        self.settings.enable_persistent_volume_claim_deletion = !keeps.claims;
        self.world.manifest.deleting = true;
        self.world.manifest.gone |= !self.world.manifest.finalizer;
        self.heard_at = Some(self.world.now + delay);
        self.last = None;
    }

    /// The operator is killed and started again; its plan may go on for a moment elsewhere.
    pub fn restart_operator(&mut self) {
        self.tell(|| "the operator starts anew".to_owned());
        self.caches = Eyes::default();
        self.live = Eyes::default();
        self.scheduler = Scheduler::new(pace());
        self.scheduler.wake(&key(), Why::Start, self.time());
        self.hear_manifest();
    }

    fn hear_manifest(&mut self) {
        self.heard_at = None;
        self.known = self.manifest();
    }

    /// The manifest as it stands, and whether it is being deleted.
    fn manifest(&self) -> (Arc<Rendered>, bool) {
        (Arc::clone(&self.rendered), self.world.manifest.deleting)
    }

    /// What the plan at hand rests on.
    fn eyes(&self) -> &Eyes {
        if self.looks_live { &self.live } else { &self.caches }
    }

    /// All that went wrong has ended.
    pub fn calm(&mut self) {
        self.ghost = None;
        self.heard_at = self.heard_at.map(|_| self.world.now);
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.world.now)
    }

    /// One second: the world, then the operator.
    ///
    /// # Errors
    /// A property that does not hold.
    pub fn second(&mut self, storm: bool) -> Result<(), String> {
        self.world.tick();
        if let Some(harm) = self.world.harm.take() {
            return Err(harm);
        }
        self.ghost_acts()?;
        self.hear(storm);
        for _ in 0..TURNS_PER_SECOND {
            let Some(turn) = self.scheduler.start(self.time()) else { break };
            let verdict = self.pass(storm)?;
            self.scheduler.finished(&turn.key, verdict, self.time());
        }
        Ok(())
    }

    /// Events; in a storm some are late and some are lost.
    fn hear(&mut self, storm: bool) {
        if self.heard_at.is_some_and(|at| at <= self.world.now) {
            self.hear_manifest();
            let why = if self.known.1 { Why::Deletion } else { Why::Manifest };
            self.scheduler.wake(&key(), why, self.time());
        }
        if self.heard_version == self.world.version || (storm && self.seed.chance(15)) {
            return;
        }
        self.heard_version = self.world.version;
        if !(storm && self.seed.chance(10)) {
            self.scheduler.wake(&key(), Why::Event("Pod"), self.time());
        }
    }
}

/// The real one, but for a resync that comes within a history.
fn pace() -> Pace {
    Pace { resync: RESYNC, ..Pace::default() }
}
