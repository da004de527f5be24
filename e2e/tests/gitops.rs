//! A folder of manifests drives everything: applied in both ways of kubectl, without a difference
//! once the clusters run, and pruned.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use matriarch_e2e::cluster::manifest;
use matriarch_e2e::{Cluster, Kubectl, Look, Scene, wait_until};
use serde_json::Value;

const KEPT: &str = "acid-kept";
const PRUNED: &str = "acid-pruned";

#[test]
fn folder_is_applied_by_the_client() {
    Scene::run("gitops_client_side", |scene| folder_drives(scene, &[]));
}

#[test]
fn folder_is_applied_by_the_server() {
    Scene::run("gitops_server_side", |scene| folder_drives(scene, &["--server-side"]));
}

fn folder_drives(scene: &Scene, way: &[&str]) -> Result<()> {
    let kubectl = &scene.kubectl;
    let folder = Folder::make(kubectl.namespace())?;
    folder.write(&[KEPT, PRUNED])?;
    folder.kubectl(kubectl, &["apply"], way)?;
    let clusters = [Cluster::new(kubectl, KEPT), Cluster::new(kubectl, PRUNED)];
    for cluster in &clusters {
        cluster.wait_ready()?;
        cluster.wait_settled(60)?;
        ensure!(cluster.status_word()? == "Running", "{} does not run", cluster.name());
    }
    scene.step("applied and running");
    // `diff` ends with 1 when there is a difference, and prints it.
    folder.kubectl(kubectl, &["diff"], way).context("the applied folder differs from what is there")?;
    for cluster in &clusters {
        only_ours(&cluster.object_with_fields()?)?;
    }
    scene.step("no difference, and nothing of ours in the manifests");

    let before = clusters[0].pods()?;
    folder.write(&[KEPT])?;
    if way.is_empty() {
        let kinds = "--prune-allowlist=acid.zalan.do/v1/postgresql";
        folder.kubectl(kubectl, &["apply", "--prune", "-l", "folder=mine", kinds], way)?;
    } else {
        // kubectl prunes nothing that the server applied; controllers that do so delete by name.
        folder.kubectl(kubectl, &["apply"], way)?;
        kubectl.run(&["delete", "postgresql", PRUNED, "--wait=false"])?;
    }
    wait_until("what left the folder is gone with its pods", 90, || {
        let manifests = kubectl.names("postgresql", "")?;
        let pods = kubectl.names("pods", &clusters[1].selector())?;
        Ok(Look::when(manifests == [KEPT] && pods.is_empty(), format!("{manifests:?} {pods:?}")))
    })?;
    ensure!(clusters[0].pods()? == before, "the other cluster's pods changed");
    folder.kubectl(kubectl, &["diff"], way)?;
    clusters[0].wait_settled(30)
}

/// A folder that goes with its scope.
struct Folder(PathBuf);

impl Folder {
    fn make(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// One file per cluster, and the list of them.
    fn write(&self, clusters: &[&str]) -> Result<()> {
        let mut list =
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n".to_owned();
        for name in clusters {
            let text =
                manifest(name, 1, "").replacen("metadata:\n", "metadata:\n  labels: {folder: mine}\n", 1);
            fs::write(self.0.join(format!("{name}.yaml")), text)?;
            list.push_str(&format!("- {name}.yaml\n"));
        }
        Ok(fs::write(self.0.join("kustomization.yaml"), list)?)
    }

    /// `kubectl VERB… [--server-side] -k FOLDER`.
    fn kubectl(&self, kubectl: &Kubectl, verb: &[&str], way: &[&str]) -> Result<String> {
        let folder = self.0.display().to_string();
        kubectl.run(&[verb, way, &["-k", &folder]].concat())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What we own in a manifest: its status, our finalizer, annotations of the contract.
fn only_ours(object: &Value) -> Result<()> {
    let entries = object["metadata"]["managedFields"].as_array().context("no managed fields")?;
    let ours = entries
        .iter()
        .filter(|entry| entry["manager"].as_str().is_some_and(|manager| !manager.starts_with("kubectl")));
    let mut seen = 0;
    for entry in ours {
        seen += 1;
        let fields = keys(&entry["fieldsV1"]);
        if entry["subresource"] == "status" {
            ensure!(fields == ["f:status"], "a status with {fields:?}");
            continue;
        }
        ensure!(fields == ["f:metadata"], "{} owns {fields:?}", entry["manager"]);
        for field in keys(&entry["fieldsV1"]["f:metadata"]) {
            match field.as_str() {
                "f:finalizers" => {}
                "f:annotations" => annotations(&entry["fieldsV1"]["f:metadata"]["f:annotations"])?,
                other => anyhow::bail!("{} owns metadata {other}", entry["manager"]),
            }
        }
    }
    ensure!(seen >= 2, "neither status nor finalizer is owned by anybody but kubectl: {entries:?}");
    Ok(())
}

fn annotations(fields: &Value) -> Result<()> {
    for field in keys(fields) {
        let of_contract = field == "." || field.starts_with("f:last-major-upgrade-");
        ensure!(of_contract, "the annotation {field} is none of the contract");
    }
    Ok(())
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}
