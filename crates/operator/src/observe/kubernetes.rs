//! Objects, Secrets, pods, claims and Patroni's own objects.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Event, Pod, PodStatus, Secret};
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use matriarch_cluster::{Intent, PasswordSource, names};
use matriarch_plan::{
    ClaimSeen, ContainerEnd, ObjectKey, ObjectSeen, PatroniObject, PodSeen, SecretSeen, Seen,
};
use matriarch_settings::Settings;
use serde_json::Value;

use super::passwords;
use crate::kinds;

/// The StatefulSet controller repeats itself at least every so many seconds; older words are of
/// another time.
const REFUSAL_COUNTS_SECONDS: i64 = 1200;

/// Seen from a read of one object by name.
fn seen<T>(answer: kube::Result<Option<T>>) -> Seen<T> {
    match answer {
        Ok(Some(object)) => Seen::Present(object),
        Ok(None) => Seen::Absent,
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

/// The live objects that the intent names, credentials and streams aside, and those that should
/// not be there any more.
pub async fn objects(client: &Client, intent: &Intent) -> BTreeMap<ObjectKey, Seen<ObjectSeen>> {
    let credentials: BTreeSet<&str> =
        intent.secrets.iter().map(|secret| secret.object.name.as_str()).collect();
    let rendered = intent
        .objects()
        .filter(|object| object.kind != "Secret" || !credentials.contains(object.name.as_str()))
        .filter(|object| object.kind != "FabricEventStream")
        .map(|object| ObjectKey::new(&object.kind, &object.name));
    let unwanted = intent.unwanted.iter().map(|unwanted| ObjectKey::new(&unwanted.kind, &unwanted.name));
    let namespace = intent.identity.namespace.as_str();
    let reads = rendered.chain(unwanted).map(|key| one(client, namespace, key));
    join_all(reads).await.into_iter().collect()
}

async fn one(client: &Client, namespace: &str, key: ObjectKey) -> (ObjectKey, Seen<ObjectSeen>) {
    let api = kinds::namespaced(client, &key.kind, namespace);
    let found = match seen(api.get_opt(&key.name).await) {
        Seen::Present(live) => whole(&live),
        Seen::Absent => Seen::Absent,
        Seen::Unknown(why) => Seen::Unknown(why),
    };
    (key, found)
}

/// FabricEventStreams with the cluster's labels; absent when the kind is not installed.
pub async fn streams(client: &Client, intent: &Intent) -> Seen<Vec<ObjectSeen>> {
    let api = kinds::namespaced(client, "FabricEventStream", &intent.identity.namespace);
    match api.list(&selector(intent)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Seen::Absent,
        Err(error) => Seen::Unknown(error.to_string()),
        Ok(list) => {
            Seen::Present(list.items.iter().filter_map(|live| whole(live).present().cloned()).collect())
        }
    }
}

fn whole(live: &DynamicObject) -> Seen<ObjectSeen> {
    let uid = live.uid().unwrap_or_default();
    match serde_json::to_value(live) {
        Ok(mut body) => {
            // No observation holds a password.
            if live.types.as_ref().is_some_and(|types| types.kind == "Secret")
                && let Some(body) = body.as_object_mut()
            {
                body.remove("data");
            }
            Seen::Present(ObjectSeen { uid, body })
        }
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

/// Credentials Secrets by name, and their passwords apart from them.
pub async fn secrets(
    client: &Client,
    intent: &Intent,
) -> (BTreeMap<String, Seen<SecretSeen>>, BTreeMap<String, String>) {
    let reads = intent.secrets.iter().map(|secret| async move {
        let object = &secret.object;
        let api: Api<Secret> = Api::namespaced(client.clone(), &object.namespace);
        let source = match &secret.password {
            PasswordSource::Generate => None,
            PasswordSource::Copy(key) => passwords::read(client, key).await.ok(),
        };
        (object.name.clone(), seen(api.get_opt(&object.name).await), source)
    });
    let mut found = BTreeMap::new();
    let mut passwords = BTreeMap::new();
    for (name, secret, source) in join_all(reads).await {
        let projected = match secret {
            Seen::Absent => Seen::Absent,
            Seen::Unknown(why) => Seen::Unknown(why),
            Seen::Present(secret) => {
                let password = text(&secret, "password");
                let follows = source.map(|source| password.as_ref() == Some(&source));
                passwords.extend(password.map(|password| (name.clone(), password)));
                Seen::Present(SecretSeen { follows, ..project_secret(&secret) })
            }
        };
        found.insert(name, projected);
    }
    (found, passwords)
}

/// For each pooler's user list: whether its content is what the credentials make of it.
pub async fn user_lists(client: &Client, intent: &Intent) -> BTreeMap<String, Seen<bool>> {
    let reads = intent.poolers.iter().map(|pooler| async move {
        let object = &pooler.user_list;
        let api: Api<Secret> = Api::namespaced(client.clone(), &object.namespace);
        let state = match (seen(api.get_opt(&object.name).await), passwords::user_list(client, pooler).await)
        {
            (Seen::Unknown(why), _) | (_, Err(why)) => Seen::Unknown(why),
            (Seen::Absent, _) => Seen::Absent,
            (Seen::Present(live), Ok(wanted)) => {
                Seen::Present(text(&live, passwords::USER_LIST).as_ref() == Some(&wanted))
            }
        };
        (object.name.clone(), state)
    });
    join_all(reads).await.into_iter().collect()
}

/// Every credentials Secret that carries the cluster's labels.
pub async fn labelled_secrets(client: &Client, intent: &Intent) -> BTreeMap<String, Seen<SecretSeen>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &intent.identity.namespace);
    match api.list(&selector(intent)).await {
        // Said at start: without the right to list them, those of former users are not found.
        Err(kube::Error::Api(status)) if status.is_forbidden() => BTreeMap::new(),
        Err(error) => [("(all)".to_owned(), Seen::Unknown(error.to_string()))].into(),
        Ok(list) => list
            .items
            .iter()
            .map(|secret| (secret.name_any(), Seen::Present(project_secret(secret))))
            .collect(),
    }
}

fn project_secret(secret: &Secret) -> SecretSeen {
    SecretSeen {
        uid: secret.uid().unwrap_or_default(),
        metadata: serde_json::to_value(&secret.metadata).unwrap_or_default(),
        username: text(secret, "username").unwrap_or_default(),
        has_password: text(secret, "password").is_some(),
        follows: None,
    }
}

/// A key of a Secret as text; nothing when it is absent or empty.
pub fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    let text = String::from_utf8(bytes.clone()).ok()?;
    (!text.is_empty()).then_some(text)
}

fn selector(intent: &Intent) -> ListParams {
    let labels = intent.selector.iter().map(|(key, value)| format!("{key}={value}"));
    ListParams::default().labels(&labels.collect::<Vec<_>>().join(","))
}

/// Pods of the StatefulSet, by ordinal.
pub async fn pods(client: &Client, intent: &Intent, settings: &Settings) -> Seen<Vec<PodSeen>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &intent.identity.namespace);
    match api.list(&selector(intent)).await {
        Err(error) => Seen::Unknown(error.to_string()),
        Ok(list) => {
            let prefix = format!("{}-", intent.identity.name);
            let mut pods: Vec<PodSeen> =
                list.items.iter().filter_map(|pod| project(pod, &prefix, &settings.pod_role_label)).collect();
            pods.sort_by_key(|pod| pod.ordinal);
            Seen::Present(pods)
        }
    }
}

