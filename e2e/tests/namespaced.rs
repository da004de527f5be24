//! The operator with Roles only, for one namespace: `deploy/namespaced`.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::{Cluster, Kubectl, Scene, operator};
use serde_json::{Value, json};

#[test]
fn roles_are_enough_for_one_namespace() {
    Scene::run("namespaced", |scene| {
        let kubectl = &scene.kubectl;
        let objects = rendered(kubectl.namespace())?;
        let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        ensure!(!kinds.iter().any(|kind| kind.starts_with("Cluster")), "cluster-scoped: {kinds:?}");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        kubectl.run_with_input(&["create", "-f", "-"], &list.to_string())?;
        let rolled = kubectl.run(&["rollout", "status", "deployment/matriarch", "--timeout=120s"]);
        rolled.with_context(|| kubectl.run(&["logs", "deployment/matriarch"]).unwrap_or_default())?;
        scene.step("the operator runs");

        // Named for it, so that the shared operator leaves it alone.
        let annotation =
            format!("\nmetadata:\n  annotations:\n    acid.zalan.do/controller: {}\n", kubectl.namespace());
        let manifest = matriarch_e2e::cluster::manifest("acid-namespaced", 2, "");
        kubectl
            .run_with_input(&["create", "-f", "-"], &manifest.replacen("\nmetadata:\n", &annotation, 1))?;
        let cluster = Cluster::new(kubectl, "acid-namespaced");
        cluster.wait_ready()?;
        cluster.wait_settled(60)?;
        scene.step("its cluster runs");
        cluster.delete(120)
    });
}

/// The folder's objects in this namespace, with the images and settings of the local operator.
fn rendered(namespace: &str) -> Result<Vec<Value>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/namespaced");
    let kubectl = Kubectl::new(namespace);
    let text = kubectl.run(&["kustomize", folder])?;
    let text = text.replace("namespace: postgres\n", &format!("namespace: {namespace}\n"));
    let text = text.replace("value: postgres\n", &format!("value: {namespace}\n"));
    let json = kubectl.run_with_input(&["create", "-f", "-", "--dry-run=client", "-o", "json"], &text)?;
    let mut objects = Vec::new();
    for object in serde_json::Deserializer::from_str(&json).into_iter::<Value>() {
        let object = object?;
        match object["items"].as_array() {
            Some(items) => objects.extend(items.clone()),
            None => objects.push(object),
        }
    }
    let shared = operator::kubectl().json(&[operator::DEPLOYMENT])?;
    let settings = operator::kubectl().json(&["configmap/matriarch"])?;
    for object in &mut objects {
        match object["kind"].as_str() {
            Some("Deployment") => {
                let image = shared["spec"]["template"]["spec"]["containers"][0]["image"].clone();
                let container = &mut object["spec"]["template"]["spec"]["containers"][0];
                container["image"] = image;
                let id = json!({"name": "CONTROLLER_ID", "value": namespace});
                container["env"].as_array_mut().context("no environment")?.push(id);
            }
            Some("ConfigMap") => object["data"]["docker_image"] = settings["data"]["docker_image"].clone(),
            _ => {}
        }
    }
    Ok(objects)
}
