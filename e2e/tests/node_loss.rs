//! The network of the primary's node goes down: the Service reaches a new primary, and
//! the member rejoins when its node is back.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::node::{Cordon, Down};
use matriarch_e2e::{ClientPod, Cluster, Kubectl, Look, Pod, Scene, operator, wait_until};

#[test]
fn primary_survives_the_loss_of_its_node() {
    Scene::run("node_loss", |scene| {
        let kubectl = &scene.kubectl;
        let safe = safe_node()?;
        let client = ClientPod::start(kubectl, Some(&safe))?;
        let (cluster, primary) = cluster_away_from(kubectl, &safe)?;
        scene.step(&format!("primary on {}, operator and client on {safe}", primary.node));
        let login = cluster.login("zalando", "foo")?;
        client
            .ask(&login, "create table if not exists written (number int); insert into written values (1)")?;

        caught_up(&client, &cluster)?;

        let down = Down::take(&primary.node)?;
        scene.step("the node's network is down");
        wait_until("SQL through the Service reaches the new primary", 180, || {
            client.psql(&login, "insert into written values (2)")?;
            Ok(Look::Done(()))
        })?;
        scene.step("the new primary answers");
        let new = cluster.wait_for_other_primary(&primary, 60)?;
        ensure!(new.node != primary.node, "{new:?} is on the lost node");
        let rows = client.ask(&login, "select count(distinct number) from written")?;
        ensure!(rows == "2", "{rows} rows instead of 2");

        down.give_back()?;
        wait_for_node(kubectl, &primary.node)?;
        scene.step("the node is back");
        cluster.wait_for_replica(&primary.name, 180)?;
        scene.step("the member has rejoined");
        cluster.wait_settled(90)
    });
}

/// Replication is asynchronous: what the replica has not got is rightly lost with the node.
fn caught_up(client: &ClientPod, cluster: &Cluster) -> Result<()> {
    let login = cluster.login("postgres", "postgres")?;
    wait_until("the replica has all of the WAL", 30, || {
        let sql = "select state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)
            from pg_stat_replication";
        let seen = client.psql(&login, sql)?;
        Ok(Look::when(seen == "streaming|0", seen))
    })
}

/// The node that may not be lost: it carries one of the operators, and the client goes there too.
/// The other operator may be lost with the primary.
fn safe_node() -> Result<String> {
    operator::wait_for_rollout()?;
    operator::nodes()?.into_iter().next().context("the operator runs nowhere")
}

/// A cluster whose two pods are on two nodes, neither of them the safe one.
fn cluster_away_from(kubectl: &Kubectl, safe: &str) -> Result<(Cluster, Pod)> {
    let _no_pods_there = Cordon::set(kubectl, safe)?;
    // The shortest times that Patroni takes: the test waits for the lock to run out.
    let times = "  patroni:\n    ttl: 20\n    loop_wait: 5\n    retry_timeout: 5";
    let cluster = Cluster::create(kubectl, "acid-node-loss", 2, times)?;
    cluster.wait_ready()?;
    let primary = cluster.primary()?;
    let together = cluster.pods()?.iter().all(|pod| pod.node == primary.node);
    if together {
        let _nor_there = Cordon::set(kubectl, &primary.node)?;
        let replica = cluster.replicas()?.into_iter().next().context("no replica")?;
        kubectl.run(&["delete", "pod", &replica.name])?;
        cluster.wait_for_replica(&replica.name, 120)?;
        cluster.wait_settled(60)?;
    }
    Ok((cluster, primary))
}

fn wait_for_node(kubectl: &Kubectl, node: &str) -> Result<()> {
    let name = format!("node/{node}");
    kubectl.run(&["wait", "--for=condition=Ready", &name, "--timeout=120s"])?;
    Ok(())
}
