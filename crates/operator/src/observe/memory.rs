//! What was found out once and stays true as long as its sources do: templates of revisions,
//! comparisons of passwords, and for a short time what manifests and settings refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use matriarch_cluster::{Human, InfrastructureRole, Reference};
use matriarch_plan::scheduler::Key;
use matriarch_sql::PasswordState;
use serde_json::Value;

use crate::recent::Recent;

/// What is remembered of all clusters.
#[derive(Default)]
pub struct Memory {
    clusters: Mutex<BTreeMap<Key, OfCluster>>,
    /// Infrastructure roles, by their sources.
    pub infrastructure: Recent<String, Reference<Vec<InfrastructureRole>>>,
    /// People, by team.
    pub people: Recent<String, Reference<Vec<Human>>>,
}

#[derive(Default)]
struct OfCluster {
    /// Templates, compressed: a revision never changes.
    revisions: BTreeMap<String, Vec<u8>>,
    /// By Secret.
    passwords: Compared<PasswordState>,
    /// By user list.
    user_lists: Compared<bool>,
    /// Only while a pod is missing.
    missing_pod: Option<MissingPod>,
    /// Since when Patroni has not answered; only while it does not.
    silent_since: Option<Timestamp>,
    /// Since when no member has begun to make the first database; only while none does.
    nobody_begins_since: Option<Timestamp>,
}

/// A pod that should be there and is not.
struct MissingPod {
    since: Instant,
    /// When the API server was last asked why, and its words.
    asked: Option<(Instant, Option<String>)>,
}

/// A pod that has been missing for less is being made: nobody is asked why it is not there.
const MISSING_COUNTS: Duration = Duration::from_secs(5);
/// How often it is asked why a pod is missing. The API server has no index for that question: it
/// reads every event of the namespace.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// What to do about a missing pod.
#[derive(Debug, PartialEq, Eq)]
pub enum AboutMissing {
    /// The API server should be asked.
    Ask,
    /// This is known well enough.
    Known(Option<String>),
}

/// By name: what was compared, and the result.
struct Compared<V>(BTreeMap<String, (u64, V)>);

impl<V> Default for Compared<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V: Copy> Compared<V> {
    /// The result, if exactly this was compared.
    fn get(&self, name: &str, compared: u64) -> Option<V> {
        self.0.get(name).filter(|(known, _)| *known == compared).map(|(_, result)| *result)
    }

    fn keep(&mut self, name: &str, compared: u64, result: V) {
        self.0.insert(name.to_owned(), (compared, result));
    }
}

impl Memory {
    fn clusters(&self) -> MutexGuard<'_, BTreeMap<Key, OfCluster>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The template of a revision.
    pub fn revision(&self, cluster: &Key, revision: &str) -> Option<Value> {
        let clusters = self.clusters();
        let packed = clusters.get(cluster)?.revisions.get(revision)?;
        serde_json::from_slice(&decompress_size_prepended(packed).ok()?).ok()
    }

    /// Keeps the template of a revision.
    pub fn keep_revision(&self, cluster: &Key, revision: &str, template: &Value) {
        let json = serde_json::to_vec(template).unwrap_or_default();
        let packed = compress_prepend_size(&json);
        self.clusters().entry(cluster.clone()).or_default().revisions.insert(revision.to_owned(), packed);
    }

    /// Drops the templates of revisions that no pod carries any more.
    pub fn keep_revisions_of(&self, cluster: &Key, carried: &BTreeSet<&String>) {
        if let Some(known) = self.clusters().get_mut(cluster) {
            known.revisions.retain(|revision, _| carried.contains(revision));
        }
    }

    /// The result of comparing a Secret's password, if exactly this was compared.
    pub fn password(&self, cluster: &Key, secret: &str, compared: u64) -> Option<PasswordState> {
        self.clusters().get(cluster)?.passwords.get(secret, compared)
    }

    /// Keeps the result of comparing a Secret's password.
    pub fn keep_password(&self, cluster: &Key, secret: &str, compared: u64, state: PasswordState) {
        self.clusters().entry(cluster.clone()).or_default().passwords.keep(secret, compared, state);
    }

    /// Whether a user list is as it should be, if exactly this was compared.
    pub fn user_list(&self, cluster: &Key, list: &str, compared: u64) -> Option<bool> {
        self.clusters().get(cluster)?.user_lists.get(list, compared)
    }

    /// Keeps whether a user list is as it should be.
    pub fn keep_user_list(&self, cluster: &Key, list: &str, compared: u64, fits: bool) {
        self.clusters().entry(cluster.clone()).or_default().user_lists.keep(list, compared, fits);
    }

