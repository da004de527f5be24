//! One pass over one cluster: observe → plan → act → report. Create, update, sync and
//! recovery after a crash are this same function.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use matriarch_api::Problem;
use matriarch_cluster::{Cluster, Intent, render};
use matriarch_plan::next_look::next_look;
use matriarch_plan::protection::missing_for_deletion;
use matriarch_plan::scheduler::{Key, Next, Turn, Verdict};
use matriarch_plan::status::{self, PassResult};
use matriarch_plan::{PatroniSeen, Plan, Seen, plan_cluster, plan_deletion, sync_now};
use matriarch_settings::Settings;
use serde_json::Value;

use crate::act::Workpiece;
use crate::controller::Context;
use crate::controller_id;
use crate::observe::{Eyes, Sight, has_finalizer};
use crate::report::Report;

/// A desk is kept for so long; a pass that a database or Patroni keeps waiting goes on without one.
const AT_DESK: Duration = Duration::from_secs(3);
/// A pass that waits longer than this for Patroni is a slow one.
const SLOW: Duration = Duration::from_secs(1);

/// A pass that could not be made; it is tried again with growing delays.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The manifest must be read anew before something is written.
    #[error("the manifest cannot be read: {0}")]
    Manifest(#[source] kube::Error),
    /// A report could not be written.
    #[error("the status cannot be written: {0}")]
    Report(#[from] kube::Error),
    /// A defect of ours, contained to this cluster.
    #[error("the pass panicked: {0}")]
    Panicked(String),
    /// Another replica acts from now on.
    #[error("given up: this replica does not lead any more")]
    NotLeading,
    /// It took too long and was given up.
    #[error("the pass took more than {0} s")]
    TimedOut(u64),
    /// Steps failed; the status and an event say which.
    #[error("steps failed: {0}")]
    Steps(String),
}

/// The pass. Tells when to look again, if no event comes first.
pub async fn pass(turn: &Turn, context: &Context) -> Result<Verdict, PassError> {
    let settings = context.settings.current();
    let begun = Instant::now();
    let patroni = context.eyes.patroni(&turn.key, &settings).await;
    let waited = begun.elapsed() > SLOW;
    let desks = context.desks();
    let desk = desks.acquire().await.ok();
    let mut work = Box::pin(work(&turn.key, context, &settings, patroni));
    match tokio::time::timeout(AT_DESK, &mut work).await {
        Ok(next) => Ok(Verdict { next: next?, slow: waited }),
        Err(_) => {
            drop(desk);
            Ok(Verdict { next: work.await?, slow: true })
        }
    }
}

/// The part that holds a whole cluster in memory. Its pieces are on the heap: together they would
/// not fit on the stack of a thread when they are compiled without optimisation.
async fn work(
    key: &Key,
    context: &Context,
    settings: &Settings,
    patroni: Seen<PatroniSeen>,
) -> Result<Next, PassError> {
    let Some(manifest) = context.reads.manifest(key) else {
        return farewell(key, context, settings).await;
    };
    // There is a manifest of this name again: the cluster is its.
    context.queue.farewells.forget(key);
    if !controller_id::is_ours(&manifest, &context.controller_id) {
        return Ok(Next::Asleep);
    }
    let is_asked_for = sync_now::is_asked_for(&manifest);
    if !is_asked_for && !is_going(&manifest) {
        let look = match Box::pin(look(&manifest, &context.eyes, settings, Some(patroni))).await {
            Ok(look) => look,
            Err(problems) => return refuse(&problems, &manifest, context).await,
        };
        // A paused cluster's steps are shown and not taken.
        if look.plan.steps.is_empty() || look.plan.paused {
            return Box::pin(finish(&manifest, look, context, settings)).await;
        }
    }
    // What a cache says leads to no write: everything is read anew, and that is acted upon.
    let manifest = context.reads.live().get("postgresql", &key.namespace, &key.name).await;
    let Some(manifest) = manifest.map_err(PassError::Manifest)? else { return Ok(Next::Asleep) };
    if let Some(next) = Box::pin(delete(key, &manifest, context, settings)).await? {
        return Ok(next);
    }
    match Box::pin(look(&manifest, &context.eyes.live(), settings, None)).await {
        Ok(look) => Box::pin(finish(&manifest, look, context, settings)).await,
        Err(problems) => refuse(&problems, &manifest, context).await,
    }
}

/// What should exist, what was seen, and what follows.
struct Look {
    intent: Intent,
    sight: Sight,
    plan: Plan,
}

async fn look(
    manifest: &Value,
    eyes: &Eyes,
    settings: &Settings,
    patroni: Option<Seen<PatroniSeen>>,
) -> Result<Look, Vec<Problem>> {
    let cluster = Cluster::validate(manifest, settings)?;
    let intent = eyes.intent(&cluster, settings).await;
    drop(cluster);
    let sight = eyes.observe(manifest, &intent, settings, patroni).await;
    let plan = plan_cluster(&intent, &sight.observation);
    Ok(Look { intent, sight, plan })
}

/// Acts, if there is something to do, and reports what changed.
async fn finish(
    manifest: &Value,
    look: Look,
    context: &Context,
    settings: &Settings,
) -> Result<Next, PassError> {
    let Look { intent, sight, plan } = look;
    let report = Report::new(context, manifest);
    report.announce(&plan).await;
    report.notices(&intent.notices).await;
    let seen = &sight.observation;
    let work = Workpiece { intent: &intent, settings, seen, addresses: &sight.addresses };
    let outcomes = context.hands.act(&plan, &work).await;
    let result = PassResult { intent: &intent, seen, plan: &plan, outcomes: &outcomes };
    let now = Timestamp::now();
    let failures = result.failures();
    let mut after = status::status(&result, report.status_before(), now);
    sync_now::echo(&mut after, report.status_before(), manifest, failures.is_empty(), now);
    report.conclude(&outcomes, &after).await?;
    context.metrics.count_pass(&outcomes, &after, &intent.identity.namespace, &intent.identity.name);
    match failures.into_iter().next() {
        Some(failure) => Err(PassError::Steps(failure)),
        None => Ok(next_look(&plan, seen, &after.postgres_cluster_status, settings.resync_period)),
    }
}

fn is_going(manifest: &Value) -> bool {
    !manifest["metadata"]["deletionTimestamp"].is_null()
}

/// Removal of a cluster whose manifest is being deleted; `None` when it is not, or not yet allowed.
/// A manifest that is refused is deleted like any other: only names and labels are needed.
async fn delete(
    key: &Key,
    manifest: &Value,
    context: &Context,
    settings: &Settings,
) -> Result<Option<Next>, PassError> {
    if !is_going(manifest) {
        return Ok(None);
    }
    let report = Report::new(context, manifest);
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    if let Some(why) = missing_for_deletion(settings, &manifest["metadata"]["annotations"], &key.name, today)
    {
        report.deletion_waits(&why).await;
        return Ok(None);
    }
    if !has_finalizer(manifest) && settings.enable_finalizers != Some(false) {
        return Ok(Some(Next::Asleep));
    }
    remove(key, manifest, context, settings, &report).await.map(Some)
}

/// A manifest that is gone although it had no finalizer: its deletion was seen, so the cluster goes,
/// where the settings want it so.
async fn farewell(key: &Key, context: &Context, settings: &Settings) -> Result<Next, PassError> {
    let Some(manifest) = context.queue.farewells.of(key) else { return Ok(Next::Asleep) };
    let report = Report::new(context, &manifest);
    let ours = controller_id::is_ours(&manifest, &context.controller_id);
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let annotations = &manifest["metadata"]["annotations"];
    let protected = missing_for_deletion(settings, annotations, &key.name, today);
    let wanted = ours && settings.enable_finalizers == Some(false) && protected.is_none();
    let next = if wanted {
        let live = context.reads.live().get("postgresql", &key.namespace, &key.name).await;
        match live.map_err(PassError::Manifest)? {
            Some(_) => Next::Again,
            None => remove(key, &manifest, context, settings, &report).await?,
        }
    } else {
        Next::Asleep
    };
    if matches!(next, Next::Asleep) {
        context.queue.farewells.forget(key);
        context.queue.forget(key.clone());
    }
    Ok(next)
}

/// Removes a cluster, as far as it goes now; asleep when nothing is left to do.
async fn remove(
    key: &Key,
    manifest: &Value,
    context: &Context,
    settings: &Settings,
    report: &Report<'_>,
) -> Result<Next, PassError> {
    // An edit may have made the spec unacceptable: deletion needs names and labels only.
    let (cluster, _) = Cluster::read(manifest, settings);
    let intent = render(&cluster, settings);
    let sight = context.eyes.live().observe_all(manifest, &intent, settings).await;
    let plan = plan_deletion(&intent, settings, &sight.observation);
    report.announce_deletion(&plan).await;
    let work = Workpiece { intent: &intent, settings, seen: &sight.observation, addresses: &sight.addresses };
    let outcomes = context.hands.act(&plan, &work).await;
    let generation = manifest["metadata"]["generation"].as_i64().unwrap_or_default();
    let after = status::deleting(&plan, &outcomes, generation, report.status_before(), Timestamp::now());
    report.conclude(&outcomes, &after).await?;
    context.metrics.forget(&key.namespace, &key.name);
    if plan.is_settled() {
        return Ok(Next::Asleep);
    }
    // What ends a pause is a change of the manifest, which wakes the cluster.
    let seconds = if plan.paused { 300 } else { plan.look_again_seconds().unwrap_or(1).max(1) };
    Ok(Next::Waiting(Duration::from_secs(u64::from(seconds))))
}

/// A manifest that is refused: said once, with all problems. A running cluster is left as
/// it is. An edit, or changed settings, wake it at once.
async fn refuse(problems: &[Problem], manifest: &Value, context: &Context) -> Result<Next, PassError> {
    let report = Report::new(context, manifest);
    let before = report.status_before();
    let created = !matches!(before.postgres_cluster_status.as_str(), "" | "CreateFailed" | "Invalid");
    let word = matriarch_cluster::status_word_for_problems(problems, created);
    let generation = manifest["metadata"]["generation"].as_i64().unwrap_or_default();
    let now = Timestamp::now();
    let mut after = status::refused(problems, word, generation, before, now);
    // A refused manifest was looked at completely, too.
    sync_now::echo(&mut after, before, manifest, true, now);
    report.refuse(problems, &after).await?;
    let text = |field: &str| manifest["metadata"][field].as_str().unwrap_or_default();
    context.metrics.count_refusal(text("namespace"), text("name"));
    Ok(Next::Unwell)
}
