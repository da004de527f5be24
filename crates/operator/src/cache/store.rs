//! The objects of one kind, compressed. Objects of a kind resemble each other, so each is compressed
//! against the first one that came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use matriarch_plan::scheduler::Key;
use serde_json::{Value, json};
use tracing::warn;

use super::compact::{Compact, Shape};
use crate::kinds;

/// After an error a watch is not believed for so long; it fails at least this often while it is
/// broken.
const DISTRUST: Duration = Duration::from_secs(40);
/// The most of an object that can serve as a pattern.
const LONGEST_PATTERN: usize = 60_000;

/// Namespace and name.
type Place = (Box<str>, Box<str>);

struct Stored {
    /// The cluster whose label it carries; for a manifest its own name.
    cluster: Box<str>,
    version: Box<str>,
    digest: u64,
    length: usize,
    packed: Box<[u8]>,
}

/// How one watch fares.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The first list is complete.
    pub listed: bool,
    /// The kind is not installed.
    pub not_installed: bool,
    /// Events since the start.
    pub events: u64,
    /// Errors since the start.
    pub errors: u64,
    /// The last event.
    pub last_event: Option<Instant>,
    /// The last error.
    pub last_error: Option<Instant>,
}

impl Standing {
    /// It has told what there is, or why it cannot.
    pub fn has_answered(&self) -> bool {
        self.listed || self.not_installed || self.errors > 0
    }
}

#[derive(Default)]
struct Inner {
    pattern: Vec<u8>,
    objects: BTreeMap<Place, Stored>,
    of_cluster: BTreeMap<Key, BTreeSet<Box<str>>>,
    /// By namespace; the empty one stands for all.
    watches: BTreeMap<String, Standing>,
}

/// The objects of one kind.
pub struct Store {
    /// Kind, as in [`crate::kinds`].
    pub kind: &'static str,
    /// The label without which an object is not taken in.
    label: Option<String>,
    inner: RwLock<Inner>,
}

/// What a store can say about an object.
pub enum Answer<T> {
    /// This.
    Is(T),
    /// Nothing: the watch does not work, or not yet.
    Silent,
}

impl Store {
    /// An empty store with its watches: each one's namespace; the empty one stands for all.
    pub fn new(kind: &'static str, scopes: &[String], label: Option<String>) -> Self {
        let watches = scopes.iter().map(|scope| (scope.clone(), Standing::default())).collect();
        Self { kind, label, inner: RwLock::new(Inner { watches, ..Inner::default() }) }
    }

    /// A store of all namespaces whose first list is complete.
    #[cfg(test)]
    pub fn listed(kind: &'static str, label: &str) -> Self {
        let store = Self::new(kind, &[String::new()], Some(label.to_owned()));
        store.note("", |standing| standing.listed = true);
        store
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an object of this cluster. Gives the clusters that should know: its own, and the one
    /// that it belonged to before.
    pub fn put<S: Shape>(&self, cluster: &str, object: Compact<S>) -> BTreeSet<Key> {
        self.take_in(cluster, object, true)
    }

    /// As [`Self::put`], for an object that was just written: one that is gone meanwhile stays gone.
    pub fn renew<S: Shape>(&self, cluster: &str, object: Compact<S>) -> BTreeSet<Key> {
        self.take_in(cluster, object, false)
    }

    fn take_in<S: Shape>(&self, cluster: &str, object: Compact<S>, may_be_new: bool) -> BTreeSet<Key> {
        let name: Box<str> = object.metadata.name.unwrap_or_default().into();
        let namespace: Box<str> = object.metadata.namespace.unwrap_or_default().into();
        let mut inner = self.write();
        if inner.pattern.is_empty() {
            inner.pattern = object.json[..object.json.len().min(LONGEST_PATTERN)].to_vec();
        }
        let new = Stored {
            cluster: cluster.into(),
            version: object.metadata.resource_version.unwrap_or_default().into(),
            digest: object.digest,
            length: object.json.len(),
            packed: compress_with_dict(&object.json, &inner.pattern).into(),
        };
        let key = Key::new(&namespace, cluster);
        let place = (namespace.clone(), name.clone());
        let known = inner.objects.get(&place);
        if known.map_or(!may_be_new, |known| is_newer(&known.version, &new.version)) {
            return BTreeSet::new();
        }
        let before = inner.objects.insert(place, new);
        let mut concerned = BTreeSet::new();
        match before {
            Some(before) if *before.cluster != *cluster => {
                let other = Key::new(&namespace, &before.cluster);
                inner.leave(&other, &name);
                concerned.extend([other, key.clone()]);
            }
            Some(before) if before.digest == object.digest => {}
            _ => drop(concerned.insert(key.clone())),
        }
        inner.of_cluster.entry(key).or_default().insert(name);
        concerned
    }

    /// An object is gone; gives its cluster.
    pub fn remove(&self, namespace: &str, name: &str) -> Option<Key> {
        let mut inner = self.write();
        let gone = inner.objects.remove(&(namespace.into(), name.into()))?;
        let key = Key::new(namespace, &gone.cluster);
        inner.leave(&key, name);
        Some(key)
    }

    /// After a new list: what was not in it is gone. Gives the clusters of those.
    pub fn keep(&self, scope: &str, listed: &BTreeSet<(String, String)>) -> BTreeSet<Key> {
        let gone: Vec<Place> = {
            let inner = self.read();
            let places = inner.objects.keys();
            let within = places.filter(|(namespace, _)| scope.is_empty() || **namespace == *scope);
            within
                .filter(|(namespace, name)| !listed.contains(&(namespace.to_string(), name.to_string())))
                .cloned()
                .collect()
        };
        gone.iter().filter_map(|(namespace, name)| self.remove(namespace, name)).collect()
    }

    /// Changes what is known of a watch.
    pub fn note(&self, scope: &str, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.write().watches.get_mut(scope) {
            change(standing);
        }
    }

    /// How its watches fare.
    pub fn standings(&self) -> Vec<Standing> {
        self.read().watches.values().cloned().collect()
    }

    /// How many objects there are, and how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let inner = self.read();
        (inner.objects.len(), inner.objects.values().map(|stored| stored.packed.len()).sum())
    }

