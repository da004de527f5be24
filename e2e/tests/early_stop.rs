//! Pods and clusters that are stopped while they begin.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::{Cluster, Look, Scene, wait_until};
use serde_json::{Value, json};

/// Much less than the pods' own grace period of five minutes.
const SOON: u64 = 30;

#[test]
fn a_pod_that_is_deleted_in_its_first_second_ends_soon() {
    Scene::run("early_stop", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = Cluster::create(kubectl, "acid-early", 1, "")?;
        let pod = "acid-early-0";
        let uid = wait_until("the container has started", 90, || {
            let seen = kubectl.json(&["pod", pod])?;
            let started = !seen["status"]["containerStatuses"][0]["state"]["running"].is_null();
            let uid = seen["metadata"]["uid"].as_str().context("no uid")?.to_owned();
            Ok(if started { Look::Done(uid) } else { Look::NotYet(seen["status"]["phase"].to_string()) })
        })?;
        kubectl.run(&["delete", "pod", pod, "--wait=false"])?;
        scene.step("deleted as soon as it had started");
        wait_until("the pod has ended", SOON, || {
            let seen = kubectl.json(&["pods", "-l", &cluster.selector()])?;
            let there = seen["items"].as_array().into_iter().flatten().any(|p| p["metadata"]["uid"] == *uid);
            Ok(Look::when(!there, "it is terminating"))
        })?;
        scene.step("ended");
        cluster.wait_ready()
    });
}

#[test]
fn a_replication_user_without_replication_gets_it_back() {
    Scene::run("replication_role", |scene| {
        let cluster = Cluster::create(&scene.kubectl, "acid-role", 1, "")?;
        cluster.wait_ready()?;
        // As a cluster is left that was stopped between the role and its attribute.
        cluster.sql("postgres", "alter role standby noreplication")?;
        ensure!(attribute(&cluster)? == "f", "the role has it still");
        cluster.patch(&json!({"spec": {"numberOfInstances": 2}}))?;
        wait_until("the role has its attribute again", 60, || {
            let seen = attribute(&cluster)?;
            Ok(Look::when(seen == "t", seen))
        })?;
        scene.step("given back");
        cluster.wait_settled(120)?;
        let answer = cluster.patroni(&cluster.primary()?.name, "GET", "/cluster", &Value::Null)?;
        ensure!(answer.body.contains("streaming"), "no replica streams: {}", answer.body);
        Ok(())
    });
}

fn attribute(cluster: &Cluster) -> Result<String> {
    cluster.sql("postgres", "select rolreplication from pg_roles where rolname = 'standby'")
}
