//! The template that a pod was made from, taken from the pod itself: for installations in which
//! ControllerRevisions may not be read.

use matriarch_plan::Seen;
use serde_json::{Value, json};

use crate::plain::plain;
use crate::reads::Reads;

/// Labels that a StatefulSet puts on its pods.
const SET_LABELS: [&str; 3] =
    ["controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"];
/// Fields that the API server, the scheduler and the StatefulSet fill in.
const FILLED_IN: [&str; 6] =
    ["nodeName", "hostname", "subdomain", "priority", "preemptionPolicy", "enableServiceLinks"];
/// Start of the labels that tell a pod where it runs; the API server copies them from its node.
const TOPOLOGY: &str = "topology.kubernetes.io/";
/// Start of the names of volumes with the service account's token.
const TOKEN: &str = "kube-api-access-";

/// The template of a pod; unknown for both reasons when the pod cannot be read either.
pub async fn of(reads: &Reads, namespace: &str, pod: &str, why: String) -> Seen<Value> {
    // The cache keeps no pod's spec.
    match reads.live().get("Pod", namespace, pod).await {
        Ok(Some(body)) => Seen::Present(template(&body)),
        Ok(None) => Seen::Absent,
        Err(error) => Seen::Unknown(format!("{why}; {}", plain(&error))),
    }
}

/// The pod without what was filled in. What its own StatefulSet's template has it keeps.
fn template(pod: &Value) -> Value {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let mut labels = pod["metadata"]["labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        // Patroni writes the role, under whatever key; templates have no label with these values.
        labels.retain(|key, value| {
            !SET_LABELS.contains(&key.as_str())
                && !key.starts_with(TOPOLOGY)
                && !matches!(value.as_str(), Some("master" | "replica"))
        });
    }
    let mut spec = pod["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|key, _| !FILLED_IN.contains(&key.as_str()));
    }
    retain(&mut spec["volumes"], |volume| {
        let claim = volume["persistentVolumeClaim"]["claimName"].as_str().unwrap_or_default();
        let own_claim = !name.is_empty() && claim.ends_with(&format!("-{name}"));
        !own_claim && !volume["name"].as_str().unwrap_or_default().starts_with(TOKEN)
    });
    retain(&mut spec["tolerations"], |toleration| {
        let key = toleration["key"].as_str().unwrap_or_default();
        !matches!(key, "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable")
    });
    for containers in ["containers", "initContainers"] {
        for container in spec[containers].as_array_mut().into_iter().flatten() {
            retain(&mut container["volumeMounts"], |mount| {
                !mount["name"].as_str().unwrap_or_default().starts_with(TOKEN)
            });
        }
    }
    without_null(&mut spec);
    json!({"metadata": {"labels": labels}, "spec": spec})
}

fn retain(list: &mut Value, keep: impl Fn(&Value) -> bool) {
    if let Some(list) = list.as_array_mut() {
        list.retain(keep);
    }
}

/// Asking for a field that is not there has made it null.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, field| !field.is_null());
            map.values_mut().for_each(without_null);
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_of_the_template_does_not_differ_and_one_of_another_does() {
        let made_from = json!({"metadata": {"labels": {"application": "spilo"}}, "spec": {
            "serviceAccountName": "postgres-pod", "serviceAccount": "postgres-pod",
            "containers": [{"name": "postgres", "image": "a:1",
                "volumeMounts": [{"name": "pgdata", "mountPath": "/home/postgres/pgdata"}]}],
            "volumes": [{"name": "dshm", "emptyDir": {"medium": "Memory"}}],
        }});
        let pod = json!({
            "metadata": {"name": "acid-a-0", "labels": {"application": "spilo", "spilo-role": "master",
                "controller-revision-hash": "x", "statefulset.kubernetes.io/pod-name": "acid-a-0",
                "apps.kubernetes.io/pod-index": "0", "topology.kubernetes.io/zone": "z"}},
            "spec": {
                "serviceAccountName": "postgres-pod", "serviceAccount": "postgres-pod", "nodeName": "n",
                "hostname": "acid-a-0", "subdomain": "acid-a", "priority": 0, "enableServiceLinks": true,
                "preemptionPolicy": "PreemptLowerPriority",
                "containers": [{"name": "postgres", "image": "a:1", "volumeMounts": [
                    {"name": "pgdata", "mountPath": "/home/postgres/pgdata"},
                    {"name": "kube-api-access-x", "mountPath": "/var/run/secrets"}]}],
                "volumes": [
                    {"name": "pgdata", "persistentVolumeClaim": {"claimName": "pgdata-acid-a-0"}},
                    {"name": "dshm", "emptyDir": {"medium": "Memory"}},
                    {"name": "kube-api-access-x", "projected": {}}],
                "tolerations": [{"key": "node.kubernetes.io/not-ready"}, {"key": "node.kubernetes.io/unreachable"}],
            },
        });
        let found = matriarch_plan::difference::template_differences(&made_from, &template(&pod));
        assert_eq!(found, []);
        let mut newer = made_from.clone();
        newer["spec"]["containers"][0]["image"] = json!("a:2");
        let found = matriarch_plan::difference::template_differences(&newer, &template(&pod));
        assert_eq!(found.len(), 1);
    }
}
