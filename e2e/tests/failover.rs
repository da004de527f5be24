//! The primary pod is killed: another takes over, and what was acknowledged stays.

use anyhow::{Result, ensure};
use matriarch_e2e::psql::Login;
use matriarch_e2e::writer::Writer;
use matriarch_e2e::{ClientPod, Cluster, Kubectl, Look, Pod, Scene, wait_until};

#[test]
fn killed_primary_is_replaced_and_rejoins() {
    Scene::run("failover", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = Cluster::create(kubectl, "acid-failover", 2, "")?;
        let client = ClientPod::start(kubectl, None)?;
        cluster.wait_ready()?;
        scene.step("ready");

        let old = cluster.primary()?;
        kubectl.run(&["delete", "pod", &old.name])?;
        let new = cluster.wait_for_other_primary(&old, 60)?;
        scene.step("the replica has taken over, the label shows it");
        service_leads_to(&cluster, &new)?;
        writable(&cluster, &client)?;
        scene.step("the Service leads to it");
        rejoined(&cluster, &client, &old)?;
        scene.step("the old primary has rejoined");
        cluster.wait_settled(60)
    });
}

#[test]
fn synchronous_mode_loses_no_acknowledged_row() {
    Scene::run("failover_synchronous", |scene| {
        let kubectl = &scene.kubectl;
        let synchronous = "  patroni:\n    synchronous_mode: true";
        let cluster = Cluster::create(kubectl, "acid-synchronous", 2, synchronous)?;
        let client = ClientPod::start(kubectl, None)?;
        cluster.wait_ready()?;
        let login = cluster.login("zalando", "foo")?;
        synchronous_replica(&cluster, kubectl, &client, &login)?;
        scene.step("ready, with a synchronous replica");

        let writer = Writer::start(&client, &login)?;
        let first = cluster.primary()?;
        kubectl.run(&["delete", "pod", &first.name, "--wait=false"])?;
        let second = cluster.wait_for_other_primary(&first, 90)?;
        writer.wait_for_more(60)?;
        scene.step("the writer goes on after a failover");

        cluster.wait_for_replica(&first.name, 120)?;
        synchronous_replica(&cluster, kubectl, &client, &login)?;
        crash(kubectl, &second)?;
        wait_until("the killed pod is made anew and ready", 180, || {
            let pods = cluster.pods()?;
            let again = pods.iter().any(|p| p.name == second.name && p.uid != second.uid && p.ready);
            Ok(Look::when(again, format!("{pods:?}")))
        })?;
        // Ready says little here: without a probe a pod is ready as soon as its container runs.
        synchronous_replica(&cluster, kubectl, &client, &login)?;
        writer.wait_for_more(90)?;
        let rows = writer.stop_and_check(&client, &login)?;
        scene.step(&format!("all of {rows} acknowledged rows are there"));
        Ok(())
    });
}

/// Without notice: PostgreSQL has no chance to shut down. Deleting the pod by force alone is not
/// enough for that: the kubelet still asks its processes to end, and rows are acknowledged by
/// the old server while the new pod is there already.
fn crash(kubectl: &Kubectl, pod: &Pod) -> Result<()> {
    // Everything but the first process and the shell; then the container ends.
    kubectl.run(&["exec", &pod.name, "--", "sh", "-c", "kill -9 -1"])?;
    kubectl.run(&["delete", "pod", &pod.name, "--grace-period=0", "--force"])?;
    Ok(())
}

fn service_leads_to(cluster: &Cluster, primary: &Pod) -> Result<()> {
    wait_until("the Service leads to the new primary alone", 30, || {
        let behind = cluster.behind_service(cluster.name())?;
        let alone = behind.len() == 1 && behind[0] == primary.name;
        Ok(Look::when(alone, behind.join(" ")))
    })
}

fn writable(cluster: &Cluster, client: &ClientPod) -> Result<()> {
    let login = cluster.login("zalando", "foo")?;
    wait_until("a write through the Service succeeds", 30, || {
        client.psql(&login, "create table if not exists after_failover (n int)")?;
        Ok(Look::Done(()))
    })
}

fn rejoined(cluster: &Cluster, client: &ClientPod, old: &Pod) -> Result<()> {
    cluster.wait_for_replica(&old.name, 120)?;
    let again = cluster.replicas()?.into_iter().find(|pod| pod.name == old.name);
    ensure!(again.is_some_and(|pod| pod.uid != old.uid), "{} is the same pod", old.name);
    let login = cluster.login("postgres", "postgres")?;
    wait_until("the old primary streams from the new one", 60, || {
        let sql = "select application_name from pg_stat_replication where state = 'streaming'";
        let streaming = client.psql(&login, sql)?;
        Ok(Look::when(streaming.lines().any(|name| name == old.name), streaming))
    })
}

/// PostgreSQL and Patroni must both know the synchronous replica: Patroni writes it into its
/// object only after PostgreSQL confirmed it, and promotes nobody who does not stand there.
fn synchronous_replica(
    cluster: &Cluster,
    kubectl: &Kubectl,
    client: &ClientPod,
    login: &Login,
) -> Result<()> {
    let object = format!("configmap/{}-sync", cluster.name());
    wait_until("a replica is synchronous", 90, || {
        let sql = "select application_name || ' ' || sync_state from pg_stat_replication";
        let states = client.psql(login, sql)?;
        let synchronous = states.contains(" sync") || states.contains(" quorum");
        Ok(Look::when(synchronous, states))
    })?;
    wait_until("Patroni has recorded the synchronous replica", 60, || {
        let annotations = "jsonpath={.metadata.annotations.leader} {.metadata.annotations.sync_standby}";
        let recorded = kubectl.run(&["get", &object, "-o", annotations])?;
        let names: Vec<&str> = recorded.split_whitespace().collect();
        Ok(Look::when(names.len() == 2 && names[0] != names[1], recorded))
    })
}
