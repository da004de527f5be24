//! Status and events of a `postgresql` object. Written only when something changed.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use matriarch_api::{Condition, PostgresqlStatus, Problem};
use matriarch_plan::scheduler::Key;
use matriarch_plan::{Action, Outcome, Plan, Reason, Risk, Step};
use serde_json::{Value, json};
use tracing::{debug, warn};

use crate::access::is_too_late;
use crate::controller::Context;
use crate::events::Events;
use crate::kinds;
use crate::plain::plain;

/// Field manager of the status.
pub const STATUS_MANAGER: &str = "matriarch-status";
/// The API server refuses longer notes (1 kB), in bytes.
const LONGEST_NOTE: usize = 1000;

/// Longest action that the API server takes, in bytes.
const LONGEST_ACTION: usize = 128;

/// Writes for one object.
pub struct Report<'a> {
    context: &'a Context,
    key: Key,
    regarding: ObjectReference,
    before: PostgresqlStatus,
    generation: i64,
}

impl<'a> Report<'a> {
    /// A report on the object as it was read.
    pub fn new(context: &'a Context, manifest: &Value) -> Self {
        let metadata = &manifest["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        Self {
            context,
            key: Key::new(text("namespace"), text("name")),
            regarding: regarding(manifest),
            before: status_of(manifest),
            generation: manifest["metadata"]["generation"].as_i64().unwrap_or_default(),
        }
    }

    /// The status that stands in the object.
    pub fn status_before(&self) -> &PostgresqlStatus {
        &self.before
    }

    /// Says what is about to be disrupted, before it is.
    pub async fn announce(&self, plan: &Plan) {
        if plan.paused {
            return;
        }
        if self.before.postgres_cluster_status.is_empty() && !plan.steps.is_empty() {
            self.event(EventType::Normal, "Create", "Started creation of new cluster resources").await;
        }
        let disruptive = plan.steps.iter().filter(|step| step.action.risk() == Risk::Disruptive);
        let told: Vec<(&Step, String)> =
            disruptive.map(|step| (step, format!("{} because {}", step.action, step.reasons()))).collect();
        let notes: Vec<String> = told.iter().map(|(_, note)| note.clone()).collect();
        // A step that is tried again is not told again.
        let news = self.context.said.news(&self.key, "disrupts", &notes);
        for (step, note) in told.iter().filter(|(_, note)| news.contains(&note)) {
            self.event(EventType::Normal, reason_of(&step.action), note).await;
        }
        self.refusals(plan).await;
    }

    /// What is refused is told when it is new: neither in the status nor told before.
    async fn refusals(&self, plan: &Plan) {
        let notes: Vec<String> =
            plan.refusals.iter().map(|refusal| format!("{}: {}", refusal.what, refusal.because)).collect();
        for note in self.context.said.news(&self.key, "refused", &notes) {
            if self.blocked_before().is_none_or(|condition| condition.message != *note) {
                self.event(EventType::Warning, "Refused", note).await;
            }
        }
    }

    fn blocked_before(&self) -> Option<&Condition> {
        blocked(&self.before)
    }

    /// What the owner should know although it stops nothing; said again only when the
    /// manifest changed.
    pub async fn notices(&self, notices: &[Problem]) {
        if self.before.observed_generation == Some(self.generation) {
            return;
        }
        for notice in notices {
            let reason = if notice.field.starts_with("spec.resources") { "ResourceLimits" } else { "Notice" };
            self.event(EventType::Warning, reason, &notice.to_string()).await;
        }
    }

    /// Says what a deletion waits for, once per change of the manifest.
    pub async fn deletion_waits(&self, why: &Reason) {
        if self.before.observed_generation != Some(self.generation) {
            self.event(EventType::Warning, "Delete", &why.0).await;
        }
    }

    /// Says that a deletion begins, in the pass that removes the StatefulSet.
    pub async fn announce_deletion(&self, plan: &Plan) {
        let begins = plan
            .steps
            .iter()
            .any(|step| matches!(&step.action, Action::Delete { key, .. } if key.kind == "StatefulSet"));
        if !begins || plan.paused {
            return;
        }
        self.event(EventType::Normal, "Delete", "Started deletion of cluster resources").await;
    }

