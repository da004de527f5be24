//! Objects, pods, claims and Patroni's own objects.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Event, Pod, PodStatus};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use matriarch_cluster::{Intent, names};
use matriarch_plan::scheduler::Key;
use matriarch_plan::{ClaimSeen, ContainerEnd, ObjectKey, ObjectSeen, PatroniObject, PodSeen, Seen};
use matriarch_settings::Settings;
use serde_json::Value;

use super::memory::{AboutMissing, Memory};
use crate::plain::plain;
use crate::reads::Reads;

/// The StatefulSet controller repeats itself at least every so many seconds; older words are of
/// another time.
const REFUSAL_COUNTS_SECONDS: i64 = 1200;

/// Seen from a read of one object by name.
pub fn seen<T>(answer: kube::Result<Option<T>>) -> Seen<T> {
    match answer {
        Ok(Some(object)) => Seen::Present(object),
        Ok(None) => Seen::Absent,
        Err(error) => Seen::Unknown(plain(&error)),
    }
}

/// A text in the metadata of an object.
pub fn text(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().unwrap_or_default().to_owned()
}

/// The live objects that the intent names, credentials and streams aside, and those that should
/// not be there any more.
pub async fn objects(reads: &Reads, intent: &Intent) -> BTreeMap<ObjectKey, Seen<ObjectSeen>> {
    let credentials: BTreeSet<&str> =
        intent.secrets.iter().map(|secret| secret.object.name.as_str()).collect();
    let rendered = intent
        .objects()
        .filter(|object| object.kind != "Secret" || !credentials.contains(object.name.as_str()))
        .filter(|object| object.kind != "FabricEventStream")
        .map(|object| ObjectKey::new(&object.kind, &object.name));
    let unwanted = intent.unwanted.iter().map(|unwanted| ObjectKey::new(&unwanted.kind, &unwanted.name));
    let namespace = intent.identity.namespace.as_str();
    let reads = rendered.chain(unwanted).map(|key| one(reads, namespace, key));
    join_all(reads).await.into_iter().collect()
}

async fn one(reads: &Reads, namespace: &str, key: ObjectKey) -> (ObjectKey, Seen<ObjectSeen>) {
    let found = match seen(reads.get(&key.kind, namespace, &key.name).await) {
        Seen::Present(live) => Seen::Present(whole(live)),
        Seen::Absent => Seen::Absent,
        Seen::Unknown(why) => Seen::Unknown(why),
    };
    (key, found)
}

/// FabricEventStreams with the cluster's labels; absent when the kind is not installed.
pub async fn streams(reads: &Reads, key: &Key, intent: &Intent) -> Seen<Vec<ObjectSeen>> {
    match reads.list("FabricEventStream", key, &intent.selector).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Seen::Absent,
        Err(error) => Seen::Unknown(plain(&error)),
        Ok(list) => Seen::Present(list.into_iter().map(whole).collect()),
    }
}

fn whole(body: Value) -> ObjectSeen {
    ObjectSeen { uid: text(&body, "uid"), body }
}

