//! Which cluster is looked at next: a state machine over clusters, driven alike by the operator
//! and by the simulated world. It owns no clock; `now` is the time since some fixed moment, and
//! must never go back.
//!
//! The loop that drives it:
//!
//! 1. whatever happens becomes [`Scheduler::wake`] (or [`Scheduler::forget`] when a manifest is
//!    gone);
//! 2. [`Scheduler::start`] is called until it gives nothing, and each turn that it gives is run;
//! 3. the end of a turn is told with [`Scheduler::finished`], whatever became of it;
//! 4. then one sleeps until something happens, or [`Scheduler::next_wake`].
//!
//! What holds: no cluster has two turns at once; a wake during a turn leads to another turn right
//! after it; of several wanted times the earliest wins; no more than [`Pace::running`] turns run;
//! clusters in trouble hold at most [`Pace::troubled`] of them, so they delay nobody else;
//! nothing that is due waits for ever, because rank grows with waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Time since the fixed moment.
pub type Time = Duration;

/// How much longer than an urgent wake an event may be kept waiting by urgent ones that came later.
const EVENT_HANDICAP: Duration = Duration::from_secs(10);
/// The same for a look without a reason.
const ROUTINE_HANDICAP: Duration = Duration::from_secs(60);
/// A gate that stays shut is looked at after this part of the time that it has been waited for …
const PATIENCE: u32 = 8;
/// … but at least this often, unless the gate itself asks for less.
const LONGEST_PATIENCE: Duration = Duration::from_secs(15);
/// So many turns in a row that took steps are a fight with somebody who undoes them: from then on
/// there are pauses, as after failures.
const FIGHT: u32 = 10;

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace of the manifest.
    pub namespace: String,
    /// Name of the manifest.
    pub name: String,
}

impl Key {
    /// A key from borrowed parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// A number that looks random and is the same for ever (FNV-1a).
    fn hash(&self, salt: u64) -> u64 {
        let bytes = self.namespace.bytes().chain([b'/']).chain(self.name.bytes()).chain(salt.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        // The upper bits of short texts hardly differ: mix them.
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ (hash >> 33)
    }

    /// A part of `whole` that depends on the key and the salt: at least nothing, less than all.
    fn part_of(&self, whole: Duration, salt: u64) -> Duration {
        let thousandths = u32::try_from(self.hash(salt) % 1000).unwrap_or_default();
        whole / 1000 * thousandths
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Why a cluster is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Its manifest is new or changed.
    Manifest,
    /// Its manifest is being deleted.
    Deletion,
    /// Somebody asked for it.
    SyncNow,
    /// An object of it, of this kind, changed.
    Event(&'static str),
    /// Steps were taken, or a turn was cut short: the world must be observed again.
    Again,
    /// A gate that it waits for may have opened.
    Gate,
    /// The last turn failed.
    Retry,
    /// It is not as it should be.
    Repair,
    /// The operator has just begun, or leads since now.
    Start,
    /// The settings changed, or what many clusters refer to.
    Settings,
    /// It was not looked at for long.
    Resync,
}

impl Why {
    /// One word, for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Deletion => "deletion",
            Self::SyncNow => "sync-now",
            Self::Event(_) => "event",
            Self::Again => "again",
            Self::Gate => "gate",
            Self::Retry => "retry",
            Self::Repair => "repair",
            Self::Start => "start",
            Self::Settings => "settings",
            Self::Resync => "resync",
        }
    }

    /// Somebody waits for it.
    fn is_urgent(self) -> bool {
        matches!(self, Self::Manifest | Self::Deletion | Self::SyncNow)
    }

    fn handicap(self) -> Duration {
        match self {
            Self::Manifest | Self::Deletion | Self::SyncNow => Duration::ZERO,
            Self::Event(_) | Self::Again | Self::Gate | Self::Retry => EVENT_HANDICAP,
            Self::Repair | Self::Start | Self::Settings | Self::Resync => ROUTINE_HANDICAP,
        }
    }
}

/// How fast things go. May change at any time with [`Scheduler::set_pace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Turns that run at once, at least one.
    pub running: usize,
    /// How many of them may belong to clusters in trouble: whose last turn failed, was slow, or
    /// waits for a gate.
    pub troubled: usize,
    /// A settled cluster is looked at once in this time, each at its own point of it.
    pub resync: Duration,
    /// A cluster that is not as it should be is looked at after this time; zero: as settled ones.
    pub repair: Duration,
    /// The delay after the first failure; it doubles with each further one in a row.
    pub first_backoff: Duration,
    /// The longest delay after a failure.
    pub longest_backoff: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            running: 64,
            troubled: 32,
            resync: Duration::from_secs(1800),
            repair: Duration::from_secs(300),
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(60),
        }
    }
}