    /// Events for what was done, then the status.
    pub async fn conclude(&self, outcomes: &[(Step, Outcome)], after: &PostgresqlStatus) -> kube::Result<()> {
        self.events_of(outcomes).await;
        let (was, is) = (&self.before.postgres_cluster_status, &after.postgres_cluster_status);
        if was != is && is == "Running" {
            self.event(EventType::Normal, "StatefulSet", "Pods are ready").await;
        }
        for condition in news(&self.before, after) {
            let (type_, note) = match condition.type_.as_str() {
                "Paused" => (EventType::Normal, format!("nothing is done. {}", condition.message)),
                _ => (EventType::Warning, condition.message.clone()),
            };
            let reason = if condition.type_ == "Paused" { "Paused" } else { &condition.reason };
            self.event(type_, reason, &note).await;
        }
        self.write(after).await
    }

    /// One event per thing that was made or failed.
    pub async fn events_of(&self, outcomes: &[(Step, Outcome)]) {
        let secrets = outcomes.iter().filter(|(step, outcome)| {
            matches!(step.action, Action::CreateSecret(_)) && *outcome == Outcome::Applied
        });
        if secrets.count() > 0 {
            self.event(EventType::Normal, "Secrets", "The secrets have been successfully created").await;
        }
        self.failures(outcomes).await;
        for (step, outcome) in outcomes {
            match (outcome, &step.action) {
                (Outcome::Applied, Action::Apply { object, creates: true, .. }) => {
                    let name = format!("\"{}/{}\"", object.namespace, object.name);
                    let note = match object.kind.as_str() {
                        "StatefulSet" => format!("Statefulset {name} has been successfully created"),
                        "Service" => format!("The service {name} has been successfully created"),
                        kind => format!("The {kind} {name} has been successfully created"),
                    };
                    self.event(EventType::Normal, reason_of(&step.action), &note).await;
                }
                (
                    Outcome::Applied,
                    Action::Apply { .. }
                    | Action::AdoptFields { .. }
                    | Action::ReplaceStatefulSet { .. }
                    | Action::Replace { .. }
                    | Action::FreeInitializeKey { .. }
                    | Action::Sql(_)
                    | Action::PatchPatroniConfig(_),
                ) => {
                    let note = format!("{} because {}", step.action, step.reasons());
                    self.event(EventType::Normal, reason_of(&step.action), &note).await;
                }
                _ => {}
            }
        }
    }

    /// A failure is told once, not with each attempt.
    async fn failures(&self, outcomes: &[(Step, Outcome)]) {
        let failed = |(step, outcome): &(Step, Outcome)| match outcome {
            Outcome::Failed(why) => Some((step.action.clone(), format!("{} failed: {why}", step.action))),
            _ => None,
        };
        let failed: Vec<(Action, String)> = outcomes.iter().filter_map(failed).collect();
        let notes: Vec<String> = failed.iter().map(|(_, note)| note.clone()).collect();
        let news = self.context.said.news(&self.key, "failed", &notes);
        for (action, note) in failed.iter().filter(|(_, note)| news.contains(&note)) {
            self.event(EventType::Warning, reason_of(action), note).await;
        }
    }

    /// All problems in one status and one event.
    pub async fn refuse(&self, problems: &[Problem], after: &PostgresqlStatus) -> kube::Result<()> {
        if self.before != *after {
            let note = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            let reason = if after.postgres_cluster_status == "UpdateFailed" { "Update" } else { "Create" };
            self.event(EventType::Warning, reason, &note).await;
        }
        self.write(after).await
    }

    async fn write(&self, after: &PostgresqlStatus) -> kube::Result<()> {
        if self.before == *after || !self.context.may_act() {
            return Ok(());
        }
        let api = kinds::namespaced(&self.context.client, "postgresql", &self.key.namespace);
        let parameters = PatchParams::apply(STATUS_MANAGER);
        let patch = json!({ "status": after });
        match api.patch_status(&self.key.name, &parameters, &Patch::Merge(&patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error),
            Ok(written) => {
                // The next pass may come before the watch tells of it.
                if let Some((key, why)) = self.context.caches().written(&written) {
                    self.context.queue.wake(key, why);
                }
                Ok(())
            }
        }
    }

