//! Clusters of the original operator are taken over: no pod restarts, no password changes, and
//! after the first look nothing is written any more.
#![allow(clippy::print_stdout)] // a test tells its figures

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use matriarch_e2e::own_operator::{CONTROLLER, OwnOperator};
use matriarch_e2e::recording::{MANAGERS, Recording, settings};
use matriarch_e2e::{Look, Scene, wait_until};
use serde_json::{Value, json};

/// Annotation of the StatefulSet with the level of rendering.
const LEVEL: &str = "acid.zalan.do/render-level";

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn configmaps_minimal_as_recorded() {
    Scene::run("take_over_cm_min", |scene| taken_over(scene, "configmaps-minimal", MANAGERS[0]));
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn configmaps_complete_as_released() {
    Scene::run("take_over_cm_all", |scene| taken_over(scene, "configmaps-complete", MANAGERS[1]));
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn endpoints_minimal_as_released() {
    Scene::run("take_over_ep_min", |scene| taken_over(scene, "endpoints-minimal", MANAGERS[1]));
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn endpoints_complete_as_recorded() {
    Scene::run("take_over_ep_all", |scene| taken_over(scene, "endpoints-complete", MANAGERS[0]));
}

/// The control: were the level ours, the same objects would roll.
#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn with_the_level_forced_to_ours_the_pods_roll() {
    Scene::run("take_over_control", |scene| {
        // The original ignores it and mounts the volume; from level 1 on it is honoured.
        let defect = |manifest: &mut Value| manifest["spec"]["enableShmVolume"] = json!(false);
        let recording = written(scene, "configmaps-minimal", MANAGERS[1], defect)?;
        let before = running(scene)?;
        let operator = started(scene, "configmaps-minimal")?;
        watched_three_times(&operator)?;
        ensure!(running(scene)? == before, "the defect alone restarted pods");
        scene.step("the repair waits");
        let set = format!("statefulset/{}", recording.cluster.name());
        scene.kubectl.run(&["annotate", &set, &format!("{LEVEL}=1")])?;
        wait_until("every pod is made anew", 240, || {
            let now = running(scene)?;
            let old = now.intersection(&before).count();
            Ok(Look::when(old == 0 && now.len() == before.len(), format!("{old} old pods")))
        })?;
        Ok(())
    });
}

fn written(scene: &Scene, name: &str, manager: &str, change: impl FnOnce(&mut Value)) -> Result<Recording> {
    let recording = Recording::write(scene, name, manager, scene.kubectl.namespace(), change)?;
    scene.step("its pods run");
    Ok(recording)
}

fn started(scene: &Scene, name: &str) -> Result<OwnOperator> {
    let mut start = OwnOperator::of(scene);
    for (key, value) in settings(name)? {
        start = start.setting(&key, &value);
    }
    let operator = start.setting("resync_period", "5s").start()?;
    scene.step("the operator runs");
    Ok(operator)
}

fn taken_over(scene: &Scene, name: &str, manager: &str) -> Result<()> {
    let recording = written(scene, name, manager, |_| {})?;
    let pods = running(scene)?;
    let passwords = passwords(scene)?;
    let uids = uids(&recording)?;
    let operator = started(scene, name)?;
    let manifest = recording.cluster.resource();
    wait_until("the cluster is Running for us", 60, || {
        let object = scene.kubectl.json(&[&manifest])?;
        let settled = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Progressing" && condition["status"] == "False");
        Ok(Look::when(settled, object["status"].to_string()))
    })?;
    let after_first = versions(&recording, scene)?;
    let steps = steps(&operator)?;
    watched_three_times(&operator)?;
    scene.step("three more passes");
    for (object, version) in versions(&recording, scene)? {
        ensure!(after_first.get(&object) == Some(&version), "{object} was written by a later pass");
    }
    ensure!(steps == self::steps(&operator)?, "a later pass took steps: {}", operator.logs()?);
    no_step_twice(&operator)?;
    ensure!(running(scene)? == pods, "pods or containers restarted");
    ensure!(self::passwords(scene)? == passwords, "a password changed");
    ensure!(self::uids(&recording)? == uids, "an object was replaced");
    fields_are_ours(&recording)?;
    let set = scene.kubectl.json(&[&format!("statefulset/{}", recording.cluster.name())])?;
    ensure!(set["metadata"]["annotations"][LEVEL].is_null(), "the level rose by itself");
    Ok(())
}

/// Pods with uid, and start time and restarts of their containers.
fn running(scene: &Scene) -> Result<BTreeSet<String>> {
    let list = scene.kubectl.json(&["pods", "-l", "application=spilo"])?;
    let describe = |pod: &Value| {
        let containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let containers: Vec<String> = containers
            .map(|c| format!("{} {} {}", c["name"], c["state"]["running"]["startedAt"], c["restartCount"]))
            .collect();
        format!("{} {} {containers:?}", pod["metadata"]["name"], pod["metadata"]["uid"])
    };
    Ok(list["items"].as_array().context("no pods")?.iter().map(describe).collect())
}

fn passwords(scene: &Scene) -> Result<BTreeMap<String, Value>> {
    let list = scene.kubectl.json(&["secrets"])?;
    let secrets = list["items"].as_array().context("no secrets")?.iter();
    Ok(secrets.map(|secret| (secret["metadata"]["name"].to_string(), secret["data"].clone())).collect())
}

fn uids(recording: &Recording) -> Result<Vec<String>> {
    recording
        .written()
        .iter()
        .map(|object| Ok(recording.live(object)?["metadata"]["uid"].to_string()))
        .collect()
}

/// The resourceVersion of every object that nobody but us writes: a write of any kind changes it.
/// Endpoints are Patroni's; of them our own part counts.
fn versions(recording: &Recording, scene: &Scene) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    for object in recording.written() {
        let live = recording.live(object)?;
        let name = format!("{} {}", live["kind"], live["metadata"]["name"]);
        let version = if live["kind"] == "Endpoints" {
            let entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            let ours = |entry: &&Value| {
                entry["manager"].as_str().is_some_and(|manager| manager.starts_with("matriarch"))
            };
            entries.iter().filter(ours).map(Value::to_string).collect()
        } else {
            live["metadata"]["resourceVersion"].to_string()
        };
        versions.insert(name, version);
    }
    let manifest = scene.kubectl.json(&[&recording.cluster.resource()])?;
    versions.insert("the manifest".to_owned(), manifest["metadata"]["resourceVersion"].to_string());
    Ok(versions)
}

fn metric(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn steps(operator: &OwnOperator) -> Result<u64> {
    Ok(metric(&operator.get("/metrics")?.body, "matriarch_steps_total"))
}

/// Waits for three more passes.
fn watched_three_times(operator: &OwnOperator) -> Result<()> {
    let passes =
        || Ok::<u64, anyhow::Error>(metric(&operator.get("/metrics")?.body, "matriarch_passes_total"));
    let before = passes()?;
    wait_until("three more passes", 60, || {
        let now = passes()?;
        Ok(Look::when(now >= before + 3, format!("{before} then {now}")))
    })
}

/// The log names every step that is taken: none is taken again by the second pass.
fn no_step_twice(operator: &OwnOperator) -> Result<()> {
    let log = operator.logs()?;
    let mut taken = BTreeSet::new();
    for line in log.lines().filter(|line| line.contains("because=")) {
        let step = line.split_once("INFO").map_or(line, |(_, step)| step);
        ensure!(taken.insert(step.to_owned()), "taken twice: {step}");
    }
    ensure!(!taken.is_empty(), "the log names no step:\n{log}");
    println!("{} steps in the first pass", taken.len());
    Ok(())
}

/// No field of what we render is the original's any more.
fn fields_are_ours(recording: &Recording) -> Result<()> {
    for object in recording.written() {
        let live = recording.live(object)?;
        // Roles and accounts are shared by clusters and left alone.
        if matches!(live["kind"].as_str(), Some("ServiceAccount" | "RoleBinding")) {
            continue;
        }
        // The endpoint controller's; and the Secret of a pooler that is switched off: it is kept.
        let name = live["metadata"]["name"].as_str().unwrap_or_default();
        if (live["kind"] == "Endpoints" && name.ends_with("-repl")) || name.starts_with("pooler.") {
            continue;
        }
        for entry in live["metadata"]["managedFields"].as_array().into_iter().flatten() {
            let original = entry["manager"].as_str().is_some_and(|manager| MANAGERS.contains(&manager));
            let fields = &entry["fieldsV1"];
            let kept = fields.get("f:metadata").is_some() || fields.get("f:spec").is_some();
            ensure!(
                !(original && kept && entry.get("subresource").is_none()),
                "{} {} still has fields of {}",
                live["kind"],
                live["metadata"]["name"],
                entry["manager"]
            );
        }
    }
    Ok(())
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn a_manifest_of_another_operator_is_left_alone() {
    Scene::run("take_over_waits", |scene| {
        let recording = Recording::write(scene, "configmaps-minimal", MANAGERS[1], "the-original", |_| {})?;
        let before = versions(&recording, scene)?;
        let pods = running(scene)?;
        let operator = started(scene, "configmaps-minimal")?;
        std::thread::sleep(std::time::Duration::from_secs(6));
        ensure!(versions(&recording, scene)? == before, "something was written before the hand-over");
        // The hand-over is this annotation and nothing else.
        let id = format!("{CONTROLLER}={}", operator.id());
        scene.kubectl.run(&["annotate", &recording.cluster.resource(), "--overwrite", &id])?;
        wait_until("it is looked after", 60, || {
            let manifest = scene.kubectl.json(&[&recording.cluster.resource()])?;
            // The recorded settings have enable_finalizers explicitly off: the status tells.
            let ours = manifest["status"]["conditions"].as_array().is_some_and(|list| !list.is_empty());
            Ok(Look::when(ours, manifest["status"].to_string()))
        })?;
        watched_three_times(&operator)?;
        ensure!(running(scene)? == pods, "pods or containers restarted");
        Ok(())
    });
}
