//! Writes events: in the newer form, or in the older one where only that is allowed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client};
use serde_json::json;

use crate::access::is_missing_right;
use crate::lease::Leadership;

/// Component of the contract's events.
const COMPONENT: &str = "postgres-operator";

/// Where events are written.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    client: Client,
    older_form: Arc<AtomicBool>,
    leadership: Arc<OnceLock<Leadership>>,
}

impl Events {
    /// Events through `recorder`, as long as that is allowed.
    pub fn new(client: Client, recorder: Recorder) -> Self {
        Self { recorder, client, older_form: Arc::default(), leadership: Arc::default() }
    }

    /// From now on only the replica that leads is heard.
    pub fn quiet_unless(&self, leadership: &Leadership) {
        let _ = self.leadership.set(leadership.clone());
    }

    /// Writes one event.
    ///
    /// # Errors
    /// When neither form can be written.
    pub async fn publish(&self, event: &Event, regarding: &ObjectReference) -> kube::Result<()> {
        if self.leadership.get().is_some_and(|leadership| !leadership.holds()) {
            return Ok(());
        }
        if !self.older_form.load(Ordering::Relaxed) {
            match self.recorder.publish(event, regarding).await {
                Err(error) if is_missing_right(&error) => {
                    self.older_form.store(true, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        self.publish_older(event, regarding).await
    }

    /// The same event again only counts on.
    async fn publish_older(&self, event: &Event, regarding: &ObjectReference) -> kube::Result<()> {
        let namespace = regarding.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or("default");
        let api: Api<CoreEvent> = Api::namespaced(self.client.clone(), namespace);
        let new = core_event(event, regarding, namespace);
        let name = new.metadata.name.clone().unwrap_or_default();
        match api.create(&PostParams::default(), &new).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let count = api.get(&name).await?.count.unwrap_or(1).saturating_add(1);
                let again = json!({"count": count, "lastTimestamp": new.last_timestamp});
                api.patch(&name, &PatchParams::default(), &Patch::Merge(&again)).await.map(|_| ())
            }
            result => result.map(|_| ()),
        }
    }
}

fn core_event(event: &Event, regarding: &ObjectReference, namespace: &str) -> CoreEvent {
    let now = Some(Time(jiff::Timestamp::now()));
    let mut hasher = DefaultHasher::new();
    (&event.reason, &event.note, &regarding.uid).hash(&mut hasher);
    let subject = regarding.name.as_deref().unwrap_or("unnamed");
    CoreEvent {
        metadata: kube::core::ObjectMeta {
            name: Some(format!("{subject}.{:016x}", hasher.finish())),
            namespace: Some(namespace.to_owned()),
            ..kube::core::ObjectMeta::default()
        },
        involved_object: regarding.clone(),
        type_: Some(match event.type_ {
            EventType::Normal => "Normal".to_owned(),
            EventType::Warning => "Warning".to_owned(),
        }),
        reason: Some(event.reason.clone()),
        message: event.note.clone(),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        first_timestamp: now.clone(),
        last_timestamp: now,
        count: Some(1),
        ..CoreEvent::default()
    }
}