fn project(pod: &Pod, prefix: &str, role_label: &str) -> Option<PodSeen> {
    let name = pod.name_any();
    let ordinal = name.strip_prefix(prefix)?.parse().ok()?;
    let status = pod.status.clone().unwrap_or_default();
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    Some(PodSeen {
        ordinal,
        uid: pod.uid().unwrap_or_default(),
        role_label: pod.labels().get(role_label).cloned(),
        ready,
        deleting: pod.metadata.deletion_timestamp.is_some(),
        revision: pod.labels().get("controller-revision-hash").cloned().unwrap_or_default(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        ip: status.pod_ip.clone().filter(|ip| !ip.is_empty()),
        annotations: pod.annotations().clone(),
        age_seconds: age_seconds(pod),
        waiting: (!ready).then(|| waiting(&status)).flatten(),
        ready_since: ready_since(&status),
        restarted: restarted(&status),
        database_runs: database_runs(&status),
        name,
    })
}

/// Since when its condition `Ready` is true.
fn ready_since(status: &PodStatus) -> Option<jiff::Timestamp> {
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")?;
    (ready.status == "True").then_some(())?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

/// The latest end of a container that was started again.
fn restarted(status: &PodStatus) -> Option<ContainerEnd> {
    let ends = status.container_statuses.iter().flatten().filter_map(|container| {
        let end = container.last_state.as_ref()?.terminated.as_ref()?;
        let why = [end.reason.clone(), end.message.clone()];
        let why = why.into_iter().flatten().collect::<Vec<_>>().join(": ");
        Some(ContainerEnd {
            container: container.name.clone(),
            at: end.finished_at.as_ref()?.0,
            why: format!("{why}, exit code {}", end.exit_code).trim_start_matches(", ").to_owned(),
            times: u32::try_from(container.restart_count).unwrap_or(0),
        })
    });
    ends.max_by_key(|end| end.at)
}

fn database_runs(status: &PodStatus) -> bool {
    let mut containers = status.container_statuses.iter().flatten();
    let database = containers.find(|container| container.name == names::POSTGRES_CONTAINER);
    database.and_then(|container| container.state.as_ref()).is_some_and(|state| state.running.is_some())
}

/// The API server's words where the StatefulSet controller could not make a pod: its newest event of
/// that kind. Asked only while a pod is missing.
pub async fn creation_refused(client: &Client, intent: &Intent, pods: &Seen<Vec<PodSeen>>) -> Option<String> {
    let pods = pods.present()?;
    if (0..intent.instances).all(|ordinal| pods.iter().any(|pod| pod.ordinal == ordinal)) {
        return None;
    }
    let fields = format!(
        "involvedObject.kind=StatefulSet,involvedObject.name={},reason=FailedCreate",
        intent.stateful_set.name
    );
    let api: Api<Event> = Api::namespaced(client.clone(), &intent.identity.namespace);
    // Without the right to list events the pod is missing all the same; only the words are.
    let events = api.list(&ListParams::default().fields(&fields)).await.ok()?;
    let recent = |event: &Event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        let last = last.or(event.event_time.as_ref().map(|time| time.0))?;
        let age = jiff::Timestamp::now().duration_since(last).as_secs();
        (age < REFUSAL_COUNTS_SECONDS).then_some(last)
    };
    let newest = events.items.into_iter().filter_map(|event| Some((recent(&event)?, event)));
    newest.max_by_key(|(last, _)| *last)?.1.message
}

fn age_seconds(pod: &Pod) -> u64 {
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let age = created.map(|created| jiff::Timestamp::now().duration_since(created).as_secs());
    age.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0)
}

