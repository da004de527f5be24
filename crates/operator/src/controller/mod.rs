//! `matriarch operator`: what all its tasks share, how it starts, and its options.

mod options;
mod start;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kube::Client;
use matriarch_plan::scheduler::{Key, Why};
use matriarch_settings::Settings;
use tokio::sync::{Semaphore, watch};

use crate::access::Access;
use crate::act::Hands;
use crate::cache::{Caches, Frame};
use crate::events::Events;
use crate::lease::Leadership;
use crate::logging::LogLevel;
use crate::metrics::{Metrics, Watched};
use crate::namespaces::Namespaces;
use crate::observe::Eyes;
use crate::queue::Queue;
use crate::reads::{Reads, Slot};
use crate::said::Said;
use crate::settings_source::SettingsSource;

pub use options::Options;
pub use start::run;

/// What all passes share.
pub struct Context {
    /// Access to the API server.
    pub client: Client,
    /// Reads of objects.
    pub reads: Reads,
    /// Observes.
    pub eyes: Eyes,
    /// Writes.
    pub hands: Hands,
    /// Settings in force.
    pub settings: SettingsSource,
    /// Events.
    pub recorder: Events,
    /// Metrics.
    pub metrics: Metrics,
    /// Which manifests are ours, see [`crate::controller_id`].
    pub controller_id: String,
    /// What the API server lets us do.
    pub access: Access,
    /// What was told already and is not told again.
    pub said: Said,
    /// Where wakes go.
    pub queue: Queue,
    log_level: LogLevel,
    caches: Slot,
    desks: RwLock<Arc<Semaphore>>,
    leadership: Leadership,
    reshape: watch::Sender<u64>,
    ready: AtomicBool,
}

impl Context {
    /// Whether the manifests have been listed.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Whether this process is the one that writes; the others only keep their caches warm.
    pub fn may_act(&self) -> bool {
        self.leadership.holds()
    }

    /// Done when this process may not act any more.
    pub async fn leadership_lost(&self) {
        self.leadership.lost().await;
    }

    /// The namespaces that are watched.
    pub fn namespaces(&self) -> Namespaces {
        self.namespaces_of(&self.settings.current())
    }

    fn namespaces_of(&self, settings: &Settings) -> Namespaces {
        self.reads.namespaces(settings)
    }

    fn frame(&self) -> Frame {
        let settings = self.settings.current();
        Frame::of(self.namespaces_of(&settings), &settings, &self.access)
    }

    /// What is known without asking.
    pub fn caches(&self) -> Arc<Caches> {
        Arc::clone(&self.caches.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every cluster that has a manifest, of all operators.
    pub fn clusters(&self) -> Vec<Key> {
        self.caches().manifests().map(|store| store.clusters()).unwrap_or_default()
    }

    /// A place to work at. There are as many as `workers`: whoever holds one has a whole cluster in
    /// memory.
    pub fn desks(&self) -> Arc<Semaphore> {
        Arc::clone(&self.desks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every cluster is looked at with the new settings; the watches begin anew where the settings
    /// give them another shape.
    pub fn settings_changed(&self, before: &Settings, after: &Settings) {
        self.log_level.set(after.debug_logging);
        if before.workers != after.workers {
            *self.desks.write().unwrap_or_else(PoisonError::into_inner) = start::desks(after);
        }
        self.reshape.send_modify(|count| *count += 1);
        self.queue.wake_all(Why::Settings);
    }

    /// The exposition text of the metrics, with how the watches fare now.
    pub fn measured(&self) -> String {
        self.metrics.set_leads(self.may_act());
        for store in self.caches().stores() {
            let standings = store.standings();
            let (objects, bytes) = store.size();
            self.metrics.set_watched(&Watched {
                kind: store.kind,
                objects,
                bytes,
                events: standings.iter().map(|standing| standing.events).sum(),
                errors: standings.iter().map(|standing| standing.errors).sum(),
                quiet: standings.iter().filter_map(|one| one.last_event).max().map(|at| at.elapsed()),
            });
        }
        self.metrics.text()
    }

    /// Drops what is remembered of a cluster.
    pub fn forget(&self, key: &Key) {
        self.metrics.forget(&key.namespace, &key.name);
        self.eyes.forget(key);
        self.said.forget(key);
    }
}
