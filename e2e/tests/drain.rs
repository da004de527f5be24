//! `kubectl drain` of the primary's node: the primary moves away first, by one switchover.

use anyhow::{Context, ensure};
use matriarch_e2e::node::Cordon;
use matriarch_e2e::writer::Writer;
use matriarch_e2e::{ClientPod, Cluster, Scene, operator};

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn draining_the_primarys_node_takes_one_switchover() {
    Scene::run("drain", |scene| {
        operator::wait_for_rollout()?;
        let kubectl = &scene.kubectl;
        let synchronous = "  patroni:\n    synchronous_mode: true";
        let cluster = Cluster::create(kubectl, "acid-drain", 3, synchronous)?;
        cluster.wait_ready()?;
        let primary = cluster.primary()?;
        let elsewhere = cluster.pods()?.into_iter().find(|pod| pod.node != primary.node);
        let elsewhere = elsewhere.context("all members are on one node: nothing to move to")?;
        let client = ClientPod::start(kubectl, Some(&elsewhere.node))?;
        let login = cluster.login("zalando", "foo")?;
        let writer = Writer::start(&client, &login)?;
        let before = cluster.timeline()?;
        scene.step(&format!("primary {} on {}", primary.name, primary.node));

        // Given back whatever happens.
        let _cordon = Cordon::set(kubectl, &primary.node)?;
        let drained = kubectl.run(&[
            "drain",
            &primary.node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--force",
            "--pod-selector",
            &cluster.selector(),
            "--timeout=180s",
        ]);
        drained.context("the drain was blocked")?;
        scene.step("the node is drained");
        let new = cluster.wait_for_other_primary(&primary, 90)?;
        ensure!(new.node != primary.node, "{new:?} is on the drained node");
        writer.wait_for_more(60)?;
        cluster.wait_settled(180)?;
        let switchovers = cluster.timeline()? - before;
        ensure!(switchovers == 1, "{switchovers} changes of the primary instead of one");
        let rows = writer.stop_and_check(&client, &login)?;
        scene.step(&format!("one switchover; all of {rows} acknowledged rows are there"));
        Ok(())
    });
}