    /// A pod is missing: whether to ask why.
    pub fn missing_pod(&self, cluster: &Key) -> AboutMissing {
        let mut clusters = self.clusters();
        let missing = &mut clusters.entry(cluster.clone()).or_default().missing_pod;
        let missing = missing.get_or_insert_with(|| MissingPod { since: Instant::now(), asked: None });
        match &missing.asked {
            Some((at, words)) if at.elapsed() < ASK_EVERY => AboutMissing::Known(words.clone()),
            None if missing.since.elapsed() < MISSING_COUNTS => AboutMissing::Known(None),
            _ => AboutMissing::Ask,
        }
    }

    /// Keeps what was said about a missing pod.
    pub fn keep_missing_pod(&self, cluster: &Key, words: Option<String>) {
        if let Some(missing) = self.clusters().get_mut(cluster).and_then(|known| known.missing_pod.as_mut()) {
            missing.asked = Some((Instant::now(), words));
        }
    }

    /// No pod is missing.
    pub fn no_pod_is_missing(&self, cluster: &Key) {
        if let Some(known) = self.clusters().get_mut(cluster) {
            known.missing_pod = None;
        }
    }

    /// Notes whether Patroni answered; tells since when it has not.
    pub fn patroni_silent_since(&self, cluster: &Key, is_silent: bool, now: Timestamp) -> Option<Timestamp> {
        self.since(cluster, is_silent, now, |known| &mut known.silent_since)
    }

    /// Notes whether nobody begins to make the first database; tells since when.
    pub fn nobody_begins_since(&self, cluster: &Key, nobody: bool, now: Timestamp) -> Option<Timestamp> {
        self.since(cluster, nobody, now, |known| &mut known.nobody_begins_since)
    }

    /// Since when something has been so without a break, as far as it was looked at.
    fn since(
        &self,
        cluster: &Key,
        is_so: bool,
        now: Timestamp,
        of: impl Fn(&mut OfCluster) -> &mut Option<Timestamp>,
    ) -> Option<Timestamp> {
        let mut clusters = self.clusters();
        if is_so {
            let known = clusters.entry(cluster.clone()).or_default();
            return Some(*of(known).get_or_insert(now));
        }
        if let Some(known) = clusters.get_mut(cluster) {
            *of(known) = None;
        }
        None
    }

    /// Drops what is remembered of a cluster.
    pub fn forget(&self, cluster: &Key) {
        self.clusters().remove(cluster);
    }
}

/// A number for what was compared.
pub fn fingerprint(compared: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    compared.hash(&mut hasher);
    hasher.finish()
}

impl<V: Clone> Recent<String, Reference<V>> {
    /// The recent answer, or a new one. That something is not known is not kept.
    pub async fn or_ask(
        &self,
        about: String,
        is_live: bool,
        ask: impl Future<Output = Reference<V>>,
    ) -> Reference<V> {
        if !is_live && let Some(known) = self.get(&about) {
            return known;
        }
        let answer = ask.await;
        if !matches!(answer, Reference::Unknown(_)) {
            self.keep(about, answer.clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_pod_is_asked_about_rarely() {
        let (memory, key) = (Memory::default(), Key::new("demo", "a"));
        let moment = |age: Duration| Instant::now().checked_sub(age).expect("a moment");
        assert_eq!(memory.missing_pod(&key), AboutMissing::Known(None), "it is being made");
        memory.clusters().get_mut(&key).expect("known").missing_pod =
            Some(MissingPod { since: moment(MISSING_COUNTS), asked: None });
        assert_eq!(memory.missing_pod(&key), AboutMissing::Ask);
        memory.keep_missing_pod(&key, Some("quota".to_owned()));
        assert_eq!(memory.missing_pod(&key), AboutMissing::Known(Some("quota".to_owned())));
        memory.clusters().get_mut(&key).expect("known").missing_pod =
            Some(MissingPod { since: moment(ASK_EVERY), asked: Some((moment(ASK_EVERY), None)) });
        assert_eq!(memory.missing_pod(&key), AboutMissing::Ask);
        memory.no_pod_is_missing(&key);
        assert_eq!(memory.missing_pod(&key), AboutMissing::Known(None), "another pod");
    }

    #[test]
    fn silence_lasts_from_the_first_unanswered_question_to_the_next_answer() {
        let (memory, key) = (Memory::default(), Key::new("demo", "a"));
        let at = |second| Timestamp::from_second(second).expect("a moment");
        assert_eq!(memory.patroni_silent_since(&key, false, at(1)), None);
        assert_eq!(memory.patroni_silent_since(&key, true, at(2)), Some(at(2)));
        assert_eq!(memory.patroni_silent_since(&key, true, at(9)), Some(at(2)));
        assert_eq!(memory.patroni_silent_since(&key, false, at(10)), None);
        assert_eq!(memory.patroni_silent_since(&key, true, at(11)), Some(at(11)));
    }
}
