//! A PostgreSQL cluster as the tests see it, through `kubectl`.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::kubectl::Kubectl;
use crate::port_forward::{Answer, PortForward};
use crate::psql::{self, Login};
use crate::wait::{Look, wait_until};

/// How long a new cluster may take until it is Ready, in seconds.
pub const CREATION: u64 = 240;

/// A cluster in the test's namespace.
#[derive(Clone, Debug)]
pub struct Cluster {
    kubectl: Kubectl,
    name: String,
}

/// A database pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid: another one means that the pod was made anew.
    pub uid: String,
    /// The label `spilo-role`, or nothing.
    pub role: String,
    /// Its node, or nothing while it is not scheduled.
    pub node: String,
    /// When it was made, in RFC 3339: compares as text.
    pub created: String,
    /// Ready, and not on its way out.
    pub ready: bool,
}

impl Pod {
    /// The uids of pods: others mean that pods were made anew.
    pub fn uids(pods: &[Self]) -> Vec<&str> {
        pods.iter().map(|pod| pod.uid.as_str()).collect()
    }
}

impl Cluster {
    /// The cluster of this name.
    pub fn new(kubectl: &Kubectl, name: &str) -> Self {
        Self { kubectl: kubectl.clone(), name: name.to_owned() }
    }

    /// Creates one from a small manifest. `more` are further lines of the `spec`, each
    /// indented by two.
    ///
    /// # Errors
    /// When `kubectl create` fails.
    pub fn create(kubectl: &Kubectl, name: &str, instances: u32, more: &str) -> Result<Self> {
        kubectl.run_with_input(&["create", "-f", "-"], &manifest(name, instances, more))?;
        Ok(Self::new(kubectl, name))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As `kubectl` takes it.
    pub fn resource(&self) -> String {
        format!("postgresql/{}", self.name)
    }

    /// The label selector of its pods.
    pub fn selector(&self) -> String {
        format!("application=spilo,cluster-name={}", self.name)
    }

    /// `kubectl wait --for=condition=Ready`, for as long as a creation may take.
    ///
    /// # Errors
    /// When it is not Ready in time; with its conditions.
    pub fn wait_ready(&self) -> Result<()> {
        let timeout = format!("--timeout={CREATION}s");
        let waited = self.kubectl.run(&["wait", "--for=condition=Ready", &self.resource(), &timeout]);
        waited.with_context(|| self.conditions().unwrap_or_else(|error| format!("{error:#}")))?;
        Ok(())
    }

    /// Waits until the operator has settled on the newest generation: Ready, and all
    /// pods ready.
    ///
    /// # Errors
    /// When that is not so in `seconds`.
    pub fn wait_settled(&self, seconds: u64) -> Result<()> {
        wait_until(&format!("{} has settled", self.name), seconds, || {
            let object = self.object()?;
            let newest = object["metadata"]["generation"] == object["status"]["observedGeneration"];
            let wanted = object["spec"]["numberOfInstances"].as_u64().unwrap_or_default();
            let ready = condition_of(&object, "Ready").is_some_and(|c| c["status"] == "True")
                && condition_of(&object, "Progressing").is_none_or(|c| c["status"] != "True");
            let pods = self.pods()?;
            let up = pods.iter().filter(|pod| pod.ready).count() as u64;
            let settled = newest && ready && up == wanted && pods.len() as u64 == wanted;
            Ok(Look::when(settled, format!("{pods:?}; {}", conditions_of(&object))))
        })
    }

    /// The resource.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn object(&self) -> Result<Value> {
        self.kubectl.json(&[&self.resource()])
    }

