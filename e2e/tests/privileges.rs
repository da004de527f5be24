//! An operator with nothing but the original's ClusterRole: it starts, says what is missing and
//! what it does without, and looks after clusters from creation to deletion.

use anyhow::{Result, ensure};
use matriarch_e2e::own_operator::{self, OwnOperator};
use matriarch_e2e::{Kubectl, Look, Scene, settings, wait_until};
use serde_json::json;

const ROLE: &str = include_str!("../../testdata/rbac/original-cluster-role.yaml");
const ROLE_NAME: &str = "original-operator";

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn the_originals_cluster_role_is_enough() {
    Scene::run("original_rights", |scene| {
        let kubectl = &scene.kubectl;
        kubectl.run_with_input(&["apply", "-f", "-"], ROLE)?;
        let own = OwnOperator::of(scene).cluster_role(ROLE_NAME).start()?;
        missing_rights_are_said(kubectl, &own)?;
        scene.step("missing rights are said in the log, an event and on /readyz");

        let cluster = own.create("acid-rights", 2, "")?;
        cluster.wait_settled(300)?;
        scene.step("a cluster is ready");
        let before = cluster.pods()?;
        cluster.patch(&json!({"spec": {"resources": {"requests": {"cpu": "110m", "memory": "110Mi"},
            "limits": {"cpu": "1", "memory": "500Mi"}}}}))?;
        wait_until("both pods are new", 240, || {
            let pods = cluster.pods()?;
            let old = pods.iter().filter(|pod| before.iter().any(|old| old.uid == pod.uid)).count();
            Ok(Look::when(old == 0 && pods.len() == 2, format!("{pods:?}")))
        })?;
        cluster.wait_settled(240)?;
        scene.step("a change has rolled");

        own.set(&[("pdb_master_label_selector", Some("false"))])?;
        wait_until("the budget follows, though it may only be made anew", 60, || {
            let budget = kubectl.json(&["poddisruptionbudget/postgres-acid-rights-pdb"])?;
            let selector = budget["spec"]["selector"]["matchLabels"].clone();
            Ok(Look::when(selector.get("spilo-role").is_none(), selector.to_string()))
        })?;
        settles(kubectl)?;
        scene.step("a budget was made anew, once");

        cluster.delete(180)?;
        let left = kubectl.run(&[
            "get",
            "statefulset,service,secret,pdb,pvc",
            "-o",
            "name",
            "-l",
            &cluster.selector(),
        ])?;
        ensure!(left.trim().is_empty(), "left behind: {left}");
        scene.step("the cluster is gone");
        Ok(())
    });
}

fn missing_rights_are_said(kubectl: &Kubectl, own: &OwnOperator) -> Result<()> {
    let expected = [
        "create leases",
        "get controllerrevisions",
        "watch secrets",
        "patch poddisruptionbudgets",
        "create events",
    ];
    let logs = own.logs()?;
    let told = settings::readyz(own)?["settings"]["missingRights"].to_string();
    for right in expected {
        ensure!(logs.contains(&format!("may not {right}")), "the log does not say {right}: {logs}");
        ensure!(told.contains(right), "/readyz does not say {right}: {told}");
    }
    let (events, _) = settings::events(kubectl, own_operator::NAME, "MissingRights")?;
    ensure!(events.len() == 1 && events[0].contains("may not"), "events: {events:?}");
    Ok(())
}

/// Nothing is written again and again: versions stay for two looks at the cluster.
fn settles(kubectl: &Kubectl) -> Result<()> {
    let versions = || {
        kubectl.run(&[
            "get",
            "statefulset/acid-rights",
            "poddisruptionbudget/postgres-acid-rights-pdb",
            "-o",
            "jsonpath={.items[*].metadata.generation} {.items[*].metadata.uid}",
        ])
    };
    std::thread::sleep(std::time::Duration::from_secs(5));
    let before = versions()?;
    std::thread::sleep(std::time::Duration::from_secs(70));
    let after = versions()?;
    ensure!(before == after, "objects change again and again: {before} → {after}");
    Ok(())
}