/// What a turn ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Everything is as it should be: the resync is the next look.
    Settled,
    /// It is not, and nothing is waited for (a refused manifest, a cluster that is not ready): the
    /// next look is after the repair period.
    Unwell,
    /// Steps were taken: look again at once, unless that has happened too often in a row.
    Again,
    /// A gate is shut; the time is the gate's own wish. The longer it is shut the less often it is
    /// looked at.
    Waiting(Duration),
    /// The turn could not be made, or steps failed.
    Failed,
    /// No look is needed until something happens: the manifest is another operator's, or gone.
    Asleep,
}

/// The end of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// When to look again.
    pub next: Next,
    /// Somebody outside (Patroni, a database) kept it waiting for long.
    pub slow: bool,
}

impl From<Next> for Verdict {
    fn from(next: Next) -> Self {
        Self { next, slow: false }
    }
}

/// A turn that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The cluster.
    pub key: Key,
    /// Every reason since its last turn began; sorted, never empty.
    pub why: Vec<Why>,
    /// How long it was due.
    pub waited: Duration,
}

/// Position in a queue: lower is earlier. The number keeps equal ones in order.
type Place = (Time, u64);

#[derive(Debug, Default)]
struct Entry {
    /// Where it waits, and since when it is due.
    queued: Option<(Place, Time)>,
    /// A wanted time, with its reason.
    timer: Option<(Time, Why)>,
    /// Since its last turn began.
    why: BTreeSet<Why>,
    /// Whether a turn runs, and whether it counts as one in trouble.
    running: Option<bool>,
    /// Woken while a turn runs: when, and its rank.
    again: Option<(Time, Time)>,
    /// Its manifest went while a turn ran.
    forgotten: bool,
    troubled: bool,
    /// Failures in a row.
    failures: u32,
    /// Turns with steps in a row.
    steps: u32,
    /// Since when it waits for gates.
    waits_since: Option<Time>,
    /// After a failure, or in a fight: events do not start a turn before.
    rests_until: Time,
}

/// The state machine.
#[derive(Debug, Default)]
pub struct Scheduler {
    pace: Pace,
    entries: BTreeMap<Key, Entry>,
    /// What is due: clusters in order, and clusters in trouble.
    queues: [BTreeMap<Place, Key>; 2],
    timers: BTreeSet<(Time, Key)>,
    running: [usize; 2],
    number: u64,
}

impl Scheduler {
    /// A scheduler without clusters.
    pub fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Another pace, from the next turn on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// The cluster is to be looked at now. After a failure anything but an urgent reason waits for
    /// the first back-off at least: what a failing turn writes must not wake it at once.
    pub fn wake(&mut self, key: &Key, why: Why, now: Time) {
        let entry = self.entries.entry(key.clone()).or_default();
        entry.forgotten = false;
        entry.why.insert(why);
        if entry.running.is_none() && entry.must_rest(now) {
            let at = entry.rests_until;
            return self.wake_at(key, why, at);
        }
        self.enqueue(key, now, now + why.handicap());
    }

