//! The hands: the only place that writes to clusters. One function per effect; nothing
//! is decided here.

mod anew;
mod kubernetes;
mod trial;

use kube::Client;
use matriarch_cluster::{CredentialSecret, Intent, PasswordSource};
use matriarch_plan::last_look::contradiction;
use matriarch_plan::scheduler::Key;
use matriarch_plan::{Action, Executor, ObjectPlace, Observation, Outcome, Plan, Seen, Step};
use matriarch_postgres::Connection;
use matriarch_settings::Settings;
use matriarch_sql::{Statement, expected_verifier};
use rand::Rng;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::lease::Leadership;
use crate::observe::{Addresses, COMMON, Place, base_url, connect, namespace_of, passwords, pods};
use crate::reads::Reads;

/// Length of generated passwords, in characters (03 §8.1).
const PASSWORD_LENGTH: usize = 64;
/// Length of a verifier's salt, in characters (04 §13.4).
const SALT_LENGTH: usize = 16;

/// What it takes to act.
#[derive(Clone)]
pub struct Hands {
    client: Client,
    /// Past the caches.
    live: Reads,
    patroni: matriarch_patroni::Client,
    leadership: Leadership,
}

/// What acting on one cluster needs to know.
pub struct Workpiece<'a> {
    /// What should exist.
    pub intent: &'a Intent,
    /// Settings of this pass.
    pub settings: &'a Settings,
    /// What was seen.
    pub seen: &'a Observation,
    /// Where things are.
    pub addresses: &'a Addresses,
}

impl Hands {
    /// Hands on what `reads` looks at.
    pub fn new(reads: &Reads, patroni: matriarch_patroni::Client, leadership: Leadership) -> Self {
        Self { client: reads.client().clone(), live: reads.live(), patroni, leadership }
    }

    /// Takes the plan's steps, and tells what became of each. Who stops leading takes no further
    /// one: the next leader observes anew.
    pub async fn act(&self, plan: &Plan, work: &Workpiece<'_>) -> Vec<(Step, Outcome)> {
        let mut executor = Executor::new(plan);
        let mut session = None;
        while self.leadership.holds()
            && let Some(step) = executor.next_step()
        {
            let cluster = format!("{}/{}", work.intent.identity.namespace, work.intent.identity.name);
            info!(cluster, because = step.reasons(), "{}", step.action);
            let outcome = self.take(&step.action, work, &mut session).await;
            if let Outcome::Failed(why) | Outcome::Outdated(why) = &outcome {
                warn!(cluster, step = %step.action, "{why}");
            }
            executor.record(outcome);
        }
        executor.finish()
    }

    /// Why the pod of this name may not go after all, by what the API server says of the others now.
    async fn contradicts(&self, name: &str, work: &Workpiece<'_>) -> Option<String> {
        let identity = &work.intent.identity;
        let key = Key::new(&identity.namespace, &identity.name);
        let Some(planned) = work.seen.pods.present() else { return Some("no pods were seen".to_owned()) };
        match pods(&self.live, &key, &work.intent.selector, work.settings).await {
            Seen::Present(now) => contradiction(name, planned, &now),
            Seen::Absent => None,
            Seen::Unknown(why) => Some(format!("the other pods could not be looked at: {why}")),
        }
    }

    async fn patch_metadata(&self, object: &ObjectPlace, uid: &str, metadata: &Value) -> Outcome {
        let outcome = kubernetes::patch_metadata(&self.client, object, uid, metadata).await;
        self.live.forget(&object.kind, &object.namespace, &object.name);
        outcome
    }

