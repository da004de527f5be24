//! One pass over one cluster: observe → plan → act → report. Create, update, sync and
//! recovery after a crash are this same function.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::controller::Action as Next;
use matriarch_api::Problem;
use matriarch_cluster::{Cluster, render};
use matriarch_plan::protection::missing_for_deletion;
use matriarch_plan::status::{self, PassResult};
use matriarch_plan::{plan_cluster, plan_deletion};
use matriarch_settings::Settings;
use serde_json::Value;

use crate::act::Workpiece;
use crate::controller::Context;
use crate::controller_id;
use crate::report::Report;

/// Settings may be what makes a manifest acceptable, and no event tells of them.
const LOOK_AGAIN_AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// A pass that could not be made; it is tried again with growing delays.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The object cannot be turned into JSON.
    #[error("the manifest cannot be read: {0}")]
    Manifest(#[from] serde_json::Error),
    /// A report could not be written.
    #[error("the status cannot be written: {0}")]
    Report(#[from] kube::Error),
    /// A defect of ours, contained to this cluster.
    #[error("the pass panicked: {0}")]
    Panicked(String),
    /// It took too long and was given up.
    #[error("the pass took more than {0} s")]
    TimedOut(u64),
    /// Steps failed; the status and an event say which.
    #[error("steps failed: {0}")]
    Steps(String),
}

/// The pass. Tells when to look again, if no event comes first.
pub async fn pass(object: Arc<DynamicObject>, context: Arc<Context>) -> Result<Next, PassError> {
    if !controller_id::is_ours(&object, &context.controller_id) {
        return Ok(Next::await_change());
    }
    let settings = context.settings.current();
    let manifest = serde_json::to_value(&*object)?;
    let report = Report::new(&context, &manifest);
    if object.metadata.deletion_timestamp.is_some() {
        let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let annotations = &manifest["metadata"]["annotations"];
        match missing_for_deletion(&settings, annotations, &object.name_any(), today) {
            None => return delete(&object, &manifest, &context, &settings, &report).await,
            Some(why) => report.deletion_waits(&why).await,
        }
    }
    let cluster = match Cluster::validate(&manifest, &settings) {
        Ok(cluster) => cluster,
        Err(problems) => return refuse(&problems, &object, &context, &report).await,
    };
    let intent = context.eyes.intent(&cluster, &settings).await;
    let sight = context.eyes.observe(&manifest, &intent, &settings).await;
    let plan = plan_cluster(&intent, &sight.observation);
    report.announce(&plan).await;
    report.notices(&intent.notices).await;
    let work = Workpiece {
        intent: &intent,
        settings: &settings,
        seen: &sight.observation,
        addresses: &sight.addresses,
    };
    let outcomes = context.hands.act(&plan, &work).await;
    let result = PassResult { intent: &intent, seen: &sight.observation, plan: &plan, outcomes: &outcomes };
    let after = status::status(&result, report.status_before(), Timestamp::now());
    report.conclude(&outcomes, &after).await?;
    context.metrics.count_pass(
        &outcomes,
        &after,
        &object.namespace().unwrap_or_default(),
        &object.name_any(),
    );
    let failures = result.failures();
    if let Some(failure) = failures.first() {
        return Err(PassError::Steps(failure.clone()));
    }
    let seconds = plan.look_again_seconds().map_or(settings_resync(&settings), u64::from);
    Ok(Next::requeue(Duration::from_secs(seconds)))
}

/// Removal of a cluster whose manifest is being deleted. A manifest that is refused is
/// deleted like any other: only names and labels are needed.
async fn delete(
    object: &DynamicObject,
    manifest: &Value,
    context: &Context,
    settings: &Settings,
    report: &Report<'_>,
) -> Result<Next, PassError> {
    // An edit may have made the spec unacceptable: deletion needs names and labels only.
    let (cluster, _) = Cluster::read(manifest, settings);
    let intent = render(&cluster, settings);
    let sight = context.eyes.observe_all(manifest, &intent, settings).await;
    if !sight.observation.has_finalizer {
        return Ok(Next::await_change());
    }
    let plan = plan_deletion(&intent, settings, &sight.observation);
    report.announce_deletion(&plan).await;
    let work = Workpiece { intent: &intent, settings, seen: &sight.observation, addresses: &sight.addresses };
    let outcomes = context.hands.act(&plan, &work).await;
    report.events_of(&outcomes).await;
    context.metrics.forget(&object.namespace().unwrap_or_default(), &object.name_any());
    let seconds = plan.look_again_seconds().unwrap_or(1);
    Ok(Next::requeue(Duration::from_secs(u64::from(seconds.max(1)))))
}

/// A manifest that is refused: said once, with all problems. A running cluster is left as
/// it is. An edit wakes it at once; changed settings help at the next look.
async fn refuse(
    problems: &[Problem],
    object: &DynamicObject,
    context: &Context,
    report: &Report<'_>,
) -> Result<Next, PassError> {
    let before = report.status_before();
    let created = !matches!(before.postgres_cluster_status.as_str(), "" | "CreateFailed" | "Invalid");
    let word = matriarch_cluster::status_word_for_problems(problems, created);
    let generation = object.metadata.generation.unwrap_or_default();
    let after = status::refused(problems, word, generation, before, Timestamp::now());
    report.refuse(problems, &after).await?;
    context.metrics.count_refusal(&object.namespace().unwrap_or_default(), &object.name_any());
    Ok(Next::requeue(LOOK_AGAIN_AFTER_REFUSAL))
}

fn settings_resync(settings: &Settings) -> u64 {
    settings.resync_period.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_looked_at_again_after_the_resync_period() {
        let after = |seconds| {
            settings_resync(&Settings {
                resync_period: std::time::Duration::from_secs(seconds),
                ..Settings::default()
            })
        };
        assert_eq!((after(77), after(0)), (77, 1));
    }
}
