//! The Lease that says which of several operators acts. The rules are
//! [`matriarch_plan::lease`]; here they get a clock and an API server.
//!
//! The others keep watching and are ready to go on within seconds. A holder who cannot renew stops
//! acting before anybody else may begin; it goes on as one of those who wait, so that an outage of
//! the API server restarts no operator.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use matriarch_plan::lease::{Candidate, Move, Record, Timing, Write, Written};
use matriarch_plan::ownership::FIELD_MANAGER;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::access::is_missing_right;
use crate::plain::plain;

/// A request for the Lease takes no longer: less than lies between two renewals and the deadline.
const LONGEST_REQUEST: Duration = Duration::from_secs(2);
/// `LEASE_NAME` of an operator that wants none.
pub const NONE: &str = "none";

/// Whether this process may act. Cheap to ask before every step.
#[derive(Clone)]
pub struct Leadership {
    started: Instant,
    /// Milliseconds since the start until which it may; 0: it may not.
    until: Arc<AtomicU64>,
    leads: watch::Sender<bool>,
}

impl Leadership {
    /// Nobody's yet.
    pub fn none() -> Self {
        Self { started: Instant::now(), until: Arc::default(), leads: watch::Sender::new(false) }
    }

    /// For good: for an operator that wants no Lease, or may not have one.
    pub fn forever() -> Self {
        let leadership = Self::none();
        leadership.set_for_good();
        leadership
    }

    /// Whether it may act at this moment. A process that was stopped for a while gets the right
    /// answer, too: the deadline is compared with the clock, not waited for.
    pub fn holds(&self) -> bool {
        millis(self.started.elapsed()) < self.until.load(Ordering::Acquire)
    }

    /// Tells changes.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Waits until it may not act any more.
    pub async fn lost(&self) {
        let mut leads = self.leads.subscribe();
        loop {
            if !self.holds() {
                return;
            }
            let until = Duration::from_millis(self.until.load(Ordering::Acquire));
            let left = until.saturating_sub(self.started.elapsed());
            // A renewal moves the deadline, so it is looked at again when it has come.
            tokio::select! {
                () = tokio::time::sleep(left.min(Timing::default().renew_deadline)) => {}
                changed = leads.changed() => if changed.is_err() { return },
            }
        }
    }

    fn set_for_good(&self) {
        self.set(Some(Duration::MAX));
    }

    fn set(&self, until: Option<Duration>) {
        self.until.store(until.map_or(0, millis), Ordering::Release);
        let holds = self.holds();
        self.leads.send_if_modified(|leads| std::mem::replace(leads, holds) != holds);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Name of the Lease of all operators that are started alike. Replicas share it; operators that
/// look after other clusters from the same namespace have another.
pub fn name(controller_id: &str, watched: &str, settings: &str) -> String {
    let alike = [controller_id, watched, settings].join("\n");
    let digest: String = Sha256::digest(alike).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("matriarch-{digest}")
}

/// Whose turn it is, for as long as this process lives.
pub struct Campaign {
    api: Api<Lease>,
    name: String,
    candidate: Candidate,
    leadership: Leadership,
}

impl Campaign {
    /// A campaign for the Lease `name` in `namespace`. The identity is made unique.
    pub fn new(client: &Client, namespace: &str, name: String, leadership: Leadership) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "operator".to_owned());
        let identity = format!("{host}_{:08x}", rand::random::<u32>());
        info!(identity, lease = format!("{namespace}/{name}"), "takes part in the election");
        let candidate = Candidate::new(&identity, Timing::default());
        Self { api: Api::namespaced(client.clone(), namespace), name, candidate, leadership }
    }