    /// The object of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Answer<Option<Value>> {
        let inner = self.read();
        if !inner.is_believed(namespace) {
            return Answer::Silent;
        }
        let place: Place = (namespace.into(), name.into());
        Answer::Is(inner.objects.get(&place).and_then(|stored| inner.unpack(self.kind, stored)))
    }

    /// The object of this name as it was last seen, however the watch fares.
    pub fn last_known(&self, namespace: &str, name: &str) -> Option<Value> {
        let inner = self.read();
        let place: Place = (namespace.into(), name.into());
        inner.objects.get(&place).and_then(|stored| inner.unpack(self.kind, stored))
    }

    /// Whether the watch would see this object.
    pub fn would_hold(&self, object: &Value) -> bool {
        let Some(label) = &self.label else { return true };
        !object["metadata"]["labels"][label].is_null()
    }

    /// The objects of a cluster.
    pub fn list(&self, key: &Key) -> Answer<Vec<Value>> {
        let inner = self.read();
        if !inner.is_believed(&key.namespace) {
            return Answer::Silent;
        }
        let names = inner.of_cluster.get(key).into_iter().flatten();
        let stored =
            names.filter_map(|name| inner.objects.get(&(key.namespace.as_str().into(), name.clone())));
        Answer::Is(stored.filter_map(|stored| inner.unpack(self.kind, stored)).collect())
    }

    /// Whether the kind is not installed, as far as the watches can tell.
    pub fn is_not_installed(&self) -> bool {
        self.read().watches.values().all(|watch| watch.not_installed)
    }

    /// Every cluster that has objects.
    pub fn clusters(&self) -> Vec<Key> {
        self.read().of_cluster.keys().cloned().collect()
    }

    /// Whether the cluster has one.
    pub fn has(&self, key: &Key) -> bool {
        self.read().of_cluster.contains_key(key)
    }
}

impl Inner {
    fn leave(&mut self, key: &Key, name: &str) {
        if let Some(names) = self.of_cluster.get_mut(key) {
            names.remove(name);
            if names.is_empty() {
                self.of_cluster.remove(key);
            }
        }
    }

    fn is_believed(&self, namespace: &str) -> bool {
        let watch = self.watches.get(namespace).or_else(|| self.watches.get(""));
        watch.is_some_and(|watch| {
            let broken = watch.last_error.is_some_and(|at| at.elapsed() < DISTRUST);
            watch.not_installed || (watch.listed && !broken)
        })
    }

    fn unpack(&self, kind: &str, stored: &Stored) -> Option<Value> {
        let json = decompress_with_dict(&stored.packed, stored.length, &self.pattern)
            .map_err(|error| error.to_string())
            .and_then(|json| serde_json::from_slice::<Value>(&json).map_err(|error| error.to_string()));
        let mut object = match json {
            Ok(object) => object,
            Err(why) => {
                warn!("a {kind} cannot be unpacked: {why}");
                return None;
            }
        };
        let resource = kinds::resource(kind);
        object["apiVersion"] = json!(resource.api_version);
        object["kind"] = json!(resource.kind);
        object["metadata"]["resourceVersion"] = json!(stored.version);
        Some(object)
    }
}

/// What we wrote ourselves is known before the watch tells of what was before it. Versions are
/// numbers that grow.
fn is_newer(known: &str, told: &str) -> bool {
    matches!((known.parse::<u64>(), told.parse::<u64>()), (Ok(known), Ok(told)) if known > told)
}

#[cfg(test)]
mod tests {
    use super::super::compact::{Manifest, Whole};
    use super::*;

