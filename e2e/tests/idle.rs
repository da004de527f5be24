//! Clusters at rest: the operator looks at them again and again, and writes nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use matriarch_e2e::api_server::Audit;
use matriarch_e2e::{Cluster, OwnOperator, Scene};

/// `MATRIARCH_IDLE_MINUTES` makes it shorter, to try it.
const MINUTES: u64 = 60;

#[test]
#[ignore = "an hour: cargo xtask test --long"]
fn an_hour_at_rest_writes_nothing_and_restarts_nobody() {
    Scene::run("idle", |scene| {
        let operator = OwnOperator::of(scene).setting("resync_period", "30s").start()?;
        let clusters: Vec<Cluster> =
            (1..=3).map(|n| operator.create(&format!("acid-idle-{n}"), n, "")).collect::<Result<_>>()?;
        for cluster in &clusters {
            cluster.wait_ready()?;
        }
        for cluster in &clusters {
            cluster.wait_settled(120)?;
        }
        // What follows from becoming Ready, events for example, is written.
        std::thread::sleep(Duration::from_secs(45));
        let minutes = std::env::var("MATRIARCH_IDLE_MINUTES").ok().and_then(|text| text.parse().ok());
        let minutes = minutes.unwrap_or(MINUTES);
        let (audit, before) = (Audit::begin()?, state(scene)?);
        scene.step(&format!("three clusters at rest; {minutes} minutes begin"));
        std::thread::sleep(Duration::from_secs(60 * minutes));
        let account = format!("{}:operator", scene.kubectl.namespace());
        let mut writes = audit.writes_of(&account)?;
        let renewals = writes.remove("update leases").unwrap_or_default();
        ensure!(renewals > 0, "the audit log counts nothing of {account}");
        ensure!(writes.is_empty(), "it wrote: {writes:?}");
        let after = state(scene)?;
        ensure!(after == before, "before:\n{before}\nafter:\n{after}");
        scene.step(&format!("{minutes} minutes: no write but {renewals} renewals of the Lease, no restart"));
        Ok(())
    });
}

/// Uids and restarts of all pods.
fn state(scene: &Scene) -> Result<String> {
    let columns = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} \
                   {.status.containerStatuses[*].restartCount}{\"\\n\"}{end}";
    scene.kubectl.run(&["get", "pods", "-o", columns])
}
