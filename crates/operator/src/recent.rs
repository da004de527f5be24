//! Answers that are used again for a short time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is used: what it is about is not watched, and no event tells of a change.
const RECENT: Duration = Duration::from_secs(30);

/// Recent answers, by what was asked.
pub struct Recent<K, V> {
    known: Mutex<BTreeMap<K, (Instant, V)>>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { known: Mutex::default() }
    }
}

impl<K: Ord, V: Clone> Recent<K, V> {
    fn known(&self) -> MutexGuard<'_, BTreeMap<K, (Instant, V)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, if there is a recent one.
    pub fn get(&self, about: &K) -> Option<V> {
        let known = self.known();
        known.get(about).filter(|(at, _)| at.elapsed() < RECENT).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer, and drops those that are recent no more.
    pub fn keep(&self, about: K, answer: V) {
        let mut known = self.known();
        known.retain(|_, (at, _)| at.elapsed() < RECENT);
        known.insert(about, (Instant::now(), answer));
    }

    /// Drops an answer.
    pub fn forget(&self, about: &K) {
        self.known().remove(about);
    }
}
