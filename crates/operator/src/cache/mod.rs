//! What the operator knows without asking: one store per kind, kept true by watches. What a cache
//! says leads to no write: before something is written, everything is read anew (`pass.rs`).

mod compact;
mod informer;
mod secret;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::api::DynamicObject;
use kube::{Api, Client};
use matriarch_plan::scheduler::{Key, Why};
use matriarch_settings::Settings;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

pub use secret::{digest, project as project_secret};
pub use store::{Answer, Standing, Store};

#[cfg(test)]
pub use compact::{Compact, Whole};
#[cfg(not(test))]
use compact::{Compact, Whole};
use compact::{Manifest, Metadata, Pod, Secret, Shape};
use informer::Informer;

use crate::access::Access;
use crate::kinds;
use crate::namespaces::Namespaces;
use crate::queue::Queue;

/// Lists that are read at the same time.
const LISTS: usize = 2;
/// How long the first lists are waited for; what has not answered by then is read live.
const FIRST_LISTS: Duration = Duration::from_secs(30);

/// Kinds whose objects carry the label of their cluster.
const LABELLED: [&str; 9] = [
    "Pod",
    "StatefulSet",
    "Service",
    "PodDisruptionBudget",
    "Secret",
    "PersistentVolumeClaim",
    "Deployment",
    "CronJob",
    "FabricEventStream",
];

/// Which kinds have changes that wake their cluster; without the right to watch one of them the
/// clusters are looked at from time to time.
pub fn watched(settings: &Settings) -> Vec<&'static str> {
    let patroni = if settings.kubernetes_use_configmaps { "ConfigMap" } else { "Endpoints" };
    LABELLED.into_iter().chain([patroni]).collect()
}

/// What of the settings gives the watches their shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where.
    pub namespaces: Namespaces,
    /// The label that names the cluster.
    pub label: String,
    /// Which kinds, the manifests aside.
    pub kinds: Vec<&'static str>,
}

impl Frame {
    /// The frame for these settings and rights.
    pub fn of(namespaces: Namespaces, settings: &Settings, access: &Access) -> Self {
        let kinds = watched(settings);
        let allowed = |kind: &&str| access.can_watch(&kinds::resource(kind).plural);
        Self {
            namespaces,
            label: settings.cluster_name_label.clone(),
            kinds: kinds.into_iter().filter(allowed).collect(),
        }
    }
}

/// All stores, and the watches that keep them true; those end with it.
pub struct Caches {
    stores: BTreeMap<&'static str, Arc<Store>>,
    answered: Arc<Notify>,
    _watches: JoinSet<()>,
}

impl Caches {
    /// Starts the watches.
    pub fn start(client: &Client, frame: &Frame, queue: &Queue) -> Self {
        let scopes: Vec<String> =
            frame.namespaces.each().into_iter().map(|one| one.unwrap_or_default().to_owned()).collect();
        let mut caches =
            Self { stores: BTreeMap::new(), answered: Arc::new(Notify::new()), _watches: JoinSet::new() };
        let mut start =
            Start { client, frame, queue, scopes: &scopes, lists: Arc::new(Semaphore::new(LISTS)) };
        start.watch::<Manifest>("postgresql", &mut caches);
        for kind in &frame.kinds {
            match *kind {
                "Pod" => start.watch::<Pod>(kind, &mut caches),
                "Secret" => start.watch::<Secret>(kind, &mut caches),
                "ConfigMap" => start.watch::<Metadata>(kind, &mut caches),
                kind => start.watch::<Whole>(kind, &mut caches),
            }
        }
        caches
    }

    /// These stores, without watches.
    #[cfg(test)]
    pub fn of(stores: &[Arc<Store>]) -> Self {
        let stores = stores.iter().map(|store| (store.kind, Arc::clone(store))).collect();
        Self { stores, answered: Arc::new(Notify::new()), _watches: JoinSet::new() }
    }

    /// The store of a kind, if it is watched.
    pub fn store(&self, kind: &str) -> Option<&Arc<Store>> {
        self.stores.get(kind)
    }

    /// Every store.
    pub fn stores(&self) -> impl Iterator<Item = &Arc<Store>> {
        self.stores.values()
    }

    /// The manifests; they are always watched.
    pub fn manifests(&self) -> Option<&Arc<Store>> {
        self.store("postgresql")
    }

    /// Takes in a manifest that was just written, before the watch tells of it. Gives the cluster to
    /// wake when somebody else changed it meanwhile: to the watch that is no news any more.
    #[must_use]
    pub fn written(&self, manifest: &DynamicObject) -> Option<(Key, Why)> {
        let store = self.manifests()?;
        let object = Compact::<Manifest>::of(serde_json::to_value(manifest).ok()?);
        let concerned = store.renew(manifest.metadata.name.as_deref().unwrap_or_default(), object);
        let key = concerned.into_iter().next()?;
        let why = informer::manifest_reason(store, &key);
        Some((key, why))
    }

    /// Waits until the manifests are listed, and for a while until the rest has answered.
    pub async fn listed(&self) {
        let all = self.until(|store| store.standings().iter().all(Standing::has_answered));
        let _ = tokio::time::timeout(FIRST_LISTS, all).await;
        self.until(|store| {
            store.kind != "postgresql" || store.standings().iter().all(|standing| standing.listed)
        })
        .await;
    }

    async fn until(&self, holds: impl Fn(&Store) -> bool) {
        loop {
            let told = self.answered.notified();
            if self.stores.values().all(|store| holds(store)) {
                return;
            }
            told.await;
        }
    }
}

/// What starting a watch takes.
struct Start<'a> {
    client: &'a Client,
    frame: &'a Frame,
    queue: &'a Queue,
    scopes: &'a [String],
    lists: Arc<Semaphore>,
}

impl Start<'_> {
    fn watch<S: Shape>(&mut self, kind: &'static str, caches: &mut Caches) {
        let label = (kind != "postgresql").then(|| self.frame.label.clone());
        let store = Arc::new(Store::new(kind, self.scopes, label.clone()));
        caches.stores.insert(kind, Arc::clone(&store));
        for scope in self.scopes {
            let resource = kinds::resource(kind);
            let api: Api<Compact<S>> = if scope.is_empty() {
                Api::all_with(self.client.clone(), &resource)
            } else {
                Api::namespaced_with(self.client.clone(), scope, &resource)
            };
            let informer = Informer {
                api,
                // Whoever carries the label: poolers and backups have other labels than databases.
                selector: label.clone().unwrap_or_default(),
                scope: scope.clone(),
                label: label.clone(),
                store: Arc::clone(&store),
                queue: self.queue.clone(),
                lists: Arc::clone(&self.lists),
                answered: Arc::clone(&caches.answered),
            };
            caches._watches.spawn(informer.run());
        }
    }
}