/// Why a pod does not run: the scheduler's words, else a container's.
fn waiting(status: &PodStatus) -> Option<String> {
    let unschedulable = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unschedulable {
        let words = [condition.reason.clone(), condition.message.clone()];
        return Some(words.into_iter().flatten().collect::<Vec<_>>().join(": "));
    }
    let states =
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    for container in states {
        let state = container.state.as_ref();
        let waiting = state.and_then(|state| state.waiting.as_ref());
        let ended = state
            .and_then(|state| state.terminated.as_ref())
            .or(container.last_state.as_ref().and_then(|state| state.terminated.as_ref()));
        let last_words = ended.and_then(|ended| ended.message.clone());
        if let Some(waiting) = waiting {
            let words = [waiting.reason.clone(), last_words.or_else(|| waiting.message.clone())];
            return Some(words.into_iter().flatten().collect::<Vec<_>>().join(": "));
        }
        if let Some(ended) = state.and_then(|state| state.terminated.as_ref()) {
            let words = [ended.reason.clone(), last_words];
            return Some(words.into_iter().flatten().collect::<Vec<_>>().join(": "));
        }
    }
    None
}

/// Pod templates of the revisions that pods carry and the StatefulSet has left behind.
pub async fn revisions(
    client: &Client,
    intent: &Intent,
    objects: &BTreeMap<ObjectKey, Seen<ObjectSeen>>,
    pods: &Seen<Vec<PodSeen>>,
) -> BTreeMap<String, Seen<Value>> {
    let key = ObjectKey::new("StatefulSet", &intent.stateful_set.name);
    let newest = match objects.get(&key) {
        Some(Seen::Present(set)) => set.body["status"]["updateRevision"].clone(),
        // Pods without their StatefulSet: their templates tell what it was.
        Some(Seen::Absent) => Value::Null,
        _ => return BTreeMap::new(),
    };
    let older: BTreeSet<&String> = pods
        .present()
        .into_iter()
        .flatten()
        .map(|pod| &pod.revision)
        .filter(|revision| newest != **revision)
        .collect();
    let api = kinds::namespaced(client, "ControllerRevision", &intent.identity.namespace);
    let reads = older.into_iter().map(|revision| {
        let api = api.clone();
        async move {
            let template = match seen(api.get_opt(revision).await) {
                Seen::Present(object) => Seen::Present(object.data["data"]["spec"]["template"].clone()),
                Seen::Absent => Seen::Absent,
                // Where revisions may not be read, a pod of that revision tells.
                Seen::Unknown(why) => match pod_of(pods, revision) {
                    Some(pod) => super::pod_template::of(client, &intent.identity.namespace, pod, why).await,
                    None => Seen::Unknown(why),
                },
            };
            (revision.clone(), template)
        }
    });
    join_all(reads).await.into_iter().collect()
}

fn pod_of<'a>(pods: &'a Seen<Vec<PodSeen>>, revision: &str) -> Option<&'a str> {
    let pods = pods.present().into_iter().flatten();
    pods.into_iter().find(|pod| pod.revision == revision).map(|pod| pod.name.as_str())
}

