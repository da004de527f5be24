//! The API server of the local cluster: stopped for a while, and what it was asked to write.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::node::xtask;

/// Matches the command line of the API server inside the cluster's namespaces.
const PROCESS: &str = "parts/kube-apiserver";
/// Where it logs requests, inside: those that were full, the oldest first, and the one of now.
const AUDIT_LOGS: &str = "/run/matriarch/audit*.log";

/// An API server that answers nobody until this is dropped.
pub struct Stopped {
    back: bool,
}

impl Stopped {
    /// Stops its process, connections and all.
    ///
    /// # Errors
    /// When it cannot be reached: only that of the local cluster can.
    pub fn now() -> Result<Self> {
        signal("-STOP")?;
        Ok(Self { back: false })
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`Self::now`].
    pub fn go_on(mut self) -> Result<()> {
        self.back = true;
        signal("-CONT")
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if self.back {
            return;
        }
        if let Err(error) = signal("-CONT") {
            println!("e2e: cannot let the API server go on: {error:#}");
        }
    }
}

fn signal(which: &str) -> Result<()> {
    xtask(&["enter", "pkill", which, "-f", PROCESS]).map(drop)
}

/// A moment from which on writes are counted.
pub struct Audit {
    /// As the log writes it, so that texts compare as moments do.
    since: String,
}

impl Audit {
    /// From now on.
    ///
    /// # Errors
    /// When the cluster cannot be asked: only the local one can.
    pub fn begin() -> Result<Self> {
        let now = xtask(&["enter", "date", "--utc", "+%Y-%m-%dT%H:%M:%S.%6NZ"])?;
        Ok(Self { since: now.trim().to_owned() })
    }

    /// Writes of a service account since then, by verb and resource.
    ///
    /// # Errors
    /// As [`Self::begin`], and when the log does not reach back so far.
    pub fn writes_of(&self, account: &str) -> Result<BTreeMap<String, usize>> {
        let oldest = shell(&format!("head --quiet --lines=1 {AUDIT_LOGS} | head --lines=1"))?;
        self.is_covered(&oldest)?;
        let user = format!("system:serviceaccount:{account}");
        // One that wrote nothing at all is no error of grep's.
        let script = format!("grep --no-filename --fixed-strings '\"{user}\"' {AUDIT_LOGS} || [ $? = 1 ]");
        let log = shell(&script)?;
        self.count(&log, &user)
    }

    /// An older log that was full is thrown away: what it held is unknown, not nothing.
    fn is_covered(&self, oldest: &str) -> Result<()> {
        let first = received(&entry(oldest)?);
        ensure!(first <= self.since, "the audit log begins at {first}, after {}", self.since);
        Ok(())
    }

    fn count(&self, log: &str, user: &str) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for line in log.lines() {
            let entry = entry(line)?;
            if entry["user"]["username"] != user || received(&entry) < self.since {
                continue;
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let object = &entry["objectRef"];
            let what = [text(&entry["verb"]), text(&object["resource"]), text(&object["subresource"])];
            let what = what.join(" ").trim_end().to_owned();
            *counts.entry(what).or_default() += 1;
        }
        Ok(counts)
    }
}

fn shell(script: &str) -> Result<String> {
    xtask(&["enter", "sh", "-c", script])
}

fn entry(line: &str) -> Result<Value> {
    serde_json::from_str(line).context("a line of the audit log")
}

fn received(entry: &Value) -> String {
    entry["requestReceivedTimestamp"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: &str, user: &str, verb: &str, resource: &str) -> String {
        let entry = serde_json::json!({"requestReceivedTimestamp": format!("2026-01-01T{at}.000000Z"),
            "user": {"username": user}, "verb": verb, "objectRef": {"resource": resource}});
        entry.to_string()
    }

    #[test]
    fn writes_are_counted_from_a_moment_on_also_when_the_log_was_begun_anew_meanwhile() {
        let audit = Audit { since: "2026-01-01T10:00:00.000000Z".to_owned() };
        let log = [
            line("09:59:59", "we", "patch", "services"),
            line("10:00:01", "we", "update", "leases"),
            line("10:30:00", "others, not we", "create", "pods"),
            line("11:00:00", "we", "update", "leases"),
        ];
        let counts = audit.count(&log.join("\n"), "we").expect("entries");
        assert_eq!(counts, BTreeMap::from([("update leases".to_owned(), 2)]));
        assert!(audit.is_covered(&log[0]).is_ok());
        let error = audit.is_covered(&log[1]).expect_err("what was before is lost");
        assert!(error.to_string().contains("begins at 2026-01-01T10:00:01"), "{error}");
    }
}
