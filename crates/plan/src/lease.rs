//! Who of several operators acts: the rules of a Lease as a state machine. It is told what was
//! read and written and when, and says what to do next. Times are on a monotonic clock of this
//! process alone: clocks of others are never compared with it.

use std::time::Duration;

/// How long things take and may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long others respect a holder who is silent.
    pub duration: Duration,
    /// A holder who could not renew for so long stops: well before others may take over.
    pub renew_deadline: Duration,
    /// Between two renewals.
    pub renew_every: Duration,
    /// Between two looks of somebody who waits.
    pub look_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(10),
            renew_deadline: Duration::from_secs(6),
            renew_every: Duration::from_secs(2),
            look_every: Duration::from_secs(1),
        }
    }
}

/// How long a Lease is respected that its holder has handed back.
const RELEASED: Duration = Duration::from_secs(1);

/// The Lease, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty when it was handed back.
    pub holder: String,
    /// How long a silent holder is respected.
    pub duration: Duration,
    /// How often the holder has changed.
    pub transitions: u32,
    /// `metadata.resourceVersion`.
    pub version: String,
}

/// What to write into the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who holds it from now on; empty: nobody.
    pub holder: String,
    /// How long a silent holder is respected.
    pub duration: Duration,
    /// How often the holder has changed.
    pub transitions: u32,
    /// It has another holder than before: the time of acquisition is set too.
    pub acquires: bool,
    /// Precondition: the resourceVersion; `None`: it does not exist.
    pub version: Option<String>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Read the Lease.
    Read,
    /// Write it, and tell the result.
    Write(Write),
    /// Ask again after so long.
    Wait(Duration),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Done; the new resourceVersion.
    Done(String),
    /// Somebody else was faster.
    Conflict,
    /// It is not known whether it was done.
    Failed,
}

/// One of those who want to act.
#[derive(Clone, Debug)]
pub struct Candidate {
    identity: String,
    timing: Timing,
    /// What was read last, and when this version was read first.
    seen: Option<(Option<Record>, Duration)>,
    /// The last look is out of date.
    must_read: bool,
    looked_at: Option<Duration>,
    /// When the request began that made or kept us the holder.
    held_from: Option<Duration>,
    tried_at: Option<Duration>,
}

impl Candidate {
    /// A candidate; its identity must be its own, in each start of the process another.
    pub fn new(identity: &str, timing: Timing) -> Self {
        Self {
            identity: identity.to_owned(),
            timing,
            seen: None,
            must_read: true,
            looked_at: None,
            held_from: None,
            tried_at: None,
        }
    }

    /// Until when this candidate may act, if it may.
    pub fn acts_until(&self) -> Option<Duration> {
        self.held_from.map(|from| from + self.timing.renew_deadline)
    }

    /// Whether this candidate may act now.
    pub fn acts(&self, now: Duration) -> bool {
        self.acts_until().is_some_and(|until| now < until)
    }

    /// Who holds the Lease, as far as is known.
    pub fn holder(&self) -> Option<&str> {
        let (record, _) = self.seen.as_ref()?;
        record.as_ref().map(|record| record.holder.as_str()).filter(|holder| !holder.is_empty())
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Duration) -> Move {
        if self.held_from.is_some() && !self.acts(now) {
            // Too long without a renewal: from here on one of those who wait.
            self.held_from = None;
            self.must_read = true;
        }
        if self.must_read {
            return self.soon(now, self.looked_at, Move::Read);
        }
        let Some((record, since)) = self.seen.clone() else { return Move::Read };
        if self.held_from.is_some() {
            let renewal = Move::Write(self.write(record.as_ref(), false));
            return self.after(now, self.tried_at, self.timing.renew_every, renewal);
        }
        let free_at = match &record {
            None => now,
            Some(record) if record.holder.is_empty() => now,
            // Ours by a write whose answer was lost: no other can have it.
            Some(record) if record.holder == self.identity => now,
            Some(record) => since + record.duration,
        };
        if now >= free_at {
            return Move::Write(self.write(record.as_ref(), true));
        }
        self.after(now, self.looked_at, self.timing.look_every, Move::Read)
    }

    /// A look that failed or is due at once is not repeated without a pause.
    fn soon(&self, now: Duration, last: Option<Duration>, then: Move) -> Move {
        const PAUSE: Duration = Duration::from_millis(200);
        self.after(now, last, PAUSE, then)
    }

    fn after(&self, now: Duration, last: Option<Duration>, pause: Duration, then: Move) -> Move {
        match last.map(|last| last + pause) {
            Some(due) if due > now => Move::Wait(due - now),
            _ => then,
        }
    }

    fn write(&self, record: Option<&Record>, acquires: bool) -> Write {
        let transitions = record.map_or(0, |record| record.transitions);
        Write {
            holder: self.identity.clone(),
            duration: self.timing.duration,
            transitions: if acquires && record.is_some() {
                transitions.saturating_add(1)
            } else {
                transitions
            },
            acquires,
            version: record.map(|record| record.version.clone()),
        }
    }

    /// The Lease was read at `now`; `None`: it does not exist.
    pub fn saw(&mut self, now: Duration, record: Option<Record>) {
        let is_ours = record.as_ref().is_some_and(|record| record.holder == self.identity);
        if !is_ours {
            self.held_from = None;
        }
        let same = self.seen.as_ref().is_some_and(|(seen, _)| *seen == record);
        if !same {
            self.seen = Some((record, now));
        }
        self.looked_at = Some(now);
        self.must_read = false;
    }

    /// It could not be read.
    pub fn saw_nothing(&mut self, now: Duration) {
        self.looked_at = Some(now);
        self.must_read = true;
    }

    /// A write that began at `began` has ended so.
    pub fn wrote(&mut self, began: Duration, write: &Write, result: Written) {
        self.tried_at = Some(began);
        match result {
            Written::Done(version) => {
                let record = Record {
                    holder: write.holder.clone(),
                    duration: write.duration,
                    transitions: write.transitions,
                    version,
                };
                self.held_from = (write.holder == self.identity).then_some(began);
                self.seen = Some((Some(record), began));
                self.must_read = false;
            }
            // Whether it was done shows the next look; as the holder we go on until the deadline.
            Written::Conflict | Written::Failed => self.must_read = true,
        }
    }

    /// What hands the Lease back, for an orderly end.
    pub fn release(&self, now: Duration) -> Option<Write> {
        let (record, _) = self.seen.as_ref()?;
        let write = self.write(record.as_ref(), false);
        self.acts(now).then(|| Write { holder: String::new(), duration: RELEASED, ..write })
    }
}
