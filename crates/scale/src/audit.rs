//! The API server's record of the operator's requests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Verbs that change something.
const WRITES: [&str; 6] = ["create", "update", "patch", "delete", "deletecollection", "post"];

/// Requests, counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests {
    /// Verb and resource (with its subresource) → how many; without those about leases.
    pub counts: BTreeMap<(String, String), u64>,
    /// Those about leases.
    pub leases: u64,
}

impl Requests {
    /// Takes a line of the record.
    fn take(&mut self, line: &str) {
        let Ok(entry) = serde_json::from_str::<Value>(line) else { return };
        let verb = entry["verb"].as_str().unwrap_or_default();
        // A watch is counted when it begins: its end may be hours away.
        let counted = if verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        if entry["stage"] != counted {
            return;
        }
        let text = |name: &str| entry["objectRef"][name].as_str().unwrap_or_default();
        let mut resource = text("resource").to_owned();
        if resource == "leases" {
            self.leases += 1;
            return;
        }
        if !text("subresource").is_empty() {
            resource = format!("{resource}/{}", text("subresource"));
        }
        *self.counts.entry((verb.to_owned(), resource)).or_default() += 1;
    }

    /// How many of a verb.
    pub fn of(&self, verb: &str) -> u64 {
        self.counts.iter().filter(|((one, _), _)| one == verb).map(|(_, count)| count).sum()
    }

    /// All but watches, which last.
    pub fn all_but_watches(&self) -> u64 {
        self.counts.values().sum::<u64>() - self.of("watch")
    }

    /// Those that change something.
    pub fn writes(&self) -> u64 {
        WRITES.iter().map(|verb| self.of(verb)).sum()
    }

    /// The most frequent, for a person.
    pub fn most(&self, count: usize) -> String {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown =
            all.iter().take(count).map(|((verb, resource), count)| format!("{verb} {resource} {count}"));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// The file, with the place up to which it was read.
pub struct Audit {
    path: PathBuf,
    place: u64,
}

impl Audit {
    /// The record of a world.
    pub fn new(state: &Path) -> Self {
        Self { path: state.join("audit.log"), place: 0 }
    }

    /// Requests since the last call.
    ///
    /// # Errors
    /// When there is no record.
    pub fn since(&mut self) -> Result<Requests> {
        let mut file = File::open(&self.path)
            .with_context(|| format!("no record of requests at {}", self.path.display()))?;
        file.seek(SeekFrom::Start(self.place))?;
        let mut reader = BufReader::new(file);
        let mut requests = Requests::default();
        let mut line = String::new();
        loop {
            line.clear();
            let read = reader.read_line(&mut line)?;
            // The last line may be half written: it is left for the next call.
            if read == 0 || !line.ends_with('\n') {
                return Ok(requests);
            }
            self.place += u64::try_from(read).unwrap_or(0);
            requests.take(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_verb_and_resource() {
        let mut requests = Requests::default();
        let line = |stage: &str, verb: &str, resource: &str, sub: &str| {
            serde_json::json!({"stage": stage, "verb": verb,
                "objectRef": {"resource": resource, "subresource": sub}})
            .to_string()
        };
        for (stage, verb, resource, sub) in [
            ("ResponseComplete", "get", "pods", ""),
            ("ResponseComplete", "patch", "postgresqls", "status"),
            ("ResponseStarted", "watch", "pods", ""),
            ("ResponseComplete", "watch", "pods", ""),
            ("ResponseComplete", "update", "leases", ""),
        ] {
            requests.take(&line(stage, verb, resource, sub));
        }
        requests.take("half a li");
        assert_eq!((requests.all_but_watches(), requests.writes(), requests.leases), (2, 1, 1));
        assert_eq!(requests.of("watch"), 1);
        assert!(requests.most(9).contains("patch postgresqls/status 1"));
    }
}
