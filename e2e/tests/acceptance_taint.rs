//! The acceptance row that drives pods from a node. No other test runs beside it: the pods of
//! others would go too.

use anyhow::ensure;
use matriarch_e2e::node::Taint;
use matriarch_e2e::{Look, OwnOperator, Scene, operator, wait_until};

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn taint_based_eviction() {
    Scene::run("taint_based_eviction", |scene| {
        let kubectl = &scene.kubectl;
        let own = OwnOperator::of(scene).start()?;
        let cluster = own.create("acid-minimal-cluster", 2, "")?;
        cluster.wait_ready()?;
        let old = cluster.primary()?;
        let taint = Taint::set(kubectl, &old.node, "postgres:NoExecute")?;
        scene.step("the primary's node drives pods away");
        wait_until("both members run on other nodes", 120, || {
            let pods = cluster.pods()?;
            let up = pods.len() == 2 && pods.iter().all(|pod| pod.ready && pod.node != old.node);
            Ok(Look::when(up && cluster.running_members()? == 2, format!("{pods:?}")))
        })?;
        own.wait_for_rollout()?;
        let before = cluster.pods()?;
        own.set(&[("toleration", Some("key:postgres,operator:Exists,effect:NoExecute"))])?;
        cluster.wait_rolled(&before, 120)?;
        for pod in cluster.pods()? {
            let tolerations = cluster.pod(&pod.name)?["spec"]["tolerations"].clone();
            let tolerates = tolerations.as_array().into_iter().flatten().any(|t| t["key"] == "postgres");
            ensure!(tolerates, "{} does not tolerate the taint: {tolerations}", pod.name);
        }
        scene.step("the pods tolerate it");
        drop(taint);
        let before = cluster.pods()?;
        own.set(&[("enable_pod_antiaffinity", Some("true"))])?;
        cluster.wait_rolled(&before, 120)?;
        let pods = cluster.pods()?;
        ensure!(pods[0].node != pods[1].node, "both pods are on one node: {pods:?}");
        ensure!(cluster.running_members()? == 2, "not two running members");
        operator::wait_for_rollout()
    });
}
