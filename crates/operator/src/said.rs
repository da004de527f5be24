//! What was told of each cluster, so that a pass that finds the same again tells nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use matriarch_plan::scheduler::Key;

/// Remembers texts by their hashes.
#[derive(Debug, Default)]
pub struct Said {
    known: Mutex<BTreeMap<Key, BTreeMap<&'static str, BTreeSet<u64>>>>,
}

impl Said {
    /// Which of the texts about one matter are new. What is not among them any more is forgotten, so
    /// that it is told again when it comes back.
    pub fn news<'a>(&self, key: &Key, matter: &'static str, texts: &'a [String]) -> Vec<&'a String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.is_empty() && !known.contains_key(key) {
            return Vec::new();
        }
        let now: BTreeSet<u64> = texts.iter().map(hash).collect();
        let before = known.entry(key.clone()).or_default().insert(matter, now).unwrap_or_default();
        texts.iter().filter(|text| !before.contains(&hash(text))).collect()
    }

    /// Drops what is known of a cluster.
    pub fn forget(&self, key: &Key) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

fn hash(text: &String) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_news_once_and_again_when_it_comes_back() {
        let (said, key) = (Said::default(), Key::new("demo", "a"));
        let (one, two) = ("one".to_owned(), "two".to_owned());
        let both = [one.clone(), two.clone()];
        assert_eq!(said.news(&key, "refused", &both), [&one, &two]);
        assert!(said.news(&key, "refused", &both).is_empty());
        assert_eq!(said.news(&key, "failed", std::slice::from_ref(&one)), [&one], "another matter");
        assert!(said.news(&key, "refused", std::slice::from_ref(&two)).is_empty());
        assert_eq!(said.news(&key, "refused", &both), [&one]);
        said.forget(&key);
        assert_eq!(said.news(&key, "refused", std::slice::from_ref(&two)), [&two]);
    }
}