    /// The cluster is to be looked at then; an earlier wanted time stays.
    pub fn wake_at(&mut self, key: &Key, why: Why, at: Time) {
        let entry = self.entries.entry(key.clone()).or_default();
        entry.forgotten = false;
        match entry.timer {
            Some((earlier, _)) if earlier <= at => {}
            _ => {
                if let Some((later, _)) = entry.timer.replace((at, why)) {
                    self.timers.remove(&(later, key.clone()));
                }
                self.timers.insert((at, key.clone()));
            }
        }
    }

    /// The manifest is gone: no turn begins any more unless it is woken again.
    pub fn forget(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        Self::unqueue(&mut self.queues, entry);
        if let Some((at, _)) = entry.timer.take() {
            self.timers.remove(&(at, key.clone()));
        }
        if entry.running.is_some() {
            entry.forgotten = true;
            entry.again = None;
            entry.why.clear();
        } else {
            self.entries.remove(key);
        }
    }

    /// The next turn that may begin, if any. Its end must be told with [`Self::finished`].
    pub fn start(&mut self, now: Time) -> Option<Turn> {
        self.ring(now);
        if self.running.iter().sum::<usize>() >= self.pace.running.max(1) {
            return None;
        }
        let first = |queue: &BTreeMap<Place, Key>| queue.first_key_value().map(|(place, _)| *place);
        let troubled =
            (self.running[1] < self.pace.troubled.max(1)).then(|| first(&self.queues[1])).flatten();
        let lane = match (first(&self.queues[0]), troubled) {
            (None, None) => return None,
            (Some(well), Some(ill)) => usize::from(ill < well),
            (None, Some(_)) => 1,
            (Some(_), None) => 0,
        };
        let (_, key) = self.queues[lane].pop_first()?;
        let entry = self.entries.get_mut(&key)?;
        let since = entry.queued.take().map_or(now, |(_, since)| since);
        entry.running = Some(lane == 1);
        self.running[lane] += 1;
        // The turn serves what was wanted for later, too: its end says what is wanted then.
        if let Some((at, _)) = entry.timer.take() {
            self.timers.remove(&(at, key.clone()));
        }
        let why = std::mem::take(&mut entry.why).into_iter().collect();
        Some(Turn { key, why, waited: now.saturating_sub(since) })
    }

    /// A turn ended.
    pub fn finished(&mut self, key: &Key, verdict: Verdict, now: Time) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let Some(was_troubled) = entry.running.take() else { return };
        let lane = usize::from(was_troubled);
        self.running[lane] = self.running[lane].saturating_sub(1);
        if entry.forgotten {
            self.entries.remove(key);
            return;
        }
        entry.judge(verdict, &self.pace, now);
        let wanted = entry.next_look(key, verdict.next, &self.pace, now);
        let again = entry.again.take();
        let rest = entry.must_rest(now).then_some(entry.rests_until);
        if let Some((at, why)) = wanted {
            self.wake_at(key, why, at);
        }
        match (again, rest) {
            (Some(_), Some(until)) => self.wake_at(key, Why::Retry, until),
            (Some((since, rank)), None) => self.enqueue(key, since, rank),
            (None, _) => {}
        }
    }

    /// When [`Self::start`] may give something that it does not give now, if nothing else happens.
    pub fn next_wake(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Turns that run.
    pub fn running(&self) -> usize {
        self.running.iter().sum()
    }

    /// Of those, turns of clusters in trouble.
    pub fn running_troubled(&self) -> usize {
        self.running[1]
    }

    /// Clusters that are due.
    pub fn waiting(&self) -> usize {
        self.queues.iter().map(BTreeMap::len).sum()
    }

    /// Every known cluster.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.keys()
    }

    /// Clusters whose time has come are due since then.
    fn ring(&mut self, now: Time) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
            && let Some((at, key)) = self.timers.pop_first()
        {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Some((_, why)) = entry.timer.take() else { continue };
            entry.why.insert(why);
            self.enqueue(&key, at, at + why.handicap());
        }
    }

    /// Due, at the better one of its old and its new rank.
    fn enqueue(&mut self, key: &Key, since: Time, rank: Time) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.running.is_some() {
            let (since, rank) = entry
                .again
                .map_or((since, rank), |(old_since, old_rank)| (old_since.min(since), old_rank.min(rank)));
            entry.again = Some((since, rank));
            return;
        }
        let since = match entry.queued {
            Some(((old, _), _)) if old <= rank => return,
            Some((_, old)) => old.min(since),
            None => since,
        };
        Self::unqueue(&mut self.queues, entry);
        let place = (rank, self.number);
        self.number += 1;
        entry.queued = Some((place, since));
        self.queues[usize::from(entry.troubled)].insert(place, key.clone());
    }

    fn unqueue(queues: &mut [BTreeMap<Place, Key>; 2], entry: &mut Entry) {
        if let Some((place, _)) = entry.queued.take() {
            queues.iter_mut().for_each(|queue| drop(queue.remove(&place)));
        }
    }
}