    async fn event(&self, type_: EventType, reason: &str, note: &str) {
        publish(&self.context.recorder, &self.regarding, type_, reason, note).await;
    }
}

/// What stands in the way, if anything.
fn blocked(status: &PostgresqlStatus) -> Option<&Condition> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.type_ == "Degraded" && condition.status == "True")
}

/// Conditions that somebody should hear of: problems that are new or say something new, and that the
/// operator was paused or that a member does not stream, each once.
fn news<'a>(before: &PostgresqlStatus, after: &'a PostgresqlStatus) -> Vec<&'a Condition> {
    let old = |kind: &str| before.conditions.iter().find(|condition| condition.type_ == kind);
    let is_new = |condition: &&Condition| {
        let old = old(&condition.type_);
        let same_state = old.is_some_and(|old| old.status == condition.status);
        match (condition.type_.as_str(), condition.status.as_str()) {
            ("Degraded", "True") => !same_state || old.is_some_and(|old| old.message != condition.message),
            ("Paused", "True") | ("MembersStreaming", "False") => !same_state,
            _ => false,
        }
    };
    after.conditions.iter().filter(is_new).collect()
}

/// The manifest, as events name it.
pub fn regarding(manifest: &Value) -> ObjectReference {
    let text = |key: &str| Some(manifest["metadata"][key].as_str().unwrap_or_default().to_owned());
    ObjectReference {
        api_version: Some(matriarch_api::API_VERSION.to_owned()),
        kind: Some(matriarch_api::KIND.to_owned()),
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        ..ObjectReference::default()
    }
}

/// Publishes an event; that it cannot be written stops nothing.
pub async fn publish(
    recorder: &Events,
    regarding: &ObjectReference,
    type_: EventType,
    reason: &str,
    note: &str,
) {
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(cut(note, LONGEST_NOTE)),
        // The recorder counts events of the same action as one, without looking at the note.
        action: cut(note, LONGEST_ACTION),
        secondary: None,
    };
    match recorder.publish(&event, regarding).await {
        Ok(()) => {}
        // It would be deleted with the rest.
        Err(error) if is_too_late(&error) => debug!("the event \"{note}\" comes too late"),
        Err(error) => warn!("the event \"{note}\" cannot be written: {}", plain(&error)),
    }
}

/// The start of a text, in at most so many bytes: the API server counts bytes.
fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

/// The contract's event reasons (01 §1.6).
fn reason_of(action: &Action) -> &'static str {
    match action {
        Action::Apply { object, creates: true, .. } | Action::CreateOnce(object) => {
            match object.kind.as_str() {
                "Service" => "Services",
                "StatefulSet" => "StatefulSet",
                "PodDisruptionBudget" => "PodDisruptionBudgets",
                _ => "Create",
            }
        }
        Action::CreateSecret(_) | Action::CopyPassword(_) => "Secrets",
        Action::Switchover { .. } => "Switchover",
        Action::Delete { .. } | Action::RemoveFinalizer => "Delete",
        Action::AddFinalizer
        | Action::Apply { .. }
        | Action::AdoptFields { .. }
        | Action::ReplaceStatefulSet { .. }
        | Action::Replace { .. }
        | Action::PatchMetadata { .. }
        | Action::FreeInitializeKey { .. }
        | Action::WriteUserList { .. }
        | Action::DeletePod { .. }
        | Action::RestartMember { .. }
        | Action::Reinitialize { .. }
        | Action::DeleteClaim { .. }
        | Action::PatchPatroniConfig(_)
        | Action::Sql(_) => "Update",
    }
}

/// The status as read; the ancient form is a bare text (01 §1.4).
pub fn status_of(manifest: &Value) -> PostgresqlStatus {
    match &manifest["status"] {
        Value::String(word) => {
            PostgresqlStatus { postgres_cluster_status: word.clone(), ..PostgresqlStatus::default() }
        }
        status => serde_json::from_value(status.clone()).unwrap_or_default(),
    }
}
