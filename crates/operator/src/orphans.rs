//! Clusters without a manifest. Deletion is never inferred: they are reported and left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DynamicObject, ListParams};
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt};
use matriarch_settings::Settings;
use tracing::{error, warn};

use crate::controller::Context;
use crate::plain::plain;
use crate::{kinds, report};

/// Between two searches.
const SEARCH_EVERY: Duration = Duration::from_secs(300);

/// Objects of one page.
const PAGE: u32 = 100;

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
            Err(error) => error!("orphans cannot be searched: {}", plain(&error)),
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
    let sets = kinds::watched(&context.client, "StatefulSet", namespace);
    let mut sets = standing_and_going(&sets, ListParams::default().labels(&ours)).await?;
    // Manifests are read after the sets: one that was made in between is not missed.
    let manifests = kinds::watched(&context.client, "postgresql", namespace);
    for owner in standing_and_going(&manifests, ListParams::default()).await?.into_keys() {
        sets.remove(&owner);
    }
    let standing = sets.into_iter().filter(|(_, (_, goes))| !goes);
    Ok(standing.map(|((namespace, name), (uid, _))| (namespace, name, uid)).collect())
}

/// By namespace and name: the uid, and whether it is being deleted.
type Found = BTreeMap<(String, String), (String, bool)>;

/// All objects of a kind. Only metadata is read, a page at a time: whole objects of a thousand
/// clusters would take more memory than all else together.
async fn standing_and_going(api: &Api<DynamicObject>, params: ListParams) -> kube::Result<Found> {
    let mut params = params.limit(PAGE);
    let mut found = Found::new();
    loop {
        let page = api.list_metadata(&params).await?;
        found.extend(page.items.iter().map(|object| {
            let place = (object.namespace().unwrap_or_default(), object.name_any());
            (place, (object.uid().unwrap_or_default(), object.metadata.deletion_timestamp.is_some()))
        }));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::{Request, Response};
    use kube::Client;
    use kube::client::Body;

    use super::*;

    /// The search took more memory than all clusters together: whole objects, all in one answer.
    #[tokio::test]
    async fn a_search_reads_metadata_a_page_at_a_time() {
        let service = tower::service_fn(|request: Request<Body>| {
            let accepts = request.headers()["accept"].to_str().expect("a header").to_owned();
            assert!(accepts.contains("PartialObjectMetadataList"), "{accepts}");
            let query = request.uri().query().unwrap_or_default().to_owned();
            assert!(query.contains("limit=100"), "{query}");
            let (name, next) =
                if query.contains("continue=more") { ("acid-b", "") } else { ("acid-a", "more") };
            let body = serde_json::json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": {"continue": next},
                "items": [{"metadata": {"name": name, "namespace": "demo", "uid": name}}],
            });
            async move { Ok::<_, Infallible>(Response::new(Body::from(body.to_string().into_bytes()))) }
        });
        let client = Client::new(service, "own");
        let sets = kinds::watched(&client, "StatefulSet", None);
        let found = standing_and_going(&sets, ListParams::default()).await.expect("an answer");
        let names: Vec<&str> = found.keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["acid-a", "acid-b"]);
    }
}
