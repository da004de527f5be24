//! The moment at which an operator is killed: before or after its k-th write.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

/// On which side of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The request never reaches whom it is for.
    Before,
    /// It is done, and the operator never hears of it.
    After,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Number of the write, from 1.
    pub k: usize,
    /// On which side of it.
    pub side: Side,
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        write!(f, "{side} write {}", self.k)
    }
}

#[derive(Default)]
struct State {
    victim: Option<Pid>,
    moment: Option<Moment>,
    /// Writes since it was armed; nothing while it is not.
    writes: Option<Vec<String>>,
}

/// Counts the writes of one operator, and kills it at a moment.
pub struct Strike {
    state: Mutex<State>,
    /// Whether it was killed.
    struck: watch::Sender<bool>,
}

impl Strike {
    /// One that lets everything pass.
    pub fn new() -> Self {
        Self { state: Mutex::default(), struck: watch::Sender::new(false) }
    }

    /// Counts from now on, and kills this process at the moment, if one is given.
    pub fn arm(&self, victim: i32, moment: Option<Moment>) {
        self.struck.send_replace(false);
        let victim = Some(Pid::from_raw(victim));
        *self.state() = State { victim, moment, writes: Some(Vec::new()) };
    }

    /// Lets everything pass, and tells the writes since it was armed.
    pub fn disarm(&self) -> Vec<String> {
        std::mem::take(&mut *self.state()).writes.unwrap_or_default()
    }

    /// Returns when the operator was killed.
    #[cfg(test)]
    pub async fn struck(&self) {
        let mut struck = self.struck.subscribe();
        // The sender lives as long as this does.
        let _ = struck.wait_for(|struck| *struck).await;
    }

    /// Whether the operator was killed since it was armed.
    pub fn has_struck(&self) -> bool {
        *self.struck.borrow()
    }

    /// Writes since it was armed.
    pub fn count(&self) -> usize {
        self.state().writes.as_ref().map_or(0, Vec::len)
    }

    /// A write is about to be forwarded; never returns where the operator is killed instead.
    pub async fn before(&self, what: &str) -> Option<usize> {
        let number = {
            let mut state = self.state();
            let writes = state.writes.as_mut()?;
            writes.push(what.to_owned());
            writes.len()
        };
        self.meet(Moment { k: number, side: Side::Before }).await;
        Some(number)
    }

    /// The write with this number is done; never returns where the operator is killed now.
    pub async fn after(&self, number: Option<usize>) {
        if let Some(k) = number {
            self.meet(Moment { k, side: Side::After }).await;
        }
    }

    async fn meet(&self, now: Moment) {
        let victim = {
            let state = self.state();
            if state.writes.is_none() || state.moment != Some(now) { None } else { state.victim }
        };
        if let Some(victim) = victim {
            kill(victim, Signal::SIGKILL).ok();
            self.struck.send_replace(true);
        }
        // Further requests of a killed operator may still be on their way: none gets through.
        if self.has_struck() && self.state().writes.is_some() {
            std::future::pending::<()>().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request changes something of a cluster's. Leases, events and questions about rights
/// don't, nor does what is only tried.
pub fn is_write(method: &str, path: &str, query: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH" | "DELETE")
        && !["/leases", "/events", "/selfsubjectaccessreviews", "/selfsubjectrulesreviews"]
            .iter()
            .any(|other| path.contains(other))
        && !query.contains("dryRun=All")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes() {
        let table = [
            ("GET", "/api/v1/pods", "", false),
            ("PATCH", "/apis/apps/v1/namespaces/n/statefulsets/c", "", true),
            ("PATCH", "/apis/apps/v1/namespaces/n/statefulsets/c", "dryRun=All&force=true", false),
            ("POST", "/apis/events.k8s.io/v1/namespaces/n/events", "", false),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "", false),
            ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "", false),
            ("DELETE", "/api/v1/namespaces/n/pods/c-0", "", true),
        ];
        for (method, path, query, expected) in table {
            assert_eq!(is_write(method, path, query), expected, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn a_strike_kills_at_its_moment_and_lets_nothing_more_through() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("a process");
        let strike = Strike::new();
        assert_eq!(strike.before("not armed").await, None);
        let moment = Moment { k: 2, side: Side::After };
        strike.arm(child.id().cast_signed(), Some(moment));
        let first = strike.before("one").await;
        strike.after(first).await;
        let second = strike.before("two").await;
        assert!(child.try_wait().expect("a state").is_none(), "not before the second is done");
        let after = tokio::spawn({
            let strike = std::sync::Arc::new(strike);
            let kept = std::sync::Arc::clone(&strike);
            async move {
                tokio::select! { () = strike.after(second) => {}, () = kept.struck() => {} }
                kept.has_struck().then(|| kept.disarm())
            }
        });
        assert_eq!(after.await.expect("no panic"), Some(vec!["one".to_owned(), "two".to_owned()]));
        assert!(!child.wait().expect("it ends").success());
    }
}