/// Where each pod can be reached.
pub fn addresses(pods: &Seen<Vec<PodSeen>>) -> BTreeMap<String, String> {
    let pods = pods.present().into_iter().flatten();
    pods.filter_map(|pod| Some((pod.name.clone(), pod.ip.clone()?))).collect()
}

/// Volume claims of the cluster's claim template.
pub async fn claims(client: &Client, intent: &Intent) -> Seen<Vec<ClaimSeen>> {
    let api = kinds::namespaced(client, "PersistentVolumeClaim", &intent.identity.namespace);
    match api.list(&selector(intent)).await {
        Err(error) => Seen::Unknown(error.to_string()),
        Ok(list) => {
            let prefix = format!("pgdata-{}-", intent.identity.name);
            let ours = list.items.iter().filter(|claim| {
                let ordinal = claim.name_any();
                ordinal.strip_prefix(&prefix).is_some_and(|rest| rest.parse::<u32>().is_ok())
            });
            Seen::Present(
                ours.map(|claim| ClaimSeen {
                    name: claim.name_any(),
                    uid: claim.uid().unwrap_or_default(),
                    deleting: claim.metadata.deletion_timestamp.is_some(),
                })
                .collect(),
            )
        }
    }
}

/// Where Patroni keeps its state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// ConfigMaps `{cluster}-leader` and so on.
    ConfigMaps,
    /// Endpoints: `{cluster}` holds the leader lock.
    Endpoints,
    /// Outside of Kubernetes.
    Etcd,
}

impl Store {
    /// As the settings have it (03 §7).
    pub fn of(settings: &Settings) -> Self {
        if !settings.etcd_host.is_empty() {
            Self::Etcd
        } else if settings.kubernetes_use_configmaps {
            Self::ConfigMaps
        } else {
            Self::Endpoints
        }
    }

    fn keys(self, cluster: &str) -> Vec<ObjectKey> {
        let (kind, leader) = match self {
            Self::ConfigMaps => ("ConfigMap", names::patroni_object(cluster, "leader")),
            Self::Endpoints => ("Endpoints", cluster.to_owned()),
            Self::Etcd => return Vec::new(),
        };
        let others = ["config", "sync", "failover"].map(|suffix| names::patroni_object(cluster, suffix));
        let objects = std::iter::once(leader).chain(others).map(|name| ObjectKey::new(kind, &name));
        let service = ObjectKey::new("Service", &names::patroni_object(cluster, "config"));
        objects.chain((self == Self::Endpoints).then_some(service)).collect()
    }
}

/// Patroni's own objects, and the holder of the leader lock.
pub async fn patroni_objects(
    client: &Client,
    namespace: &str,
    cluster: &str,
    store: Store,
) -> (Seen<Vec<PatroniObject>>, Seen<String>) {
    let reads = store.keys(cluster).into_iter().map(|key| async move {
        let api = kinds::namespaced(client, &key.kind, namespace);
        let answer = seen(api.get_opt(&key.name).await);
        (key, answer)
    });
    let answers = join_all(reads).await;
    let leader = match answers.first() {
        Some((_, Seen::Present(object))) => match object.annotations().get("leader") {
            Some(leader) if !leader.is_empty() => Seen::Present(leader.clone()),
            _ => Seen::Absent,
        },
        Some((_, Seen::Unknown(why))) => Seen::Unknown(why.clone()),
        _ => Seen::Absent,
    };
    let mut found = Vec::new();
    for (key, answer) in answers {
        match answer {
            Seen::Unknown(why) => return (Seen::Unknown(why), leader),
            Seen::Absent => {}
            Seen::Present(object) => found.push(PatroniObject {
                key,
                uid: object.uid().unwrap_or_default(),
                metadata: serde_json::to_value(&object.metadata).unwrap_or_default(),
            }),
        }
    }
    (Seen::Present(found), leader)
}

/// The leader where its lock is outside of Kubernetes: the one pod that is labelled so. Patroni
/// must agree before anything is done to a pod.
pub fn leader_by_label(pods: &Seen<Vec<PodSeen>>) -> Seen<String> {
    let Seen::Present(pods) = pods else { return Seen::Unknown("the pods cannot be listed".to_owned()) };
    let labelled: Vec<&PodSeen> =
        pods.iter().filter(|pod| pod.role_label.as_deref() == Some(names::PRIMARY)).collect();
    match labelled.as_slice() {
        [] => Seen::Absent,
        [pod] => Seen::Present(pod.name.clone()),
        _ => Seen::Unknown("several pods are labelled as the primary".to_owned()),
    }
}