    fn compact(namespace: &str, name: &str, replicas: u32) -> Compact<Whole> {
        let object = json!({"metadata": {"namespace": namespace, "name": name, "resourceVersion": "7"},
            "spec": {"replicas": replicas, "words": "the same in all of them ".repeat(20)}});
        serde_json::from_value(object).expect("an object")
    }

    fn listed() -> Store {
        let store = Store::new("StatefulSet", &[String::new()], None);
        store.note("", |standing| standing.listed = true);
        store
    }

    fn found(store: &Store, name: &str) -> Option<Value> {
        match store.get("demo", name) {
            Answer::Is(found) => found,
            Answer::Silent => panic!("silent"),
        }
    }

    #[test]
    fn what_is_put_in_comes_out_with_its_kind_and_version() {
        let store = listed();
        assert_eq!(store.put("a", compact("demo", "a", 1)), [Key::new("demo", "a")].into());
        store.put("b", compact("demo", "b", 2));
        let object = found(&store, "b").expect("b");
        assert_eq!((&object["kind"], &object["apiVersion"]), (&json!("StatefulSet"), &json!("apps/v1")));
        assert_eq!(
            (&object["spec"]["replicas"], &object["metadata"]["resourceVersion"]),
            (&json!(2), &json!("7"))
        );
        assert_eq!(found(&store, "c"), None);
        let (count, bytes) = store.size();
        assert!(count == 2 && bytes < 200, "{bytes} bytes for two objects of 600");
    }

    #[test]
    fn only_a_change_concerns_a_cluster() {
        let store = listed();
        store.put("a", compact("demo", "x", 1));
        assert!(store.put("a", compact("demo", "x", 1)).is_empty());
        assert_eq!(store.put("a", compact("demo", "x", 2)), [Key::new("demo", "a")].into());
        let both: BTreeSet<Key> = [Key::new("demo", "a"), Key::new("demo", "b")].into();
        assert_eq!(store.put("b", compact("demo", "x", 2)), both, "it changed hands");
        assert!(!store.has(&Key::new("demo", "a")) && store.has(&Key::new("demo", "b")));
        assert_eq!(store.remove("demo", "x"), Some(Key::new("demo", "b")));
        assert_eq!(store.remove("demo", "x"), None);
    }

    #[test]
    fn an_edit_that_the_answer_to_our_own_write_brings_concerns_its_cluster() {
        let manifest = |version: &str, members: u32, word: &str| {
            Compact::<Manifest>::of(json!({"metadata": {"namespace": "demo", "name": "a",
                "resourceVersion": version}, "spec": {"numberOfInstances": members},
                "status": {"PostgresClusterStatus": word}}))
        };
        let store = Store::new("postgresql", &[String::new()], None);
        let concerned: BTreeSet<Key> = [Key::new("demo", "a")].into();
        assert_eq!(store.put("a", manifest("5", 2, "Running")), concerned);
        assert!(store.renew("a", manifest("6", 2, "Updating")).is_empty(), "only our own status");
        // Somebody edited the manifest (7) just before our status was written (8); the watch tells
        // of both only after the answer, and neither is news then.
        assert_eq!(store.renew("a", manifest("8", 3, "Running")), concerned);
        assert!(store.put("a", manifest("7", 3, "Updating")).is_empty());
        assert!(store.put("a", manifest("8", 3, "Running")).is_empty());
    }

    #[test]
    fn a_manifest_that_is_gone_does_not_come_back_with_the_answer_to_our_own_write() {
        let store = listed();
        store.put("a", compact("demo", "a", 1));
        store.remove("demo", "a");
        assert!(store.renew("a", compact("demo", "a", 1)).is_empty());
        assert_eq!(found(&store, "a"), None);
    }

    #[test]
    fn what_a_new_list_does_not_name_is_gone_within_its_scope() {
        let store = Store::new("StatefulSet", &["demo".to_owned(), "other".to_owned()], None);
        for (namespace, name) in [("demo", "a"), ("demo", "b"), ("other", "c")] {
            store.put(name, compact(namespace, name, 1));
        }
        let gone = store.keep("demo", &[("demo".to_owned(), "b".to_owned())].into());
        assert_eq!(gone, [Key::new("demo", "a")].into());
        assert_eq!(store.size().0, 2);
    }

    #[test]
    fn a_store_is_silent_before_its_list_and_after_an_error() {
        let store = Store::new("StatefulSet", &[String::new()], None);
        assert!(matches!(store.get("demo", "a"), Answer::Silent));
        store.note("", |standing| standing.listed = true);
        assert!(matches!(store.get("demo", "a"), Answer::Is(None)));
        store.note("", |standing| standing.last_error = Some(Instant::now()));
        assert!(matches!(store.list(&Key::new("demo", "a")), Answer::Silent));
        let absent = Store::new("FabricEventStream", &[String::new()], None);
        absent.note("", |standing| standing.not_installed = true);
        assert!(matches!(absent.get("demo", "a"), Answer::Is(None)));
    }
}
