//! Volumes as directories of the host, visible on all nodes: a pod may come back
//! on another node. Claims of the class `standard` get one with mode 0777, so
//! that a pod without root can write; sizes are recorded and not enforced.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::control_plane::kubectl;
use super::diary::note;
use crate::checkout::INSIDE;
use crate::{files, shell};

/// Name in storage classes and volumes.
const PROVISIONER: &str = "matriarch.dev/directory";
const CLASS: &str = "standard";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// The default class.
pub fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    })
}

/// Watches claims and volumes from now on.
pub fn start() -> Result<()> {
    fs::create_dir_all(format!("{INSIDE}/volumes"))?;
    // A claim changes several times before it is bound: one volume is enough.
    let mut provisioned = BTreeSet::new();
    follow("persistentvolumeclaims", move |claim| provision(claim, &mut provisioned));
    follow("persistentvolumes", reclaim);
    Ok(())
}

/// Calls `react` with each object, as it is at the start and whenever it changes.
fn follow(resource: &'static str, mut react: impl FnMut(&Value) -> Result<()> + Send + 'static) {
    thread::spawn(move || {
        loop {
            if let Err(error) = follow_once(resource, &mut react) {
                note(&format!("provisioner: {resource}: {error:#}"));
            }
            thread::sleep(Duration::from_secs(1));
        }
    });
}

/// Until the connection to the API server ends, as each does after a while.
fn follow_once(resource: &str, react: &mut impl FnMut(&Value) -> Result<()>) -> Result<()> {
    let mut child = kubectl()
        .args(["get", resource, "--all-namespaces", "--watch", "--output=json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run kubectl")?;
    let stream = child.stdout.take().context("kubectl has no output")?;
    for object in serde_json::Deserializer::from_reader(BufReader::new(stream)).into_iter::<Value>() {
        let Ok(object) = object else { break };
        if let Err(error) = react(&object) {
            note(&format!("provisioner: {} {error:#}", object["metadata"]["name"]));
        }
    }
    child.kill().ok();
    child.wait()?;
    Ok(())
}

/// Gives a pending claim of ours its volume. Done again after a crash, it finds
/// the same names and changes nothing.
fn provision(claim: &Value, provisioned: &mut BTreeSet<String>) -> Result<()> {
    let annotations = &claim["metadata"]["annotations"];
    let ours = annotations["volume.kubernetes.io/storage-provisioner"] == PROVISIONER;
    if !ours || claim["status"]["phase"] != "Pending" || !claim["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let name = volume_name(claim)?;
    if provisioned.contains(&name) {
        return Ok(());
    }
    let dir = directory(&name);
    fs::create_dir_all(&dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777))?;
    shell::with_input(
        kubectl().args(["apply", "--filename", "-"]),
        &volume(claim, &name, &reclaim_policy(claim)?).to_string(),
    )?;
    provisioned.insert(name.clone());
    note(&format!("provisioner: made {name} for {}/{}", text(claim, "namespace"), text(claim, "name")));
    Ok(())
}

/// Removes directory and volume when the claim is gone.
fn reclaim(volume: &Value) -> Result<()> {
    let ours = volume["metadata"]["annotations"][PROVISIONED_BY] == PROVISIONER;
    let delete = volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete";
    if !ours
        || !delete
        || volume["status"]["phase"] != "Released"
        || !volume["metadata"]["deletionTimestamp"].is_null()
    {
        return Ok(());
    }
    let name = text(volume, "name");
    files::remove(&directory(name))?;
    shell::output(kubectl().args(["delete", "persistentvolume", name, "--wait=false"]))?;
    note(&format!("provisioner: removed {name}"));
    Ok(())
}

fn volume(claim: &Value, name: &str, reclaim_policy: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": reclaim_policy,
            "storageClassName": claim["spec"]["storageClassName"],
            "hostPath": {"path": directory(name), "type": "Directory"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim["metadata"]["namespace"], "name": claim["metadata"]["name"],
                "uid": claim["metadata"]["uid"]},
        },
    })
}

/// Of the claim's class: users may make further classes with our provisioner.
fn reclaim_policy(claim: &Value) -> Result<String> {
    let class = claim["spec"]["storageClassName"].as_str().context("a claim without a storage class")?;
    if class == CLASS {
        return Ok("Delete".to_owned());
    }
    shell::output(kubectl().args(["get", "storageclass", class, "--output=jsonpath={.reclaimPolicy}"]))
}

fn volume_name(claim: &Value) -> Result<String> {
    let uid = claim["metadata"]["uid"].as_str().context("a claim without uid")?;
    Ok(format!("pvc-{uid}"))
}

fn directory(volume: &str) -> PathBuf {
    Path::new(INSIDE).join("volumes").join(volume)
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_repeats_what_its_claim_asks_for() {
        let claim = json!({"metadata": {"namespace": "demo", "name": "data", "uid": "1-2"},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                "resources": {"requests": {"storage": "1Gi"}}}});
        let volume = volume(&claim, &volume_name(&claim).expect("a name"), "Retain");
        assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
        assert_eq!(volume["metadata"]["name"], "pvc-1-2");
        assert_eq!(volume["spec"]["capacity"]["storage"], "1Gi");
        assert_eq!(volume["spec"]["claimRef"]["uid"], "1-2");
        assert_eq!(volume["spec"]["hostPath"]["path"], "/run/matriarch/volumes/pvc-1-2");
    }
}
