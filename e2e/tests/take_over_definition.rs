//! A cluster is handed over alone, by an annotation, while the original's definition of
//! `postgresql` is installed. That one prunes our status: nothing may be written again and again.
//! A file of its own: the definition is everybody's, and files run one after the other.
#![allow(clippy::print_stdout)] // a test tells its figures

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use matriarch_e2e::own_operator::{CONTROLLER, OwnOperator};
use matriarch_e2e::recording::{MANAGERS, Recording, settings};
use matriarch_e2e::{Kubectl, Look, Scene, wait_until};

/// The original's definition in place of ours until this is dropped.
struct Definition {
    kubectl: Kubectl,
}

impl Definition {
    fn of_the_original(kubectl: &Kubectl, path: &str) -> Result<Self> {
        let installed = Self { kubectl: kubectl.clone() };
        kubectl.run(&["replace", "-f", path]).context("the original's definition")?;
        Ok(installed)
    }
}

impl Drop for Definition {
    fn drop(&mut self) {
        let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/crds/crds.yaml");
        if let Err(error) = self.kubectl.run(&["replace", "-f", ours]) {
            println!("e2e: cannot bring our definitions back: {error:#}");
        }
    }
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn a_cluster_is_handed_over_alone_under_the_originals_definition() {
    let Some(folder) = std::env::var_os("MATRIARCH_EXTRA_TESTDATA") else {
        println!("e2e-left-out take_over_definition: MATRIARCH_EXTRA_TESTDATA names no folder");
        return;
    };
    let path = PathBuf::from(folder).join("zalando-manifests/postgresql.crd.yaml");
    Scene::run("take_over_definition", |scene| {
        let kubectl = &scene.kubectl;
        let _definition = Definition::of_the_original(kubectl, &path.display().to_string())?;
        scene.step("the original's definition is installed");
        let name = "configmaps-minimal";
        let recording = Recording::write(scene, name, MANAGERS[1], "the-original", |_| {})?;
        let resource = recording.cluster.resource();
        let mut start = OwnOperator::of(scene);
        for (key, value) in settings(name)? {
            start = start.setting(&key, &value);
        }
        let off = start.setting("resync_period", "5s").setting("enable_crd_registration", "false");
        let operator = off.start()?;
        let id = format!("{CONTROLLER}={}", operator.id());
        kubectl.run(&["annotate", &resource, "--overwrite", &id])?;
        wait_until("the status word is ours", 90, || {
            let word = recording.cluster.status_word()?;
            Ok(Look::when(word == "Running", word))
        })?;
        scene.step("handed over and Running");
        ensure!(
            kubectl.json(&[&resource])?["status"].get("conditions").is_none(),
            "the original's definition does not prune conditions: this test proves nothing"
        );
        let version = || kubectl.run(&["get", &resource, "-o", "jsonpath={.metadata.resourceVersion}"]);
        let passes = || -> Result<u64> {
            let metrics = operator.get("/metrics")?.body;
            let line = metrics.lines().find(|line| line.starts_with("matriarch_passes_total"));
            Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default())
        };
        let (before, first) = (version()?, passes()?);
        std::thread::sleep(std::time::Duration::from_secs(20));
        ensure!(version()? == before, "the manifest is written again and again");
        let made = passes()? - first;
        ensure!(made <= 8, "{made} passes in 20 seconds with a period of 5: its own writes wake it");
        Ok(())
    });
}
