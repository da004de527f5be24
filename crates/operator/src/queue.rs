//! Drives the scheduler: wakes come in, turns go out, each in a task of its own.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use matriarch_plan::scheduler::{Key, Pace, Scheduler, Turn, Verdict, Why};
use matriarch_settings::Settings;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::info;

use crate::controller::Context;
use crate::farewells::Farewells;
use crate::lease::Leadership;
use crate::turn;

/// Turns that run at once. Most of their time they wait for Patroni, and then they hold next to
/// nothing: what costs memory is bounded apart, see [`Context::desk`].
const TURNS: usize = 64;
/// Of those, turns of clusters in trouble.
const TROUBLED_TURNS: usize = 32;
/// How long running turns may take to their end when the operator ends.
const DRAIN: Duration = Duration::from_secs(20);

/// Something that the scheduler is told.
#[derive(Debug)]
enum Message {
    Wake(Key, Why),
    WakeAll(Why),
    Forget(Key),
}

/// Where wakes go; cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    sender: mpsc::UnboundedSender<Message>,
    /// Manifests that are gone and whose clusters may have to go.
    pub farewells: Farewells,
}

/// The other end.
#[derive(Debug)]
pub struct Inbox {
    receiver: mpsc::UnboundedReceiver<Message>,
}

impl Queue {
    /// A queue and its other end.
    pub fn new() -> (Self, Inbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, farewells: Farewells::default() }, Inbox { receiver })
    }

    /// The cluster is to be looked at.
    pub fn wake(&self, key: Key, why: Why) {
        self.send(Message::Wake(key, why));
    }

    /// Every cluster is to be looked at.
    pub fn wake_all(&self, why: Why) {
        self.send(Message::WakeAll(why));
    }

    /// The manifest is gone, and its deletion was seen.
    pub fn farewell(&self, key: Key, manifest: Value) {
        self.farewells.keep(key.clone(), manifest);
        self.wake(key, Why::Manifest);
    }

    /// The manifest is gone.
    pub fn forget(&self, key: Key) {
        self.send(Message::Forget(key));
    }

    fn send(&self, message: Message) {
        // The receiver goes when the process ends.
        let _ = self.sender.send(message);
    }
}

/// The pace that the settings ask for. No pause after failures is longer than the repair period.
pub fn pace(settings: &Settings) -> Pace {
    let usual = Pace::default();
    let repair = Some(settings.repair_period).filter(|period| !period.is_zero());
    let longest = repair.unwrap_or(usual.longest_backoff).min(usual.longest_backoff);
    Pace {
        running: TURNS,
        troubled: TROUBLED_TURNS,
        resync: settings.resync_period,
        repair: settings.repair_period,
        longest_backoff: longest.max(usual.first_backoff),
        ..usual
    }
}

/// Runs turns until `ended` is done; then lets the running ones come to their end. Nothing begins
/// while somebody else leads.
pub async fn run(
    context: &Arc<Context>,
    inbox: Inbox,
    leadership: &Leadership,
    ended: impl Future<Output = ()>,
) {
    let runner = Runner {
        context: Arc::clone(context),
        begun: Instant::now(),
        scheduler: Scheduler::new(pace(&context.settings.current())),
        turns: JoinSet::new(),
    };
    runner.run(inbox, leadership, ended).await;
}

struct Runner {
    context: Arc<Context>,
    begun: Instant,
    scheduler: Scheduler,
    turns: JoinSet<(Key, Verdict)>,
}

impl Runner {
    async fn run(mut self, mut inbox: Inbox, leadership: &Leadership, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        let mut changes = leadership.subscribe();
        changes.mark_changed();
        loop {
            let leads = leadership.holds();
            if leads {
                self.start();
            }
            self.measure();
            let next = self.scheduler.next_wake().filter(|_| leads);
            let next = next.map_or(Duration::from_secs(3600), |at| at.saturating_sub(self.begun.elapsed()));
            tokio::select! {
                () = &mut ended => break,
                Ok(()) = changes.changed() => self.leads(*changes.borrow_and_update()),
                message = inbox.receiver.recv() => match message {
                    Some(message) => {
                        self.take(message);
                        while let Ok(message) = inbox.receiver.try_recv() {
                            self.take(message);
                        }
                    }
                    None => break,
                },
                Some(end) = self.turns.join_next() => self.finished(end),
                () = tokio::time::sleep(next) => {}
            }
        }
        let count = self.turns.len();
        if count > 0 {
            info!("waiting for {count} passes to end");
            let drained = async { while self.turns.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(DRAIN, drained).await;
        }
    }

    fn leads(&mut self, leads: bool) {
        if leads {
            self.take(Message::WakeAll(Why::Start));
        }
    }

    fn take(&mut self, message: Message) {
        let now = self.begun.elapsed();
        match message {
            // Objects may carry the label of a cluster that has no manifest.
            Message::Wake(key, why) => {
                if self.context.has_manifest(&key) || self.context.queue.farewells.has(&key) {
                    self.scheduler.wake(&key, why, now);
                }
            }
            Message::WakeAll(why) => {
                self.scheduler.set_pace(pace(&self.context.settings.current()));
                for key in self.context.clusters() {
                    self.scheduler.wake(&key, why, now);
                }
            }
            Message::Forget(key) => {
                self.scheduler.forget(&key);
                self.context.forget(&key);
            }
        }
    }

    fn start(&mut self) {
        while let Some(turn) = self.scheduler.start(self.begun.elapsed()) {
            self.context.metrics.count_turn(&turn);
            self.turns.spawn(one(Arc::clone(&self.context), turn));
        }
    }

    fn finished(&mut self, end: Result<(Key, Verdict), tokio::task::JoinError>) {
        // A turn contains its panics; its task cannot fail otherwise.
        if let Ok((key, verdict)) = end {
            self.scheduler.finished(&key, verdict, self.begun.elapsed());
        }
    }

    fn measure(&self) {
        self.context.metrics.set_queue(
            self.scheduler.waiting(),
            self.scheduler.running(),
            self.scheduler.running_troubled(),
        );
    }
}

async fn one(context: Arc<Context>, turn: Turn) -> (Key, Verdict) {
    let verdict = turn::contained(&context, &turn).await;
    (turn.key, verdict)
}

impl Context {
    /// Whether a cluster has a manifest that is known.
    fn has_manifest(&self, key: &Key) -> bool {
        self.caches().manifests().is_some_and(|store| store.has(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_settings() {
        let of = |resync, repair| {
            let (resync_period, repair_period) = (Duration::from_secs(resync), Duration::from_secs(repair));
            let pace = pace(&Settings { resync_period, repair_period, ..Settings::default() });
            (pace.resync.as_secs(), pace.repair.as_secs(), pace.longest_backoff.as_secs())
        };
        assert_eq!(of(77, 300), (77, 300, 60));
        assert_eq!(of(1800, 15), (1800, 15, 15));
        assert_eq!(of(1800, 0), (1800, 0, 60));
    }
}
