//! The API server of the local cluster: stopped for a while, and what it was asked to write.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::node::xtask;

/// Matches the command line of the API server inside the cluster's namespaces.
const PROCESS: &str = "parts/kube-apiserver";
/// Where it logs requests, inside.
const AUDIT_LOG: &str = "/run/matriarch/audit.log";

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
    from: usize,
}

impl Audit {
    /// From now on.
    ///
    /// # Errors
    /// When the log cannot be read: only that of the local cluster can.
    pub fn begin() -> Result<Self> {
        let size = xtask(&["enter", "stat", "--format=%s", AUDIT_LOG])?;
        Ok(Self { from: size.trim().parse().context("the size of the audit log is no number")? })
    }

    /// Writes of a service account since then, by verb and resource.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn writes_of(&self, account: &str) -> Result<BTreeMap<String, usize>> {
        let user = format!("system:serviceaccount:{account}");
        let log = xtask(&["enter", "tail", "-c", &format!("+{}", self.from + 1), AUDIT_LOG])?;
        let mut counts = BTreeMap::new();
        for line in log.lines() {
            let entry: Value = serde_json::from_str(line).context("a line of the audit log")?;
            if entry["user"]["username"] != user.as_str() {
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