    /// Takes part until `stop`, and hands the Lease back then. Ends early, as the one that acts,
    /// when the right to have a Lease is missing.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let next = self.candidate.next(self.now());
            let step = async {
                match next {
                    Move::Wait(pause) => {
                        // No longer than until the deadline, which has to be said.
                        let left = self.candidate.acts_until().map(|until| until.saturating_sub(self.now()));
                        tokio::time::sleep(pause.min(left.unwrap_or(pause))).await;
                        Ok(())
                    }
                    Move::Read => self.look().await,
                    Move::Write(write) => self.write(&write).await,
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                result = step => {
                    if let Err(error) = result {
                        warn!("without a Lease ({}): make sure that one operator runs only", plain(&error));
                        self.leadership.set_for_good();
                        return;
                    }
                }
            }
            self.publish();
        }
        self.hand_back().await;
    }

    fn now(&self) -> Duration {
        self.leadership.started.elapsed()
    }

    fn publish(&mut self) {
        let now = self.now();
        let until = self.candidate.acts_until().filter(|until| now < *until);
        let (was, is) = (*self.leadership.leads.borrow(), until.is_some());
        self.leadership.set(until);
        match (was, is) {
            (false, true) => info!("leads from now on"),
            (true, false) => {
                warn!("does not lead any more; {} does", self.candidate.holder().unwrap_or("nobody"))
            }
            _ => {}
        }
    }

    /// The only error is a missing right.
    async fn look(&mut self) -> kube::Result<()> {
        let answer = tokio::time::timeout(LONGEST_REQUEST, self.api.get_opt(&self.name)).await;
        let now = self.now();
        match answer {
            Ok(Ok(lease)) => self.candidate.saw(now, lease.map(record)),
            Ok(Err(error)) if is_missing_right(&error) => return Err(error),
            Ok(Err(error)) => {
                warn!("the Lease cannot be read: {}", plain(&error));
                self.candidate.saw_nothing(now);
            }
            Err(_) => self.candidate.saw_nothing(now),
        }
        Ok(())
    }

    async fn write(&mut self, write: &Write) -> kube::Result<()> {
        let began = self.now();
        let answer = tokio::time::timeout(LONGEST_REQUEST, self.send(write)).await;
        let result = match answer {
            Ok(Ok(version)) => Written::Done(version),
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
                Written::Conflict
            }
            Ok(Err(error)) if is_missing_right(&error) => return Err(error),
            Ok(Err(error)) => {
                warn!("the Lease cannot be written: {}", plain(&error));
                Written::Failed
            }
            Err(_) => Written::Failed,
        };
        self.candidate.wrote(began, write, result);
        Ok(())
    }

    /// Writes the Lease and gives its new resourceVersion.
    async fn send(&self, write: &Write) -> kube::Result<String> {
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let lease = match &write.version {
            None => self.api.create(&parameters, &self.body(write, None)).await?,
            Some(version) => {
                let before = self.api.get(&self.name).await?;
                if before.metadata.resource_version.as_ref() != Some(version) {
                    return Err(kube::Error::Api(Box::new(
                        kube::core::Status::failure("it has changed", "Conflict").with_code(409),
                    )));
                }
                self.api.replace(&self.name, &parameters, &self.body(write, Some(before))).await?
            }
        };
        Ok(lease.metadata.resource_version.unwrap_or_default())
    }

    /// What others put there, labels for example, stays.
    fn body(&self, write: &Write, before: Option<Lease>) -> Lease {
        let now = MicroTime(jiff::Timestamp::now());
        let old = before.clone().and_then(|lease| lease.spec).and_then(|spec| spec.acquire_time);
        let metadata = before
            .map(|lease| lease.metadata)
            .unwrap_or_else(|| ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() });
        let seconds = i32::try_from(write.duration.as_secs()).unwrap_or(i32::MAX);
        Lease {
            metadata: ObjectMeta { managed_fields: None, ..metadata },
            spec: Some(LeaseSpec {
                holder_identity: Some(write.holder.clone()),
                lease_duration_seconds: Some(seconds),
                acquire_time: if write.acquires { Some(now.clone()) } else { old },
                renew_time: Some(now),
                lease_transitions: Some(i32::try_from(write.transitions).unwrap_or(i32::MAX)),
                ..LeaseSpec::default()
            }),
        }
    }

    /// An orderly end: the next one need not wait.
    async fn hand_back(mut self) {
        let release = self.candidate.release(self.now());
        self.leadership.set(None);
        if let Some(write) = release {
            match self.write(&write).await {
                Ok(()) => info!("handed the Lease back"),
                Err(error) => warn!("the Lease cannot be handed back: {}", plain(&error)),
            }
        }
    }
}

fn record(lease: Lease) -> Record {
    let spec = lease.spec.unwrap_or_default();
    let number = |value: Option<i32>| u32::try_from(value.unwrap_or_default()).unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: Duration::from_secs(u64::from(number(spec.lease_duration_seconds))),
        transitions: number(spec.lease_transitions),
        version: lease.metadata.resource_version.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_that_are_started_alike_share_a_lease_and_no_others() {
        let one = name("", "", "ConfigMap ns/a");
        assert_eq!(one, name("", "", "ConfigMap ns/a"));
        for other in [name("id", "", "ConfigMap ns/a"), name("", "ns", "ConfigMap ns/a"), name("", "", "b")] {
            assert_ne!(one, other);
        }
    }

    #[tokio::test]
    async fn leadership_ends_by_the_clock() {
        let leadership = Leadership::none();
        assert!(!leadership.holds());
        leadership.lost().await;
        leadership.set(Some(leadership.started.elapsed() + Duration::from_secs(60)));
        assert!(leadership.holds() && *leadership.subscribe().borrow());
        leadership.set(Some(Duration::ZERO));
        assert!(!leadership.holds());
        assert!(Leadership::forever().holds());
    }

    #[test]
    fn a_lease_without_a_holder_is_nobodys() {
        assert_eq!(record(Lease::default()), Record::default());
    }
}
