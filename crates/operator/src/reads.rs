//! Reads of objects: from the caches where they can tell, otherwise from the API server.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use kube::core::{PartialObjectMeta, Status};
use kube::{Api, Client};
use matriarch_plan::scheduler::Key;
use matriarch_settings::Settings;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::cache::{self, Answer, Caches};
use crate::kinds;
use crate::namespaces::Namespaces;
use crate::recent::Recent;

/// A read or a list that takes longer has failed.
const LONGEST_READ: Duration = Duration::from_secs(15);
/// Reads at the same time: each takes a connection of its own, and those cost memory here and at the
/// API server.
const READS: usize = 32;

/// Where the caches are; others take their place when the settings give the watches another shape.
pub type Slot = Arc<RwLock<Arc<Caches>>>;

/// Kind, namespace and name.
type Place = (String, String, String);

/// Reads objects; cheap to clone. Secrets come as projections, see [`cache::project_secret`].
#[derive(Clone)]
pub struct Reads {
    client: Client,
    caches: Option<Slot>,
    /// Objects as they were read by name.
    memory: Arc<Recent<Place, Option<Value>>>,
    is_live: bool,
    places_to_read: Arc<Semaphore>,
    /// `WATCHED_NAMESPACE` and the operator's own namespace.
    places: (String, String),
}

impl Reads {
    /// Reads without caches.
    pub fn direct(client: Client) -> Self {
        let places = (String::new(), client.default_namespace().to_owned());
        let places_to_read = Arc::new(Semaphore::new(READS));
        Self { client, caches: None, memory: Arc::default(), is_live: true, places_to_read, places }
    }

    /// Reads with caches, of an operator with this `WATCHED_NAMESPACE` and namespace of its own.
    pub fn cached(client: Client, caches: Slot, places: (String, String)) -> Self {
        let places_to_read = Arc::new(Semaphore::new(READS));
        let caches = Some(caches);
        Self { client, caches, memory: Arc::default(), is_live: false, places_to_read, places }
    }

    /// The namespaces that are watched.
    pub fn namespaces(&self, settings: &Settings) -> Namespaces {
        Namespaces::of(Some(&self.places.0), &settings.watched_namespace, &self.places.1)
    }

    /// The same, past the caches.
    pub fn live(&self) -> Self {
        Self { is_live: true, ..self.clone() }
    }

    /// Whether they go past the caches.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// The client behind them.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn caches(&self) -> Option<Arc<Caches>> {
        let slot = self.caches.as_ref().filter(|_| !self.is_live)?;
        Some(Arc::clone(&slot.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The object of this name, if it exists.
    ///
    /// # Errors
    /// When the API server does not answer, or refuses.
    pub async fn get(&self, kind: &str, namespace: &str, name: &str) -> kube::Result<Option<Value>> {
        if let Some(caches) = self.caches() {
            match caches.store(kind).map(|store| store.get(namespace, name)) {
                Some(Answer::Is(Some(object))) => return Ok(Some(object)),
                // Perhaps it is there without the cluster's label.
                Some(Answer::Is(None)) => return Ok(self.recall(kind, namespace, name).flatten()),
                // Not watched because nobody may: read as often as it is asked for.
                Some(Answer::Silent) => {}
                None if kinds::is_shared(kind) => {
                    if let Some(known) = self.recall(kind, namespace, name) {
                        return Ok(known);
                    }
                }
                None => {}
            }
        }
        let found = self.fetch(kind, namespace, name).await?;
        self.remember(kind, namespace, name, found.as_ref());
        Ok(found)
    }

    /// An object that belongs to no cluster, with its content: what manifests and settings refer to.
    /// It may be a little older than now, except for live reads.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn named(&self, kind: &str, namespace: &str, name: &str) -> kube::Result<Option<Value>> {
        let kind_named = format!("named {kind}");
        if !self.is_live
            && let Some(known) = self.recall(&kind_named, namespace, name)
        {
            return Ok(known);
        }
        let found = self.in_time(kinds::namespaced(&self.client, kind, namespace).get_opt(name)).await?;
        let found = found.map(serde_json::to_value).transpose().map_err(kube::Error::SerdeError)?;
        let found = found.map(|object| shaped(kind, object));
        self.keep(&kind_named, namespace, name, found.as_ref());
        Ok(found)
    }

    /// A Secret that may belong to a cluster, or to none.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn secret(&self, namespace: &str, name: &str) -> kube::Result<Option<Value>> {
        match self.get("Secret", namespace, name).await? {
            None if !self.is_live => self.named("Secret", namespace, name).await,
            found => Ok(found),
        }
    }

