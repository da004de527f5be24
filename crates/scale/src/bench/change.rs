//! Changes of manifests, and how long each takes to reach the object that it concerns.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use rand::seq::SliceRandom;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Diary;
use super::fleet::Fleet;
use super::stuck::Stuck;
use crate::stand_in::{Key, StandIn};

/// Between two changes.
const PAUSE: Duration = Duration::from_millis(250);
/// What has not happened so long after the last change counts as this.
const PATIENCE: Duration = Duration::from_secs(120);
/// The annotation that is changed.
const ANNOTATION: &str = "bench/token";
/// The first value of the option of Patroni that is changed: 32 MiB and some.
const LAG: u64 = 33_600_000;

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The number of members: the StatefulSet.
    Members,
    /// An annotation of the Service.
    Annotation,
    /// An option of Patroni: its dynamic configuration.
    Patroni,
}

/// The times of all changes; those that never arrived count as the longest wait.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// By kind.
    pub times: BTreeMap<Kind, Vec<Duration>>,
    /// How many never arrived.
    pub lost: usize,
}

impl Times {
    /// All times, sorted.
    pub fn all(&self) -> Vec<Duration> {
        let mut all: Vec<Duration> = self.times.values().flatten().copied().collect();
        all.sort();
        all
    }
}

/// A change that has been made and not arrived.
struct Open {
    kind: Kind,
    number: u32,
    since: Instant,
}

#[derive(Clone, Default)]
struct Board(Arc<Mutex<(BTreeMap<Key, Open>, Times)>>);

impl Board {
    fn with<T>(&self, act: impl FnOnce(&mut (BTreeMap<Key, Open>, Times)) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something of a cluster's was written: the open change has arrived if it is that.
    fn saw(&self, key: &Key, kind: Kind, at: Instant, fits: impl FnOnce(u32) -> bool) {
        self.with(|(open, times)| {
            if open.get(key).is_some_and(|one| one.kind == kind && fits(one.number))
                && let Some(one) = open.remove(key)
            {
                times.times.entry(kind).or_default().push(at.saturating_duration_since(one.since));
            }
        });
    }
}

/// Makes changes one after the other on clusters that are not stuck, and times them.
///
/// # Errors
/// When a manifest cannot be edited.
pub async fn make(
    fleet: &Fleet,
    stand_in: &StandIn,
    stuck: &BTreeMap<Key, Stuck>,
    count: u32,
    diary: &Diary,
) -> Result<Times> {
    let board = Board::default();
    let wanted = i32::try_from(fleet.members())?.checked_add(1);
    let has_members = move |set: &StatefulSet, _| set.spec.replicas == wanted;
    let has_annotation =
        |service: &Service, number: u32| service.annotations().get(ANNOTATION) == Some(&number.to_string());
    let client = || fleet.client().clone();
    let watches = [
        tokio::spawn(follow(Api::all(client()), board.clone(), Kind::Members, has_members)),
        tokio::spawn(follow(Api::all(client()), board.clone(), Kind::Annotation, has_annotation)),
    ];
    // The watches have listed by then.
    tokio::time::sleep(Duration::from_secs(5)).await;
    stand_in.take_patched();
    let mut keys: Vec<Key> = fleet.keys().filter(|key| !stuck.contains_key(key)).collect();
    keys.shuffle(&mut rand::rng());
    keys.truncate(usize::try_from(count)?);
    diary.say(&format!("{} changes", keys.len()));
    // An option of Patroni that left the manifest stays in force: a number that this cluster had in a
    // stage before would be no change.
    let first = fleet.number().saturating_mul(1000).saturating_add(1);
    for (number, key) in (first..).zip(&keys) {
        let kind = [Kind::Members, Kind::Annotation, Kind::Patroni][number as usize % 3];
        board.with(|(open, _)| open.insert(key.clone(), Open { kind, number, since: Instant::now() }));
        fleet.edit(key, &edit(kind, number, fleet.members())).await?;
        tokio::time::sleep(PAUSE).await;
        patched(stand_in, &board);
    }
    let begin = Instant::now();
    while board.with(|(open, _)| !open.is_empty()) && begin.elapsed() < PATIENCE {
        tokio::time::sleep(PAUSE).await;
        patched(stand_in, &board);
    }
    watches.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(board.with(|(open, times)| {
        times.lost = open.len();
        for ((namespace, name), one) in open.iter() {
            diary.say(&format!("change {} ({:?}) of {namespace}/{name} never arrived", one.number, one.kind));
            times.times.entry(one.kind).or_default().push(one.since.elapsed());
        }
        times.clone()
    }))
}

fn edit(kind: Kind, number: u32, members: u32) -> Value {
    match kind {
        Kind::Members => json!({"spec": {"numberOfInstances": members + 1}}),
        Kind::Annotation => json!({"spec": {"masterServiceAnnotations": {ANNOTATION: number.to_string()}}}),
        Kind::Patroni => json!({"spec": {"patroni": {"maximum_lag_on_failover": LAG + u64::from(number)}}}),
    }
}

fn patched(stand_in: &StandIn, board: &Board) {
    for (key, at, configuration) in stand_in.take_patched() {
        let lag = configuration["maximum_lag_on_failover"].as_u64();
        board.saw(&key, Kind::Patroni, at, |number| lag == Some(LAG + u64::from(number)));
    }
}

/// Watches all objects of a kind and tells the board those that show a change of a number.
async fn follow<K>(api: Api<K>, board: Board, kind: Kind, shows: impl Fn(&K, u32) -> bool)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let Ok(object) = event else { continue };
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        board.saw(&key, kind, Instant::now(), |number| shows(&object, number));
    }
}