/// Pods of the StatefulSet, by ordinal.
pub async fn pods(
    reads: &Reads,
    key: &Key,
    labels: &BTreeMap<String, String>,
    settings: &Settings,
) -> Seen<Vec<PodSeen>> {
    match reads.list("Pod", key, labels).await {
        Err(error) => Seen::Unknown(plain(&error)),
        Ok(list) => {
            let prefix = format!("{}-", key.name);
            let mut pods = Vec::new();
            for pod in list {
                match serde_json::from_value::<Pod>(pod) {
                    Ok(pod) => pods.extend(project(&pod, &prefix, &settings.pod_role_label)),
                    Err(error) => return Seen::Unknown(format!("a pod cannot be read: {error}")),
                }
            }
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

/// The API server's words where the StatefulSet controller could not make a pod. It is asked only
/// when a pod whose turn it is has been missing for a while, and seldom.
pub async fn creation_refused(
    reads: &Reads,
    memory: &Memory,
    cluster: &Key,
    intent: &Intent,
    pods: &Seen<Vec<PodSeen>>,
) -> Option<String> {
    if !is_missing_in_turn(intent, pods.present()?) {
        memory.no_pod_is_missing(cluster);
        return None;
    }
    match memory.missing_pod(cluster) {
        AboutMissing::Known(words) => words,
        AboutMissing::Ask => {
            let words = newest_refusal(reads, &cluster.namespace, &intent.stateful_set.name).await;
            memory.keep_missing_pod(cluster, words.clone());
            words
        }
    }
}

/// Whether a pod is missing that should have been made by now: in order, each is made when those
/// before it are ready.
fn is_missing_in_turn(intent: &Intent, pods: &[PodSeen]) -> bool {
    let parallel = intent.stateful_set.body["spec"]["podManagementPolicy"] == "Parallel";
    for ordinal in 0..intent.instances {
        match pods.iter().find(|pod| pod.ordinal == ordinal) {
            None => return true,
            Some(pod) if !pod.ready && !parallel => return false,
            Some(_) => {}
        }
    }
    false
}

/// The newest event of the StatefulSet controller about a pod that it could not make.
async fn newest_refusal(reads: &Reads, namespace: &str, stateful_set: &str) -> Option<String> {
    let fields =
        format!("involvedObject.kind=StatefulSet,involvedObject.name={stateful_set},reason=FailedCreate");
    let api: Api<Event> = Api::namespaced(reads.client().clone(), namespace);
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
    reads: &Reads,
    memory: &Memory,
    cluster: &Key,
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
    memory.keep_revisions_of(cluster, &older);
    let asked = older.into_iter().map(|revision| async move {
        (revision.clone(), revision_template(reads, memory, cluster, pods, revision).await)
    });
    join_all(asked).await.into_iter().collect()
}

/// The template of a revision; revisions never change.
async fn revision_template(
    reads: &Reads,
    memory: &Memory,
    cluster: &Key,
    pods: &Seen<Vec<PodSeen>>,
    revision: &str,
) -> Seen<Value> {
    if let Some(template) = memory.revision(cluster, revision) {
        return Seen::Present(template);
    }
    match seen(reads.get("ControllerRevision", &cluster.namespace, revision).await) {
        Seen::Present(object) => {
            let template = object["data"]["spec"]["template"].clone();
            memory.keep_revision(cluster, revision, &template);
            Seen::Present(template)
        }
        Seen::Absent => Seen::Absent,
        // Where revisions may not be read, a pod of that revision tells.
        Seen::Unknown(why) => match pod_of(pods, revision) {
            Some(pod) => super::pod_template::of(reads, &cluster.namespace, pod, why).await,
            None => Seen::Unknown(why),
        },
    }
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
pub async fn claims(reads: &Reads, key: &Key, intent: &Intent) -> Seen<Vec<ClaimSeen>> {
    match reads.list("PersistentVolumeClaim", key, &intent.selector).await {
        Err(error) => Seen::Unknown(plain(&error)),
        Ok(list) => {
            let prefix = format!("pgdata-{}-", key.name);
            let is_ours = |claim: &&Value| {
                text(claim, "name").strip_prefix(&prefix).is_some_and(|rest| rest.parse::<u32>().is_ok())
            };
            let claims = list.iter().filter(is_ours).map(|claim| ClaimSeen {
                name: text(claim, "name"),
                uid: text(claim, "uid"),
                deleting: !claim["metadata"]["deletionTimestamp"].is_null(),
                created: created(claim),
            });
            Seen::Present(claims.collect())
        }
    }
}

/// When an object was made.
pub fn created(object: &Value) -> Option<jiff::Timestamp> {
    object["metadata"]["creationTimestamp"].as_str()?.parse().ok()
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
    reads: &Reads,
    cluster: &Key,
    store: Store,
) -> (Seen<Vec<PatroniObject>>, Seen<String>) {
    let asked = store.keys(&cluster.name).into_iter().map(|key| async move {
        let answer = seen(reads.get(&key.kind, &cluster.namespace, &key.name).await);
        (key, answer)
    });
    let answers = join_all(asked).await;
    let leader = answers.first().map_or(Seen::Absent, |(_, answer)| holder(answer));
    let mut found = Vec::new();
    for (key, answer) in answers {
        match answer {
            Seen::Unknown(why) => return (Seen::Unknown(why), leader),
            Seen::Absent => {}
            Seen::Present(object) => found.push(PatroniObject {
                key,
                uid: text(&object, "uid"),
                metadata: object["metadata"].clone(),
            }),
        }
    }
    (Seen::Present(found), leader)
}

/// The holder of the leader lock.
pub async fn leader(reads: &Reads, cluster: &Key, store: Store) -> Seen<String> {
    match store.keys(&cluster.name).first() {
        Some(key) => holder(&seen(reads.get(&key.kind, &cluster.namespace, &key.name).await)),
        None => Seen::Absent,
    }
}

fn holder(lock: &Seen<Value>) -> Seen<String> {
    match lock {
        Seen::Present(object) => match object["metadata"]["annotations"]["leader"].as_str() {
            Some(leader) if !leader.is_empty() => Seen::Present(leader.to_owned()),
            _ => Seen::Absent,
        },
        Seen::Unknown(why) => Seen::Unknown(why.clone()),
        Seen::Absent => Seen::Absent,
    }
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

#[cfg(test)]
mod tests {
    use matriarch_cluster::Object;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_missing_when_it_is_its_turn() {
        let pod = |ordinal, ready| PodSeen { ordinal, ready, ..PodSeen::default() };
        let missing = |policy: &str, pods: &[PodSeen]| {
            let body = json!({"spec": {"podManagementPolicy": policy}});
            let stateful_set = Object { body, ..Object::default() };
            is_missing_in_turn(&Intent { instances: 3, stateful_set, ..Intent::default() }, pods)
        };
        for policy in ["OrderedReady", "Parallel"] {
            assert!(missing(policy, &[]));
            assert!(missing(policy, &[pod(0, true)]));
            assert!(missing(policy, &[pod(1, true), pod(2, true)]));
            assert!(!missing(policy, &[pod(0, true), pod(1, true), pod(2, false)]));
            assert_eq!(missing(policy, &[pod(0, false)]), policy == "Parallel", "the next is not made yet");
        }
    }
}
