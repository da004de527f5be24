//! Tables of inputs and what is rendered from them.

use std::collections::BTreeMap;

use matriarch_settings::Settings;
use serde_json::{Value, json};

use super::{render, render_with};
use crate::intent::{Intent, SecretKey};
use crate::level::Level;
use crate::references::{Facts, InfrastructureRole, Reference, References};
use crate::validate::Cluster;

mod affinity;
mod budgets;
mod configuration;
mod defects;
mod environment;
mod examples;
mod objects;
mod poolers;
mod prepared;
mod resources;
mod services;
mod version;
mod volumes;

/// A manifest with `spec` merged over the four required fields.
fn manifest(name: &str, spec: Value) -> Value {
    let mut manifest = json!({
        "apiVersion": "acid.zalan.do/v1",
        "kind": "postgresql",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "teamId": "acid",
            "numberOfInstances": 2,
            "volume": {"size": "1Gi"},
            "postgresql": {"version": "18"},
        },
    });
    if let (Some(into), Value::Object(from)) = (manifest["spec"].as_object_mut(), spec) {
        into.extend(from);
    }
    manifest
}

fn cluster(manifest: &Value, settings: &Settings) -> Cluster {
    Cluster::validate(manifest, settings).unwrap()
}

fn intent(manifest: &Value, settings: &Settings) -> Intent {
    render(&cluster(manifest, settings), settings)
}

/// `spec.template.spec` at a level.
fn pod_at(intent: &Intent, level: Level) -> &Value {
    &intent.stateful_set_at(level).body["spec"]["template"]["spec"]
}

/// A container of the pod at a level.
fn container_at<'a>(intent: &'a Intent, level: Level, name: &str) -> &'a Value {
    let containers = pod_at(intent, level)["containers"].as_array().unwrap();
    containers.iter().find(|c| c["name"] == json!(name)).unwrap()
}

/// Fields of the notices.
fn told(intent: &Intent) -> Vec<&str> {
    intent.notices.iter().map(|notice| notice.field.as_str()).collect()
}

fn pod(intent: &Intent) -> &Value {
    &intent.stateful_set.body["spec"]["template"]["spec"]
}

fn container<'a>(intent: &'a Intent, name: &str) -> &'a Value {
    pod(intent)["containers"].as_array().unwrap().iter().find(|c| c["name"] == json!(name)).unwrap()
}

/// `NAME=value`, or `NAME<-source` for variables that come from elsewhere.
fn variables(container: &Value) -> Vec<String> {
    let text = |variable: &Value| {
        let name = variable["name"].as_str().unwrap();
        let from = &variable["valueFrom"];
        match variable["value"].as_str() {
            Some(value) => format!("{name}={value}"),
            None if from["fieldRef"].is_object() => {
                format!("{name}<-{}", from["fieldRef"]["fieldPath"].as_str().unwrap())
            }
            None => format!(
                "{name}<-{}/{}",
                from["secretKeyRef"]["name"].as_str().unwrap(),
                from["secretKeyRef"]["key"].as_str().unwrap()
            ),
        }
    };
    container["env"].as_array().unwrap().iter().map(text).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn with_references(manifest: &Value, settings: &Settings, references: &References) -> Intent {
    render_with(&cluster(manifest, settings), settings, references, &Facts::default())
}
