//! What an operator says about its settings, and an `OperatorConfiguration` for one.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::kubectl::Kubectl;
use crate::own_operator::OwnOperator;
use crate::wait::{Look, wait_until};

/// Name of the `OperatorConfiguration` that [`create_object`] makes.
pub const OBJECT: &str = "settings";

/// Makes an `OperatorConfiguration` with the image and the small resources of the local cluster.
///
/// # Errors
/// When it is refused.
pub fn create_object(kubectl: &Kubectl, docker_image: &str) -> Result<()> {
    let object = json!({
        "apiVersion": "acid.zalan.do/v1",
        "kind": "OperatorConfiguration",
        "metadata": {"name": OBJECT},
        "configuration": {
            "docker_image": docker_image,
            "postgres_pod_resources": {
                "default_cpu_request": "100m", "default_memory_request": "100Mi",
                "default_cpu_limit": "1", "default_memory_limit": "500Mi",
            },
        },
    });
    kubectl.run_with_input(&["create", "-f", "-"], &object.to_string())?;
    Ok(())
}

/// A merge patch of its `configuration`.
///
/// # Errors
/// When it is refused.
pub fn patch_object(kubectl: &Kubectl, configuration: &Value) -> Result<()> {
    let patch = json!({"configuration": configuration}).to_string();
    let object = format!("operatorconfiguration/{OBJECT}");
    kubectl.run(&["patch", &object, "--type=merge", "-p", &patch])?;
    Ok(())
}

/// A condition of it: status and message; empty when it is not there.
///
/// # Errors
/// When the object cannot be read.
pub fn object_condition(kubectl: &Kubectl, kind: &str) -> Result<(String, String)> {
    let object = kubectl.json(&[&format!("operatorconfiguration/{OBJECT}")])?;
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("message")))
}

/// The messages of events about an object, with the given reason, and the moment of the first.
///
/// # Errors
/// When events cannot be listed.
pub fn events(kubectl: &Kubectl, object: &str, reason: &str) -> Result<(Vec<String>, String)> {
    let selector = format!("--field-selector=involvedObject.name={object},reason={reason}");
    let list = kubectl.json(&["events", &selector])?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let moment = |event: &Value| {
        ["eventTime", "firstTimestamp"]
            .iter()
            .find_map(|key| event[key].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let messages = items.iter().filter_map(|event| event["message"].as_str()).map(str::to_owned).collect();
    let first = items.iter().map(moment).min().unwrap_or_default();
    Ok((messages, first))
}

/// As [`events`], once there is one.
///
/// # Errors
/// When there is none after `seconds`.
pub fn wait_for_event(
    kubectl: &Kubectl,
    object: &str,
    reason: &str,
    seconds: u64,
) -> Result<(Vec<String>, String)> {
    wait_until(&format!("an event {reason} about {object}"), seconds, || {
        let found = events(kubectl, object, reason)?;
        Ok(if found.0.is_empty() { Look::NotYet("none".to_owned()) } else { Look::Done(found) })
    })
}

/// The body of `/readyz`.
///
/// # Errors
/// When it cannot be asked for, or is no JSON.
pub fn readyz(own: &OwnOperator) -> Result<Value> {
    let answer = own.get("/readyz")?;
    serde_json::from_str(&answer.body).with_context(|| format!("/readyz said {:?}", answer.body))
}