    /// The resource with its managed fields.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn object_with_fields(&self) -> Result<Value> {
        self.kubectl.json(&[&self.resource(), "--show-managed-fields"])
    }

    /// The status word.
    ///
    /// # Errors
    /// When the resource cannot be read.
    pub fn status_word(&self) -> Result<String> {
        let word = self.object()?["status"]["PostgresClusterStatus"].clone();
        Ok(word.as_str().unwrap_or_default().to_owned())
    }

    /// A condition: status and message; nothing when it is not there.
    ///
    /// # Errors
    /// When the resource cannot be read.
    pub fn condition(&self, kind: &str) -> Result<Option<(String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = self.object()?;
        Ok(condition_of(&object, kind).map(|c| (text(&c["status"]), text(&c["message"]))))
    }

    fn conditions(&self) -> Result<String> {
        Ok(conditions_of(&self.object()?))
    }

    /// A merge patch of the resource.
    ///
    /// # Errors
    /// When it is refused.
    pub fn patch(&self, patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        self.kubectl.run(&["patch", &self.resource(), "--type=merge", "-p", &patch])?;
        Ok(())
    }

    /// `kubectl delete`, waiting for the end of it.
    ///
    /// # Errors
    /// When it is still there after `seconds`.
    pub fn delete(&self, seconds: u64) -> Result<()> {
        let timeout = format!("--timeout={seconds}s");
        self.kubectl.run(&["delete", &self.resource(), &timeout])?;
        Ok(())
    }

    /// Its pods by name.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn pods(&self) -> Result<Vec<Pod>> {
        let list = self.kubectl.json(&["pods", "-l", &self.selector()])?;
        let items = list["items"].as_array().context("no list of pods")?;
        let mut pods: Vec<Pod> = items.iter().map(pod).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pods)
    }

    /// The one pod that is labelled `master` and ready.
    ///
    /// # Errors
    /// When there is none or more than one.
    pub fn primary(&self) -> Result<Pod> {
        let pods = self.pods()?;
        let mut masters = pods.iter().filter(|pod| pod.role == "master" && pod.ready);
        match (masters.next(), masters.next()) {
            (Some(pod), None) => Ok(pod.clone()),
            _ => bail!("not exactly one ready pod is labelled master: {pods:?}"),
        }
    }

    /// The pods labelled `replica` that are ready.
    ///
    /// # Errors
    /// When the pods cannot be listed.
    pub fn replicas(&self) -> Result<Vec<Pod>> {
        let pods = self.pods()?.into_iter();
        Ok(pods.filter(|pod| pod.role == "replica" && pod.ready).collect())
    }

    /// Waits until another pod than this one is the primary.
    ///
    /// # Errors
    /// When that is not so in `seconds`.
    pub fn wait_for_other_primary(&self, old: &Pod, seconds: u64) -> Result<Pod> {
        wait_until(&format!("another primary than {}", old.name), seconds, || {
            let primary = self.primary()?;
            if primary.name == old.name {
                return Ok(Look::NotYet(format!("{} still is", old.name)));
            }
            Ok(Look::Done(primary))
        })
    }

    /// Waits until a pod is a ready replica.
    ///
    /// # Errors
    /// When that is not so in `seconds`.
    pub fn wait_for_replica(&self, name: &str, seconds: u64) -> Result<()> {
        wait_until(&format!("{name} is a ready replica"), seconds, || {
            let found = self.replicas()?.iter().any(|pod| pod.name == name);
            Ok(Look::when(found, format!("{:?}", self.pods()?)))
        })
    }

    /// The whole pod.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn pod(&self, name: &str) -> Result<Value> {
        self.kubectl.json(&["pod", name])
    }

    /// Its StatefulSet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stateful_set(&self) -> Result<Value> {
        self.kubectl.json(&["statefulset", &self.name])
    }

    /// Waits until none of these pods is left, and the cluster has settled on new ones.
    ///
    /// # Errors
    /// When that is not so in `seconds`.
    pub fn wait_rolled(&self, before: &[Pod], seconds: u64) -> Result<()> {
        wait_until(&format!("all pods of {} are made anew", self.name), seconds, || {
            let pods = self.pods()?;
            let anew = pods.iter().all(|pod| pod.ready && before.iter().all(|old| old.uid != pod.uid));
            Ok(Look::when(anew && pods.len() == before.len(), format!("{pods:?}")))
        })?;
        self.wait_settled(60)
    }

    /// Patroni's dynamic configuration, as Patroni keeps it.
    ///
    /// # Errors
    /// When Patroni's ConfigMap is not there or holds none.
    pub fn patroni_config(&self) -> Result<Value> {
        let map = self.kubectl.json(&[&format!("configmap/{}-config", self.name)])?;
        let text = map["metadata"]["annotations"]["config"].as_str().context("no configuration")?;
        Ok(serde_json::from_str(text)?)
    }

    /// A request to Patroni of a pod.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn patroni(&self, pod: &str, method: &str, path: &str, body: &Value) -> Result<Answer> {
        PortForward::open(&self.kubectl, &format!("pod/{pod}"), 0, 8008)?.send(method, path, body)
    }

    /// The members as Patroni of the primary lists them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn members(&self) -> Result<Vec<Value>> {
        let answer = self.patroni(&self.primary()?.name, "GET", "/cluster", &Value::Null)?;
        let seen: Value = serde_json::from_str(&answer.body)?;
        Ok(seen["members"].as_array().context("no members")?.clone())
    }

    /// Members that Patroni sees as `running` or `streaming`.
    ///
    /// # Errors
    /// As [`Self::members`].
    pub fn running_members(&self) -> Result<usize> {
        let up = |member: &&Value| matches!(member["state"].as_str(), Some("running" | "streaming"));
        Ok(self.members()?.iter().filter(up).count())
    }

    /// The timeline: one more for each change of the primary.
    ///
    /// # Errors
    /// As [`Self::members`].
    pub fn timeline(&self) -> Result<u64> {
        let members = self.members()?;
        members.iter().filter_map(|member| member["timeline"].as_u64()).max().context("no timeline")
    }

    /// The password of a role, from its credential Secret.
    ///
    /// # Errors
    /// When there is no such Secret.
    pub fn password(&self, role: &str) -> Result<String> {
        let secret = self.secret(role);
        let template = "go-template={{.data.password | base64decode}}";
        self.kubectl.run(&["get", "secret", &secret, "-o", template])
    }

    /// Who logs in through the Service of the primary, encrypted, with the password of the moment.
    ///
    /// # Errors
    /// When the role has no credential Secret.
    pub fn login(&self, role: &str, database: &str) -> Result<Login> {
        Ok(Login {
            host: self.name.clone(),
            user: role.to_owned(),
            password: self.password(role)?,
            database: database.to_owned(),
            sslmode: "require".to_owned(),
        })
    }

    /// One statement in the primary's own container, as the superuser: rows, one a line.
    ///
    /// # Errors
    /// When there is not exactly one primary, or `psql` fails; with its words.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        self.sql_in(&self.primary()?.name, database, sql)
    }

    /// One statement in the container of a pod, as the superuser.
    ///
    /// # Errors
    /// When `psql` fails; with its words.
    pub fn sql_in(&self, pod: &str, database: &str, sql: &str) -> Result<String> {
        let psql = ["exec", pod, "-c", "postgres", "--", "psql", "-U", "postgres", "-d", database];
        let arguments = [&psql[..], &psql::PLAIN, &["-c", sql]].concat();
        self.kubectl.run(&arguments)
    }

    /// Name of the credential Secret of a role.
    pub fn secret(&self, role: &str) -> String {
        let role = role.replace('_', "-");
        format!("{role}.{}.credentials.postgresql.acid.zalan.do", self.name)
    }

    /// Addresses of the pods behind a Service that are ready, from its EndpointSlices.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn behind_service(&self, service: &str) -> Result<Vec<String>> {
        let selector = format!("kubernetes.io/service-name={service}");
        let list = self.kubectl.json(&["endpointslices", "-l", &selector])?;
        let slices = list["items"].as_array().cloned().unwrap_or_default();
        let endpoints = slices.iter().flat_map(|s| s["endpoints"].as_array().cloned().unwrap_or_default());
        let mut pods: Vec<String> = endpoints
            .filter(|endpoint| endpoint["conditions"]["ready"] != false)
            .filter_map(|endpoint| Some(endpoint["targetRef"]["name"].as_str()?.to_owned()))
            .collect();
        pods.sort();
        Ok(pods)
    }
}

