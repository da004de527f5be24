//! Pods without a kubelet: ready as soon as they have a node, gone as soon as they are deleted.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// Stands in for the kubelets of all nodes.
#[derive(Clone)]
pub struct Kubelet {
    client: Client,
    addresses: Arc<Mutex<Addresses>>,
}

#[derive(Default)]
struct Addresses {
    given: u16,
    by_uid: BTreeMap<String, Ipv4Addr>,
}

impl Kubelet {
    /// One for all nodes.
    pub fn new(client: Client) -> Self {
        Self { client, addresses: Arc::default() }
    }

    /// Does what is due for a pod, beside the caller.
    pub fn look_after(&self, pod: &Pod) {
        let spec = pod.spec.clone().unwrap_or_default();
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let deleted = pod.metadata.deletion_timestamp.is_some();
        if spec.node_name.is_none() || !(deleted || phase == "Pending") {
            return;
        }
        let (kubelet, pod) = (self.clone(), pod.clone());
        tokio::spawn(async move {
            let result = if deleted { kubelet.finish(&pod).await } else { kubelet.run(&pod).await };
            match result {
                Ok(()) => {}
                // It has gone or has become another meanwhile.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => eprintln!("stand-in: pod {}: {error}", pod.name_any()),
            }
        });
    }

    async fn run(&self, pod: &Pod) -> kube::Result<()> {
        let address = self.address(&pod.uid().unwrap_or_default());
        let status = json!({"metadata": {"uid": pod.uid()}, "status": running(pod, address)});
        let api = self.api(pod);
        api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&status)).await?;
        Ok(())
    }

    async fn finish(&self, pod: &Pod) -> kube::Result<()> {
        let preconditions = Preconditions { uid: pod.uid(), resource_version: None };
        let at_once =
            DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default().grace_period(0) };
        self.api(pod).delete(&pod.name_any(), &at_once).await?;
        Ok(())
    }

    fn api(&self, pod: &Pod) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default())
    }

    fn address(&self, uid: &str) -> Ipv4Addr {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = addresses.by_uid.get(uid) {
            return *address;
        }
        addresses.given += 1;
        let [high, low] = addresses.given.to_be_bytes();
        let address = Ipv4Addr::new(10, 250, high, low);
        addresses.by_uid.insert(uid.to_owned(), address);
        address
    }
}

fn running(pod: &Pod, address: Ipv4Addr) -> Value {
    let now = jiff::Timestamp::now().to_string();
    let condition = |kind| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| {
        json!({
            "name": container.name, "image": container.image, "imageID": "", "ready": true, "started": true,
            "restartCount": 0, "state": {"running": {"startedAt": now}},
        })
    });
    // A merge patch replaces the list: the scheduler's condition is repeated.
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    json!({
        "phase": "Running",
        "startTime": now,
        "podIP": address.to_string(),
        "podIPs": [{"ip": address.to_string()}],
        "conditions": conditions,
        "containerStatuses": containers.collect::<Vec<_>>(),
    })
}
