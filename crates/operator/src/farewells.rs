//! Manifests that are gone, whose deletion was seen and that had no finalizer of ours: with
//! `enable_finalizers` explicitly false that is how a deletion begins. What is missing after a list
//! was not seen to go, and is an orphan.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use matriarch_plan::scheduler::Key;
use serde_json::Value;

/// The last words of manifests; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Farewells {
    manifests: Arc<Mutex<BTreeMap<Key, Value>>>,
}

impl Farewells {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Value>> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a manifest as it was last seen.
    pub fn keep(&self, key: Key, manifest: Value) {
        self.lock().insert(key, manifest);
    }

    /// The manifest, if its deletion is not done with.
    pub fn of(&self, key: &Key) -> Option<Value> {
        self.lock().get(key).cloned()
    }

    /// Whether there is one.
    pub fn has(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// It is done with, or there is a manifest of this name again.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }
}
