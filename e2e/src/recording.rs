//! A cluster as the original operator left it: its recorded objects, written anew under the name
//! and in the way in which the original writes, with real pods.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kubectl::Kubectl;
use crate::own_operator::CONTROLLER;
use crate::scene::Scene;
use crate::{INSTANCE_IMAGE, node};

/// Names under which the original writes: its recorded build, and its released image.
pub const MANAGERS: [&str; 2] = ["zalando-operator", "postgres-operator"];

/// Files of a recording that hold objects of the original, in the order of its own work.
const FILES: [&str; 8] = [
    "serviceaccounts-postgres-pod",
    "rolebindings-postgres-pod",
    "secrets",
    "endpoints",
    "services",
    "poddisruptionbudgets",
    "cronjobs",
    "statefulsets",
];

/// A recording that was written into a namespace.
pub struct Recording {
    /// The cluster.
    pub cluster: Cluster,
    kubectl: Kubectl,
    folder: PathBuf,
    written: Vec<Value>,
}

fn live_objects() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/live-objects")
}

fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    // The images here do no archiving and say so: the variable that asks for it has another name.
    let text = text.replace("wal_s3_bucket", "some_bucket");
    let list: Value = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(list["items"].as_array().cloned().unwrap_or_else(|| vec![list]))
}

/// The recorded configuration, as keys of a ConfigMap.
///
/// # Errors
/// When the file cannot be read.
pub fn settings(name: &str) -> Result<Vec<(String, String)>> {
    let map = read(&live_objects().join("operator-configmap.yaml"))?.remove(0);
    let data = map["data"].as_object().cloned().context("no data")?;
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let mut settings: Vec<(String, String)> =
        data.into_iter().map(|(key, value)| (key, text(value))).collect();
    let configmaps = name.starts_with("configmaps").to_string();
    settings.push(("kubernetes_use_configmaps".to_owned(), configmaps));
    Ok(settings)
}

impl Recording {
    /// Writes the recording `name` as field manager `manager`, looked after by the operator with the id
    /// `controller`, and waits until its pods run and have a primary. `change` may edit the manifest.
    ///
    /// # Errors
    /// When an object is refused, or the pods do not run in four minutes.
    pub fn write(
        scene: &Scene,
        name: &str,
        manager: &str,
        controller: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Self> {
        let folder = live_objects().join(name);
        let mut manifest = read(&folder.join("postgresql.yaml"))?.remove(0);
        let cluster = Cluster::new(&scene.kubectl, manifest["metadata"]["name"].as_str().context("no name")?);
        let mut recording = Self { cluster, kubectl: scene.kubectl.clone(), folder, written: Vec::new() };
        recording.prepare()?;
        strip(&mut manifest, scene.kubectl.namespace());
        manifest["metadata"]["annotations"][CONTROLLER] = json!(controller);
        change(&mut manifest);
        scene.kubectl.run_with_input(&["create", "-f", "-"], &manifest.to_string())?;
        for file in FILES {
            recording.write_file(file, manager)?;
        }
        recording.assert_managers(manager)?;
        scene.step(&format!("{} objects of {name} are written as {manager}", recording.written.len()));
        recording.wait_for_pods()?;
        Ok(recording)
    }

    /// Images and the priority class that the recorded pods name.
    fn prepare(&self) -> Result<()> {
        let pause = "localhost/matriarch/pause:dev";
        for (image, name) in [
            (INSTANCE_IMAGE, "ghcr.io/zalando/spilo-18:4.1-p2"),
            (INSTANCE_IMAGE, "localhost/instance:test"),
            (pause, "localhost/pause:1"),
        ] {
            node::tag_image(image, name)?;
        }
        let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000,
            "metadata": {"name": "postgres-pod-priority"}});
        self.kubectl.run_with_input(&["apply", "-f", "-"], &class.to_string())?;
        Ok(())
    }

    fn write_file(&mut self, file: &str, manager: &str) -> Result<()> {
        let path = self.folder.join(format!("{file}.yaml"));
        if !path.exists() {
            return Ok(());
        }
        let field_manager = format!("--field-manager={manager}");
        for mut object in read(&path)? {
            if !is_of_the_original(&object) {
                continue;
            }
            strip(&mut object, self.kubectl.namespace());
            self.kubectl.run_with_input(&["create", "-f", "-", &field_manager], &object.to_string())?;
            self.written.push(object);
        }
        Ok(())
    }

    /// Each written object belongs to the original by an `Update`, or the test proves nothing.
    fn assert_managers(&self, manager: &str) -> Result<()> {
        for object in &self.written {
            // Of an account nothing is sent but its name; it has no owner of fields.
            if object["kind"] == "ServiceAccount" {
                continue;
            }
            let live = self.live(object)?;
            let entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            let found =
                entries.iter().any(|entry| entry["manager"] == manager && entry["operation"] == "Update");
            ensure!(
                found,
                "{} {} has no Update of {manager}: {entries:?}",
                live["kind"],
                live["metadata"]["name"]
            );
        }
        Ok(())
    }

    fn wait_for_pods(&self) -> Result<()> {
        crate::wait_until("the recorded pods run and have a primary", 240, || {
            let pods = self.cluster.pods()?;
            let up = pods.iter().filter(|pod| pod.ready && !pod.role.is_empty()).count();
            let primary = self.cluster.primary().is_ok();
            Ok(crate::Look::when(primary && up == 2, format!("{pods:?}")))
        })
    }

    /// Everything that was written for the cluster, without the manifest.
    pub fn written(&self) -> &[Value] {
        &self.written
    }

    /// A written object as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn live(&self, object: &Value) -> Result<Value> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]));
        self.kubectl.json(&[&format!("{kind}/{name}"), "--show-managed-fields"])
    }
}

/// What the endpoint controller or an earlier run left is not the original's.
fn is_of_the_original(object: &Value) -> bool {
    let entries = object["metadata"]["managedFields"].as_array();
    let owned = entries.into_iter().flatten().any(|entry| {
        entry["manager"].as_str().is_some_and(|manager| MANAGERS.contains(&manager))
            && entry.get("subresource").is_none()
    });
    owned || object["kind"] == "ServiceAccount"
}

/// Without what only an API server writes.
fn strip(object: &mut Value, namespace: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            metadata.remove(field);
        }
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
        object.remove("subsets");
    }
    match object["kind"].as_str() {
        Some("Service") => {
            for field in ["clusterIP", "clusterIPs"] {
                if let Some(spec) = object["spec"].as_object_mut() {
                    spec.remove(field);
                }
            }
        }
        Some("Endpoints") => {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("annotations");
            }
            if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
                labels.remove("endpoints.kubernetes.io/managed-by");
            }
        }
        Some("StatefulSet") => object["spec"]["template"]["metadata"]["namespace"] = json!(namespace),
        Some("RoleBinding") => {
            for subject in object["subjects"].as_array_mut().into_iter().flatten() {
                if !subject["namespace"].is_null() {
                    subject["namespace"] = json!(namespace);
                }
            }
        }
        _ => {}
    }
}