/// A small manifest: one superuser `zalando`, who owns the database `foo`.
pub fn manifest(name: &str, instances: u32, more: &str) -> String {
    format!(
        "apiVersion: acid.zalan.do/v1
kind: postgresql
metadata:
  name: {name}
spec:
  teamId: acid
  volume:
    size: 1Gi
  numberOfInstances: {instances}
  users:
    zalando: [superuser, createdb]
  databases:
    foo: zalando
  postgresql:
    version: \"17\"
{more}
"
    )
}

fn pod(object: &Value) -> Pod {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    let ready = condition_of(object, "Ready").is_some_and(|c| c["status"] == "True");
    Pod {
        name: text(&metadata["name"]),
        uid: text(&metadata["uid"]),
        role: text(&metadata["labels"]["spilo-role"]),
        node: text(&object["spec"]["nodeName"]),
        created: text(&metadata["creationTimestamp"]),
        ready: ready && metadata["deletionTimestamp"].is_null(),
    }
}

fn condition_of<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|c| c["type"] == kind)
}

fn conditions_of(object: &Value) -> String {
    let empty = Vec::new();
    let conditions = object["status"]["conditions"].as_array().unwrap_or(&empty);
    let shown = conditions.iter().map(|c| {
        let text = |key: &str| c[key].as_str().unwrap_or("?").to_owned();
        format!("{}={} ({}: {})", text("type"), text("status"), text("reason"), text("message"))
    });
    let word = &object["status"]["PostgresClusterStatus"];
    format!("status {word}; {}", shown.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_and_conditions_are_read() {
        let object = json!({
            "metadata": {"name": "a-0", "uid": "u", "labels": {"spilo-role": "master"},
                "creationTimestamp": "2026-11-24T17:00:00Z"},
            "spec": {"nodeName": "node1"},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "r",
                "message": "m"}], "PostgresClusterStatus": "Running"},
        });
        let pod = pod(&object);
        assert!(pod.ready);
        assert_eq!((pod.role.as_str(), pod.node.as_str()), ("master", "node1"));
        assert_eq!(conditions_of(&object), "status \"Running\"; Ready=True (r: m)");
        let mut leaving = object;
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-24T17:01:00Z");
        assert!(!super::pod(&leaving).ready);
    }

    #[test]
    fn secrets_are_named_as_the_contract_says() {
        let cluster = Cluster::new(&Kubectl::new("n"), "acid-minimal-cluster");
        assert_eq!(
            cluster.secret("foo_user"),
            "foo-user.acid-minimal-cluster.credentials.postgresql.acid.zalan.do"
        );
    }
}
