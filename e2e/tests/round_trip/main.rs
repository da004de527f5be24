//! What is rendered, written to a real API server and read back differs in nothing; and what is
//! changed there in any one rendered place is told, with its consequence. For every field of the
//! manifest and every option of a ConfigMap; the short mode takes a sample.
#![allow(clippy::print_stdout)] // a test tells its figures

mod sensitivity;
mod variants;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use matriarch_cluster::{Level, Object};
use matriarch_e2e::Scene;
use matriarch_plan::objects::Comparison;
use matriarch_plan::ownership::{FIELD_MANAGER, Part};
use serde_json::{Value, json};
use variants::Variant;

/// One of so many variants is taken in the short mode.
const SAMPLE: usize = 6;

#[test]
fn rendered_written_and_read_back_is_no_difference() {
    Scene::run("round_trip", |scene| {
        let long = std::env::var("MATRIARCH_LONG").is_ok_and(|value| value == "1");
        no_pods(scene)?;
        let namespace = scene.kubectl.namespace();
        scene.kubectl.run_with_input(&["create", "-f", "-"], &variants::owner(namespace).to_string())?;
        // Objects of an owner that does not exist would be collected as garbage.
        let path = format!("postgresql/{}", variants::NAME);
        let uid = scene.kubectl.run(&["get", &path, "-o", "jsonpath={.metadata.uid}"])?;
        let (variants, refused) = variants::all(namespace, &uid);
        println!("{} variants, {} that are refused alone: {refused:?}", variants.len(), refused.len());
        ensure!(variants.len() > 200, "only {} variants", variants.len());
        ensure!(refused.len() < 20, "too many cannot be rendered: {refused:#?}");
        let chosen = |(index, _): &(usize, &Variant)| long || index % SAMPLE == 0;
        let variants: Vec<&Variant> = variants.iter().enumerate().filter(chosen).map(|(_, v)| v).collect();
        let objects = distinct(&variants);
        scene.step(&format!("{} variants, {} distinct objects", variants.len(), objects.len()));
        let start = Instant::now();
        let live = written(scene, &objects)?;
        scene.step(&format!("written and read back in {:.1} s", start.elapsed().as_secs_f64()));
        let mut wrong = Vec::new();
        let mut changes = 0;
        for (variant, object) in &objects {
            let live = live.get(&key(&object.body)).with_context(|| format!("{} is lost", object.name))?;
            let found = Comparison::of(object, live, Part::Whole);
            if !found.is_empty() {
                wrong.push(format!("{variant}: {} {}: {:?}", object.kind, object.name, found.reasons()));
                continue;
            }
            let (count, missed) = sensitivity::missed(object, live);
            changes += count;
            wrong.extend(missed.into_iter().map(|missed| format!("{variant}: {} {missed}", object.kind)));
        }
        ensure!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
        println!(
            "round trip: {} variants, {} objects without a difference, {changes} changes all told",
            variants.len(),
            objects.len()
        );
        Ok(())
    });
}

/// Nothing that is written here may start pods or claim volumes.
fn no_pods(scene: &Scene) -> Result<()> {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0", "persistentvolumeclaims": "0"}}});
    scene.kubectl.run_with_input(&["create", "-f", "-"], &quota.to_string())?;
    Ok(())
}

/// Each object once, under a name of its own, with the variant that it comes from. StatefulSets at
/// every level; without replicas, unless the variant is about them.
fn distinct(variants: &[&Variant]) -> Vec<(String, Object)> {
    let mut seen = std::collections::BTreeSet::new();
    let mut objects = Vec::new();
    for variant in variants {
        let older = Level::all().map(|level| variant.intent.stateful_set_at(level));
        for object in variant.intent.objects().chain(older) {
            // Its definition belongs to somebody else.
            if object.kind == "FabricEventStream" || !seen.insert(object.body.to_string()) {
                continue;
            }
            let mut object = object.clone();
            object.name = format!("{}-v{}", object.name.trim_end_matches('.'), objects.len());
            object.body["metadata"]["name"] = json!(object.name);
            // A name of another namespace is only ever written there.
            object.body["metadata"]["namespace"] = json!(variant.intent.identity.namespace);
            let scaled = variant.name.contains("nstances");
            if matches!(object.kind.as_str(), "StatefulSet" | "Deployment") && !scaled {
                object.body["spec"]["replicas"] = json!(0);
            }
            objects.push((variant.name.clone(), object));
        }
    }
    objects
}

type Key = (String, String);

fn key(object: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Writes all of them as the operator does and reads them back.
fn written(scene: &Scene, objects: &[(String, Object)]) -> Result<BTreeMap<Key, Value>> {
    let manager = format!("--field-manager={FIELD_MANAGER}");
    let mut kinds: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for (_, object) in objects {
        kinds.entry(object.kind.clone()).or_default().push(&object.body);
    }
    let mut live = BTreeMap::new();
    for (kind, bodies) in kinds {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": bodies}).to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", &manager, "-f", "-"];
        scene.kubectl.run_with_input(&apply, &list)?;
        let list = scene.kubectl.json(&[&kind.to_lowercase(), "--show-managed-fields"])?;
        for object in list["items"].as_array().into_iter().flatten() {
            live.insert(key(object), object.clone());
        }
    }
    Ok(live)
}