    async fn fetch(&self, kind: &str, namespace: &str, name: &str) -> kube::Result<Option<Value>> {
        let resource = kinds::resource(kind);
        let found = if kind == "ConfigMap" {
            let api: Api<PartialObjectMeta<DynamicObject>> =
                Api::namespaced_with(self.client.clone(), namespace, &resource);
            self.in_time(api.get_opt(name)).await?.map(|object| json!({ "metadata": object.metadata }))
        } else {
            let found = self.in_time(kinds::namespaced(&self.client, kind, namespace).get_opt(name)).await?;
            found.map(serde_json::to_value).transpose().map_err(kube::Error::SerdeError)?
        };
        Ok(found.map(|object| shaped(kind, object)))
    }

    /// Every object of the cluster that carries these labels.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list(
        &self,
        kind: &str,
        cluster: &Key,
        labels: &BTreeMap<String, String>,
    ) -> kube::Result<Vec<Value>> {
        let caches = self.caches();
        let store = caches.as_ref().and_then(|caches| caches.store(kind));
        if store.is_some_and(|store| store.is_not_installed()) {
            let absent = Status::failure("the kind is not installed", "NotFound").with_code(404);
            return Err(kube::Error::Api(Box::new(absent)));
        }
        if let Some(Answer::Is(objects)) = store.map(|store| store.list(cluster)) {
            let carries = |object: &Value| {
                labels.iter().all(|(label, value)| object["metadata"]["labels"][label] == *value)
            };
            return Ok(objects.into_iter().filter(carries).collect());
        }
        let selector: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let parameters = ListParams::default().labels(&selector.join(","));
        let api = kinds::namespaced(&self.client, kind, &cluster.namespace);
        let listed = self.in_time(api.list(&parameters)).await?;
        let objects = listed.items.into_iter().map(serde_json::to_value);
        let objects: Result<Vec<Value>, _> = objects.collect();
        let objects = objects.map_err(kube::Error::SerdeError)?;
        Ok(objects.into_iter().map(|object| shaped(kind, object)).collect())
    }

    /// The cluster's manifest, as it stands in the cache.
    pub fn manifest(&self, key: &Key) -> Option<Value> {
        let slot = self.caches.as_ref()?;
        let caches = Arc::clone(&slot.read().unwrap_or_else(PoisonError::into_inner));
        // However the watch fares: a pass that acts reads it anew.
        caches.manifests()?.last_known(&key.namespace, &key.name)
    }

    async fn in_time<T>(&self, read: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        let read = async {
            let _place = self.places_to_read.acquire().await;
            read.await
        };
        match tokio::time::timeout(LONGEST_READ, read).await {
            Ok(answer) => answer,
            Err(_) => {
                let seconds = LONGEST_READ.as_secs();
                Err(kube::Error::Service(format!("no answer from the API server within {seconds} s").into()))
            }
        }
    }

    fn recall(&self, kind: &str, namespace: &str, name: &str) -> Option<Option<Value>> {
        self.memory.get(&place(kind, namespace, name))
    }

    /// Drops what is remembered of an object that was written: it is another now.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        self.memory.forget(&place(kind, namespace, name));
    }

    /// Keeps what the caches would not tell: objects without a cluster's label, and shared ones.
    fn remember(&self, kind: &str, namespace: &str, name: &str, found: Option<&Value>) {
        let Some(slot) = &self.caches else { return };
        let caches = Arc::clone(&slot.read().unwrap_or_else(PoisonError::into_inner));
        let is_stranger = match (caches.store(kind), found) {
            (None, _) => kinds::is_shared(kind),
            (Some(store), Some(object)) => {
                matches!(store.get(namespace, name), Answer::Is(None)) && !store.would_hold(object)
            }
            (Some(_), None) => false,
        };
        if is_stranger {
            return self.keep(kind, namespace, name, found);
        }
        self.memory.forget(&place(kind, namespace, name));
    }

    fn keep(&self, kind: &str, namespace: &str, name: &str, found: Option<&Value>) {
        if self.caches.is_some() {
            self.memory.keep(place(kind, namespace, name), found.cloned());
        }
    }
}

fn place(kind: &str, namespace: &str, name: &str) -> Place {
    (kind.to_owned(), namespace.to_owned(), name.to_owned())
}

