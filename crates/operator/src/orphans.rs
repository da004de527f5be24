//! Clusters without a manifest. Deletion is never inferred: they are reported and left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::runtime::events::EventType;
use matriarch_settings::Settings;
use tracing::{error, warn};

use crate::controller::Context;
use crate::{kinds, report};

/// Between two searches.
const SEARCH_EVERY: Duration = Duration::from_secs(300);

/// How often it is looked whether this process leads.
const LOOK_WHO_LEADS: Duration = Duration::from_secs(5);

/// Searches at start and every few minutes.
pub async fn watch(context: Arc<Context>) {
    let mut known = BTreeSet::new();
    loop {
        if !context.may_act() {
            tokio::time::sleep(LOOK_WHO_LEADS).await;
            continue;
        }
        match search(&context).await {
            Ok(orphans) => {
                context.metrics.set_orphans(orphans.len());
                for orphan in &orphans {
                    tell(&context, orphan, !known.contains(orphan)).await;
                }
                known = orphans;
            }
            Err(error) => error!("orphans cannot be searched: {error}"),
        }
        tokio::time::sleep(SEARCH_EVERY).await;
    }
}

/// Namespace, name and uid of every StatefulSet of ours whose manifest does not exist.
async fn search(context: &Context) -> kube::Result<BTreeSet<(String, String, String)>> {
    let settings = context.settings.current();
    let mut found = BTreeSet::new();
    for namespace in context.namespaces().each() {
        found.extend(search_in(context, &settings, namespace).await?);
    }
    Ok(found)
}

async fn search_in(
    context: &Context,
    settings: &Settings,
    namespace: Option<&str>,
) -> kube::Result<BTreeSet<(String, String, String)>> {
    let labels = settings.cluster_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let ours = labels.chain([settings.cluster_name_label.clone()]).collect::<Vec<_>>().join(",");
    let sets = kinds::watched(&context.client, "StatefulSet", namespace)
        .list(&ListParams::default().labels(&ours))
        .await?;
    // Manifests are read after the sets: one that was made in between is not missed.
    let manifests =
        kinds::watched(&context.client, "postgresql", namespace).list(&ListParams::default()).await?;
    let owners: BTreeSet<(String, String)> = manifests
        .iter()
        .map(|manifest| (manifest.namespace().unwrap_or_default(), manifest.name_any()))
        .collect();
    Ok(sets
        .iter()
        .filter(|set| set.metadata.deletion_timestamp.is_none())
        .map(|set| (set.namespace().unwrap_or_default(), set.name_any(), set.uid().unwrap_or_default()))
        .filter(|(namespace, name, _)| !owners.contains(&(namespace.clone(), name.clone())))
        .collect())
}

async fn tell(context: &Context, orphan: &(String, String, String), is_new: bool) {
    let (namespace, name, uid) = orphan;
    let note = format!(
        "no postgresql manifest named {name} exists in namespace {namespace}: the cluster is left as \
         it is; create the manifest again to have it looked after, or remove it: `matriarch remove-orphan --namespace \
         {namespace} {name}`"
    );
    if is_new {
        warn!("orphaned cluster {namespace}/{name}: {note}");
    }
    let regarding = ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("StatefulSet".to_owned()),
        name: Some(name.clone()),
        namespace: Some(namespace.clone()),
        uid: Some(uid.clone()),
        ..ObjectReference::default()
    };
    report::publish(&context.recorder, &regarding, EventType::Warning, "Orphaned", &note).await;
}