impl Entry {
    /// What the end of a turn tells about the cluster.
    fn judge(&mut self, verdict: Verdict, pace: &Pace, now: Time) {
        let waits = matches!(verdict.next, Next::Waiting(_));
        let failed = verdict.next == Next::Failed;
        let again = verdict.next == Next::Again;
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        self.steps = if again { self.steps.saturating_add(1) } else { 0 };
        self.waits_since = waits.then(|| self.waits_since.unwrap_or(now));
        let fights = self.steps > FIGHT;
        self.troubled = verdict.slow || failed || waits || fights;
        self.rests_until = if failed || fights { now + pace.first_backoff } else { Time::ZERO };
    }

    fn must_rest(&self, now: Time) -> bool {
        now < self.rests_until && !self.why.iter().any(|why| why.is_urgent())
    }

    fn next_look(&self, key: &Key, next: Next, pace: &Pace, now: Time) -> Option<(Time, Why)> {
        match next {
            Next::Asleep => None,
            Next::Again => {
                let pause = self.steps.checked_sub(FIGHT + 1);
                Some((now + pause.map_or(Duration::ZERO, |times| backoff(key, pace, times)), Why::Again))
            }
            Next::Settled => Some((next_resync(key, pace, now), Why::Resync)),
            Next::Unwell if pace.repair.is_zero() => Some((next_resync(key, pace, now), Why::Resync)),
            Next::Unwell => {
                let jitter = key.part_of(pace.repair / 5, 0);
                let repair = now + pace.repair * 9 / 10 + jitter;
                let resync = next_resync(key, pace, now);
                Some(if resync < repair { (resync, Why::Resync) } else { (repair, Why::Repair) })
            }
            Next::Waiting(wish) => {
                let waited = now.saturating_sub(self.waits_since.unwrap_or(now));
                let patience = (waited / PATIENCE).min(LONGEST_PATIENCE);
                Some((now + wish.max(patience), Why::Gate))
            }
            Next::Failed => Some((now + backoff(key, pace, self.failures.saturating_sub(1)), Why::Retry)),
        }
    }
}

/// Doubles with each time; a fifth more or less, so that clusters that failed together do not try
/// again together.
fn backoff(key: &Key, pace: &Pace, times: u32) -> Duration {
    let delay = pace.first_backoff.saturating_mul(1 << times.min(16)).min(pace.longest_backoff);
    delay * 4 / 5 + key.part_of(delay * 2 / 5, u64::from(times) + 1)
}

/// The cluster's own point of the resync period that comes next.
fn next_resync(key: &Key, pace: &Pace, now: Time) -> Time {
    let period = pace.resync.max(Duration::from_secs(1));
    let point = key.part_of(period, 0);
    let begun = u32::try_from(now.as_nanos() / period.as_nanos()).unwrap_or(u32::MAX);
    let this_time = period.saturating_mul(begun) + point;
    if this_time > now { this_time } else { this_time + period }
}