    async fn take(&self, action: &Action, work: &Workpiece<'_>, session: &mut Session) -> Outcome {
        let client = &self.client;
        let place = |kind: &str, name: &str| ObjectPlace {
            kind: kind.to_owned(),
            namespace: work.intent.identity.namespace.clone(),
            name: name.to_owned(),
        };
        match action {
            Action::AddFinalizer => kubernetes::add_finalizer(&self.client, work.intent).await,
            Action::RemoveFinalizer => kubernetes::remove_finalizer(&self.client, work.intent).await,
            Action::Apply { object, whole_lists, .. } => {
                kubernetes::apply(&self.client, object, whole_lists).await
            }
            Action::CreateOnce(object) => kubernetes::create(&self.client, object, &object.body).await,
            Action::AdoptFields { object, resource_version, managed_fields, .. } => {
                kubernetes::adopt(client, object, resource_version, managed_fields).await
            }
            Action::ReplaceStatefulSet { object, uid } => {
                kubernetes::replace_stateful_set(client, object, uid).await
            }
            Action::PatchMetadata { object, uid, metadata } => {
                self.patch_metadata(object, uid, metadata).await
            }
            Action::FreeInitializeKey { object, uid, resource_version } => {
                let metadata =
                    json!({"resourceVersion": resource_version, "annotations": {"initialize": null}});
                self.patch_metadata(object, uid, &metadata).await
            }
            Action::CreateSecret(secret) => match self.password_for(secret).await {
                Ok(password) => kubernetes::create_secret(client, secret, &password).await,
                Err(why) => Outcome::Failed(why),
            },
            Action::CopyPassword(secret) => match self.password_for(secret).await {
                Ok(password) => kubernetes::set_password(client, &secret.object, &password).await,
                Err(why) => Outcome::Failed(why),
            },
            Action::WriteUserList { pooler, .. } => match passwords::user_list(client, pooler).await {
                Ok(content) => kubernetes::write_user_list(client, &pooler.user_list, &content).await,
                Err(why) => Outcome::Failed(why),
            },
            Action::Replace { object, uid } => kubernetes::delete(client, object, uid).await,
            Action::Delete { key, uid } => {
                kubernetes::delete(client, &place(&key.kind, &key.name), uid).await
            }
            Action::DeletePod { name, uid, trial } => {
                if let Some(trial) = trial
                    && let Err(why) = trial::accepted(client, trial).await
                {
                    return Outcome::Failed(format!("the new template is refused, no pod is deleted: {why}"));
                }
                if let Some(why) = self.contradicts(name, work).await {
                    return Outcome::Outdated(format!("no pod is deleted: {why}"));
                }
                kubernetes::delete(client, &place("Pod", name), uid).await
            }
            Action::DeleteClaim { name, uid } => {
                kubernetes::delete(client, &place("PersistentVolumeClaim", name), uid).await
            }
            Action::Reinitialize { name } => match work.addresses.pods.get(name) {
                Some(address) => outcome(self.patroni.reinitialize(&base_url(address)).await),
                None => Outcome::Outdated(format!("{name} has no address")),
            },
            Action::Switchover { from, to } => self.switch_over(from, to, work).await,
            Action::PatchPatroniConfig(patch) => {
                let Some(member) = any_member(work) else {
                    return Outcome::Outdated("no member can be reached".to_owned());
                };
                outcome(self.patroni.patch_config(&member, patch).await)
            }
            Action::RestartMember { name } => match work.addresses.pods.get(name) {
                Some(address) => outcome(self.patroni.restart(&base_url(address)).await),
                None => Outcome::Outdated(format!("{name} has no address")),
            },
            Action::Sql(statement) => self.run_statement(statement, work, session).await,
        }
    }

    /// A new password, or the one that is copied from elsewhere.
    async fn password_for(&self, secret: &CredentialSecret) -> Result<String, String> {
        match &secret.password {
            PasswordSource::Generate => Ok(random_text(PASSWORD_LENGTH)),
            PasswordSource::Copy(source) => passwords::read(&self.client, source).await,
        }
    }

    async fn switch_over(&self, from: &str, to: &str, work: &Workpiece<'_>) -> Outcome {
        match work.addresses.pods.get(from) {
            Some(address) => outcome(self.patroni.switchover(&base_url(address), from, to).await),
            None => Outcome::Outdated(format!("{from} has no address")),
        }
    }

    /// Runs a statement in the pass's session on the primary. The first statement opens it, and one
    /// for another database opens another in its place.
    async fn run_statement(
        &self,
        statement: &Statement,
        work: &Workpiece<'_>,
        session: &mut Session,
    ) -> Outcome {
        let Seen::Present(primary) = work.seen.primary() else {
            return Outcome::Outdated("the primary is not known any more".to_owned());
        };
        let verifier = match statement.secret() {
            None => None,
            Some(secret) => match self.verifier(secret, work).await {
                Ok(verifier) => Some(verifier),
                Err(why) => return Outcome::Failed(why),
            },
        };
        let fits = |open: &String| statement.database().is_none_or(|wanted| wanted == open);
        if !session.as_ref().is_some_and(|(open, _)| fits(open)) {
            let database = statement.database().unwrap_or(COMMON);
            let place = Place {
                client: &self.client,
                settings: work.settings,
                intent: work.intent,
                addresses: work.addresses,
            };
            match connect(&place, &primary, database).await {
                Ok(connection) => *session = Some((database.to_owned(), connection)),
                Err(why) => return Outcome::Failed(why),
            }
        }
        match session {
            Some((_, connection)) => outcome(connection.execute(statement, verifier.as_deref()).await),
            None => Outcome::Failed("no session on the primary".to_owned()),
        }
    }

    /// The salt is random, so a verifier is made here and never stands in a plan.
    async fn verifier(&self, secret: &str, work: &Workpiece<'_>) -> Result<String, String> {
        let namespace = namespace_of(work.intent, secret);
        let password = passwords::of(&self.client, namespace, secret).await?;
        Ok(expected_verifier(&password, random_text(SALT_LENGTH).as_bytes()))
    }
}

/// The leader's address, else any member's: the configuration is shared.
fn any_member(work: &Workpiece<'_>) -> Option<String> {
    let addresses = work.addresses;
    let leader = addresses.primary.as_ref().and_then(|name| addresses.pods.get(name));
    leader.or(addresses.pods.values().next()).map(|address| base_url(address))
}

/// A session on the primary, with the database it is in.
type Session = Option<(String, Connection)>;

fn outcome<T, E: std::fmt::Display>(result: Result<T, E>) -> Outcome {
    match result {
        Ok(_) => Outcome::Applied,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Random letters and digits from the system's generator.
fn random_text(length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut generator = rand::rng();
    (0..length)
        .map(|_| {
            // Rejection keeps every character equally likely.
            loop {
                let byte = (generator.next_u32() & 0x3f) as usize;
                if let Some(character) = ALPHABET.get(byte) {
                    return char::from(*character);
                }
            }
        })
        .collect()
}
