//! Follows the settings while the operator runs. A change is read, judged, and what it does is
//! told; only then it is put in force and every cluster looked at. A bad one is refused and told,
//! and the last good one stays.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::events::EventType;
use matriarch_api::Problem;
use matriarch_cluster::Cluster;
use matriarch_plan::scheduler::Key;
use matriarch_plan::{ChangePreview, Twins};
use matriarch_settings::Settings;
use tracing::{info, warn};

use crate::controller::Context;
use crate::controller_id;
use crate::events::Events;
use crate::plain::plain;
use crate::report;
use crate::settings_source::{Fetched, Origin, SettingsSource, condition, now};

/// How often the settings are read.
const READ_EVERY: Duration = Duration::from_secs(5);

/// Reads the settings until they can be used: with bad ones the operator does nothing but say so.
pub async fn first(source: &SettingsSource, events: &Events) {
    loop {
        match source.fetch().await {
            Ok(fetched) if fetched.reading.problems.is_empty() => {
                accept_first(source, &fetched).await;
                return;
            }
            Ok(fetched) => refuse(source, events, &fetched).await,
            Err(why) => refuse_unread(source, events, why).await,
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

async fn accept_first(source: &SettingsSource, fetched: &Fetched) {
    let warnings = lines(&fetched.reading.warnings);
    for warning in &warnings {
        warn!("{}: {warning}", source.origin);
    }
    source.replace(fetched.reading.settings.clone());
    source.tell(|standing| {
        standing.state = "in force";
        standing.refused.clear();
        standing.warnings.clone_from(&warnings);
    });
    say_valid(source, fetched, &warnings, None).await;
}

/// Follows them for ever.
pub async fn follow(context: Arc<Context>) {
    let source = &context.settings;
    if source.origin == Origin::Defaults {
        return;
    }
    loop {
        tokio::time::sleep(READ_EVERY).await;
        match source.fetch().await {
            Err(why) => refuse_unread(source, &context.recorder, why).await,
            Ok(fetched) if !fetched.reading.problems.is_empty() => {
                refuse(source, &context.recorder, &fetched).await;
            }
            Ok(fetched) if fetched.reading.settings == *source.current() => unchanged(source, &fetched).await,
            Ok(fetched) => change(&context, &fetched).await,
        }
    }
}

/// Good settings that are in force already; they may stand there again after a bad value.
async fn unchanged(source: &SettingsSource, fetched: &Fetched) {
    let before = source.standing();
    let warnings = lines(&fetched.reading.warnings);
    if before.refused.is_empty() && before.warnings == warnings {
        return;
    }
    if !before.refused.is_empty() {
        info!("{} is in order again", source.origin);
    }
    source.tell(|standing| {
        standing.refused.clear();
        standing.warnings.clone_from(&warnings);
    });
    say_valid(source, fetched, &warnings, None).await;
}

/// What changes and what it does is told first; then it is put in force.
async fn change(context: &Context, fetched: &Fetched) {
    let source = &context.settings;
    let (before, after) = (source.current(), &fetched.reading.settings);
    let preview = preview(context, &before, after).await;
    let breaking = ChangePreview::breaking(&before, after);
    let summary = preview.summary();
    let warnings = lines(&fetched.reading.warnings);
    source.tell(|standing| {
        standing.state = "about to be put in force";
        standing.change = Some(preview.clone());
        standing.changed_at = now();
        standing.refused.clear();
        standing.warnings.clone_from(&warnings);
    });
    info!("{} changed: {summary}", source.origin);
    let events = &context.recorder;
    report::publish(events, &fetched.regarding, EventType::Normal, "SettingsChanged", &summary).await;
    if !breaking.is_empty() {
        let note = format!(
            "{} must not change while clusters run: their objects are no longer found; change it back",
            breaking.join(", ")
        );
        warn!("{}: {note}", source.origin);
        report::publish(events, &fetched.regarding, EventType::Warning, "SettingsBreak", &note).await;
    }
    for roll in &preview.rolls {
        let note = format!(
            "the settings changed; its {} pods roll because of {}",
            roll.pods,
            roll.because.join("; ")
        );
        let (namespace, name) = roll.cluster.split_once('/').unwrap_or_default();
        if let Some(manifest) = context.reads.manifest(&Key::new(namespace, name)) {
            let cluster = report::regarding(&manifest);
            report::publish(events, &cluster, EventType::Normal, "SettingsChanged", &note).await;
        }
    }
    say_valid(source, fetched, &warnings, Some(&summary)).await;
    source.replace(after.clone());
    source.tell(|standing| standing.state = "in force");
    context.settings_changed(&before, after);
}

/// What the change does to every cluster of ours, one after the other: what they are now and then is
/// rendered from what the caches know.
async fn preview(context: &Context, before: &Settings, after: &Settings) -> ChangePreview {
    let mut preview = ChangePreview::without_clusters(before, after);
    for key in context.clusters() {
        let Some(manifest) = context.reads.manifest(&key) else { continue };
        let is_going = !manifest["metadata"]["deletionTimestamp"].is_null();
        if is_going || !controller_id::is_ours(&manifest, &context.controller_id) {
            continue;
        }
        let old = match Cluster::validate(&manifest, before) {
            Ok(cluster) => Some(context.eyes.intent(&cluster, before).await),
            Err(_) => None,
        };
        let new = match Cluster::validate(&manifest, after) {
            Ok(cluster) => Ok(context.eyes.intent(&cluster, after).await),
            Err(problems) => Err(problems),
        };
        preview.add(&Twins { cluster: key.to_string(), before: old, after: new });
    }
    preview
}

/// Says that the settings hold, and what their last change does.
async fn say_valid(source: &SettingsSource, fetched: &Fetched, warnings: &[String], summary: Option<&str>) {
    let message =
        if warnings.is_empty() { "all options are in order".to_owned() } else { warnings.join("; ") };
    let mut conditions = vec![condition("Valid", true, "Accepted", message)];
    conditions.extend(summary.map(|text| condition("Previewed", true, "SettingsChanged", text.to_owned())));
    if let Err(error) = source.write_conditions(fetched, conditions).await {
        warn!("the conditions of {} cannot be written: {}", source.origin, plain(&error));
    }
}

async fn refuse(source: &SettingsSource, events: &Events, fetched: &Fetched) {
    let problems = lines(&fetched.reading.problems);
    if !is_new(source, &problems) {
        return;
    }
    let note = format!("refused, the last good settings stay in force: {}", problems.join("; "));
    warn!("{} is {note}", source.origin);
    report::publish(events, &fetched.regarding, EventType::Warning, "SettingsRefused", &note).await;
    let conditions = vec![condition("Valid", false, "Refused", note)];
    if let Err(error) = source.write_conditions(fetched, conditions).await {
        warn!("the conditions of {} cannot be written: {}", source.origin, plain(&error));
    }
}

async fn refuse_unread(source: &SettingsSource, events: &Events, why: String) {
    if is_new(source, std::slice::from_ref(&why)) {
        warn!("{why}; the last good settings stay in force");
        report::publish(events, &source.regarding(), EventType::Warning, "SettingsRefused", &why).await;
    }
}

/// Notes the refusal; false when it was said already.
fn is_new(source: &SettingsSource, problems: &[String]) -> bool {
    let known = source.standing().refused == problems;
    source.tell(|standing| {
        standing.state = "refused";
        standing.refused = problems.to_vec();
    });
    !known
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}