/// An object in the form that the caches give: a list names the kind only once.
fn shaped(kind: &str, mut object: Value) -> Value {
    let resource = kinds::resource(kind);
    object["apiVersion"] = json!(resource.api_version);
    object["kind"] = json!(resource.kind);
    if kind == "Secret" {
        cache::project_secret(&mut object);
    }
    object
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::{Request, Response};
    use kube::client::Body;

    use super::*;
    use crate::cache::Store;

    /// A client of an API server that knows these objects, by the end of their paths; and how often
    /// it was asked.
    fn server(objects: &'static [(&'static str, &'static str)]) -> (Client, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            count.fetch_add(1, Ordering::Relaxed);
            let path = request.uri().path().to_owned();
            let found = objects.iter().find(|(end, _)| path.ends_with(end));
            let missing = r#"{"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}"#;
            let (code, body) = found.map_or((404, missing), |(_, body)| (200, *body));
            let mut answer = Response::new(Body::from(body.as_bytes().to_vec()));
            *answer.status_mut() = axum::http::StatusCode::from_u16(code).expect("a status");
            async move { Ok::<_, Infallible>(answer) }
        });
        (Client::new(service, "own"), asked)
    }

    fn reads(client: Client, kinds: &[&'static str]) -> (Reads, Vec<Arc<Store>>) {
        let stores: Vec<Arc<Store>> =
            kinds.iter().map(|kind| Arc::new(Store::listed(kind, "cluster-name"))).collect();
        let caches = Arc::new(RwLock::new(Arc::new(Caches::of(&stores))));
        (Reads::cached(client, caches, (String::new(), "own".to_owned())), stores)
    }

    const SERVICE: &str = r#"{"kind": "Service", "apiVersion": "v1", "metadata": {"name": "acid-a",
        "namespace": "demo", "resourceVersion": "7", "labels": {"cluster-name": "acid-a"}}}"#;
    const FOREIGN: &str = r#"{"kind": "Service", "apiVersion": "v1", "metadata": {"name": "acid-b",
        "namespace": "demo", "resourceVersion": "8"}}"#;
    const ACCOUNT: &str = r#"{"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {
        "name": "postgres-pod", "namespace": "demo", "resourceVersion": "9"}}"#;

    #[tokio::test]
    async fn what_is_cached_costs_no_request() {
        let (client, asked) = server(&[]);
        let (reads, stores) = reads(client, &["Service", "Pod"]);
        stores[0].put("acid-a", serde_json::from_str::<cache::Compact<cache::Whole>>(SERVICE).expect("JSON"));
        let found = reads.get("Service", "demo", "acid-a").await.expect("an answer").expect("a Service");
        assert_eq!((&found["kind"], &found["metadata"]["resourceVersion"]), (&json!("Service"), &json!("7")));
        assert_eq!(reads.get("Service", "demo", "acid-b").await.expect("an answer"), None);
        let key = Key::new("demo", "acid-a");
        let labels = [("cluster-name".to_owned(), "acid-a".to_owned())].into();
        assert_eq!(reads.list("Service", &key, &labels).await.expect("an answer").len(), 1);
        let other = [("application".to_owned(), "spilo".to_owned())].into();
        assert_eq!(reads.list("Service", &key, &other).await.expect("an answer").len(), 0);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_object_without_the_label_is_known_after_a_live_look() {
        let (client, asked) = server(&[("/services/acid-b", FOREIGN), ("/services/acid-a", SERVICE)]);
        let (reads, _) = reads(client, &["Service"]);
        let known = async |name| reads.get("Service", "demo", name).await.expect("an answer").is_some();
        assert!(!known("acid-b").await);
        let live = reads.live();
        assert!(live.get("Service", "demo", "acid-b").await.expect("an answer").is_some());
        assert!(known("acid-b").await, "it is remembered");
        // One that carries the label is only not there yet: the watch will tell of it.
        assert!(live.get("Service", "demo", "acid-a").await.expect("an answer").is_some());
        assert!(!known("acid-a").await);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_serves_a_whole_namespace_is_read_once_and_what_is_not_watched_each_time() {
        let (client, asked) =
            server(&[("/serviceaccounts/postgres-pod", ACCOUNT), ("/services/acid-a", SERVICE)]);
        let (reads, _) = reads(client, &[]);
        for _ in 0..3 {
            let account = reads.get("ServiceAccount", "demo", "postgres-pod").await.expect("an answer");
            assert!(account.is_some());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for _ in 0..3 {
            assert!(reads.get("Service", "demo", "acid-a").await.expect("an answer").is_some());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}
