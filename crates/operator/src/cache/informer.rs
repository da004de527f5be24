//! One watch of one kind in one namespace, or in all. It goes on for ever with its own pauses after
//! errors, and an error of it concerns no other watch.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use matriarch_plan::scheduler::{Key, Why};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, info, warn};

use super::compact::{Compact, Shape};
use super::store::Store;
use crate::observe::has_finalizer;
use crate::plain::plain;
use crate::queue::Queue;

/// Objects per page of a list: what a page takes is given back at once, but it is a peak.
const PAGE: u32 = 50;
/// First and longest pause after an error.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));
/// Pause where the kind is not installed, or may not be watched.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// One watch.
pub struct Informer<S: Shape> {
    pub(super) api: Api<Compact<S>>,
    pub(super) selector: String,
    /// Its namespace; empty for all.
    pub(super) scope: String,
    /// The label that names the cluster; nothing for manifests, which are their own.
    pub(super) label: Option<String>,
    pub(super) store: Arc<Store>,
    pub(super) queue: Queue,
    /// Lists are made a few at a time, so that their pages do not add up.
    pub(super) lists: Arc<Semaphore>,
    /// Told when it answers for the first time, or fails to.
    pub(super) answered: Arc<tokio::sync::Notify>,
}

/// A list that is being read.
#[derive(Default)]
struct Listing {
    _permit: Option<OwnedSemaphorePermit>,
    found: BTreeSet<(String, String)>,
}

impl<S: Shape> Informer<S> {
    /// Watches for ever.
    pub async fn run(self) {
        let config = watcher::Config::default().labels(&self.selector).page_size(PAGE);
        let mut events = pin!(watcher(self.api.clone(), config));
        let mut listing = Listing::default();
        let mut pause = PAUSE.0;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    pause = PAUSE.0;
                    self.take(event, &mut listing).await;
                }
                Err(error) => {
                    listing = Listing::default();
                    let long = self.failed(&error);
                    tokio::time::sleep(if long { LONG_PAUSE } else { pause }).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn take(&self, event: Event<Compact<S>>, listing: &mut Listing) {
        match event {
            Event::Init => {
                let permit = Arc::clone(&self.lists).acquire_owned().await.ok();
                *listing = Listing { _permit: permit, found: BTreeSet::new() };
            }
            Event::InitApply(object) => {
                listing.found.insert((object.namespace().unwrap_or_default(), object.name_any()));
                self.put(object);
            }
            Event::InitDone => {
                let listed = std::mem::take(listing);
                for key in self.store.keep(&self.scope, &listed.found) {
                    self.gone(&key);
                }
                self.store.note(&self.scope, |standing| {
                    standing.listed = true;
                    standing.not_installed = false;
                    standing.last_error = None;
                    standing.last_event = Some(Instant::now());
                });
                self.answered.notify_waiters();
            }
            Event::Apply(object) => {
                self.count();
                self.put(object);
            }
            Event::Delete(object) => {
                self.count();
                let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                let last = self.label.is_none().then(|| self.store.last_known(&namespace, &name)).flatten();
                let Some(key) = self.store.remove(&namespace, &name) else { return };
                match last.filter(|manifest| !has_finalizer(manifest)) {
                    Some(manifest) => self.queue.farewell(key, manifest),
                    None => self.gone(&key),
                }
            }
        }
    }

    fn count(&self) {
        self.store.note(&self.scope, |standing| {
            standing.events += 1;
            standing.last_event = Some(Instant::now());
        });
    }

    fn put(&self, object: Compact<S>) {
        let cluster = match &self.label {
            None => object.name_any(),
            Some(label) => object.labels().get(label).cloned().unwrap_or_default(),
        };
        for key in self.store.put(&cluster, object) {
            let is_manifest = self.label.is_none();
            let why =
                if is_manifest { manifest_reason(&self.store, &key) } else { Why::Event(self.store.kind) };
            self.queue.wake(key, why);
        }
    }

    fn gone(&self, key: &Key) {
        if self.label.is_none() {
            self.queue.forget(key.clone());
        } else {
            self.queue.wake(key.clone(), Why::Event(self.store.kind));
        }
    }

    /// Notes an error; true when it lasts.
    fn failed(&self, error: &watcher::Error) -> bool {
        let code = code_of(error);
        let missing = code == Some(404);
        let expired = code == Some(410);
        let place = if self.scope.is_empty() { "all namespaces" } else { self.scope.as_str() };
        match code {
            Some(404) => debug!("{} is not installed", self.store.kind),
            Some(403) => info!("{} cannot be watched in {place}: {}", self.store.kind, plain(error)),
            Some(410) => debug!("{} is listed anew in {place}", self.store.kind),
            _ => warn!("the watch of {} in {place} is interrupted: {}", self.store.kind, plain(error)),
        }
        self.store.note(&self.scope, |standing| {
            standing.errors += 1;
            standing.not_installed = missing;
            standing.listed &= !missing;
            if !expired && !missing {
                standing.last_error = Some(Instant::now());
            }
        });
        self.answered.notify_waiters();
        missing || code == Some(403)
    }
}

fn code_of(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

/// Why a manifest that has just changed in its store is looked at.
pub(super) fn manifest_reason(manifests: &Store, key: &Key) -> Why {
    let manifest = manifests.last_known(&key.namespace, &key.name).unwrap_or_default();
    if !manifest["metadata"]["deletionTimestamp"].is_null() {
        Why::Deletion
    } else if matriarch_plan::sync_now::is_asked_for(&manifest) {
        Why::SyncNow
    } else {
        Why::Manifest
    }
}
