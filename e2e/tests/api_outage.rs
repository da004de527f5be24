//! The API server is gone for two minutes: with failsafe mode the database goes on, and the
//! operator comes back by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use matriarch_e2e::api_server::Stopped;
use matriarch_e2e::{ClientPod, Cluster, Look, Pod, Scene, operator, wait_until};
use serde_json::{Value, json};

const OUTAGE: Duration = Duration::from_secs(120);

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn writes_go_on_while_the_api_server_is_gone() {
    Scene::run("api_outage", |scene| {
        let failsafe = "  patroni:\n    failsafe_mode: true";
        let cluster = Cluster::create(&scene.kubectl, "acid-outage", 2, failsafe)?;
        cluster.wait_ready()?;
        let client = ClientPod::start(&scene.kubectl, None)?;
        let login = cluster.login("zalando", "foo")?;
        client.ask(&login, "create table if not exists written (at timestamptz)")?;
        let config = cluster.patroni_config()?;
        ensure!(config["failsafe_mode"] == Value::Bool(true), "no failsafe mode: {config}");
        // Without the API server nobody can be started from outside: the client goes on by itself.
        let script = format!(
            "export PGPASSWORD='{}'; while [ ! -e /tmp/stop ]; do psql -X -q '{}' \
             -c 'insert into written values (clock_timestamp())'; sleep 0.3; done >/tmp/log 2>&1 &",
            login.password,
            login.conninfo()
        );
        client.run(&script)?;
        let before = (cluster.pods()?, restarts(scene)?, operator::pods()?);
        scene.step("a cluster with failsafe mode, and a writer beside it");

        let stopped = Stopped::now()?;
        let began = Instant::now();
        std::thread::sleep(OUTAGE);
        stopped.go_on()?;
        let gone = began.elapsed();
        scene.step(&format!("the API server was stopped for {:.0} s", gone.as_secs_f64()));
        wait_until("the API server answers", 60, || Ok(Look::when(cluster.object().is_ok(), "no")))?;
        cluster.wait_settled(120)?;
        // Nodes that could not report for so long may count as lost for a moment: their pods leave the
        // Service then, whatever the database does.
        let fresh = "select count(*) from written where at > clock_timestamp() - interval '1 second'";
        wait_until("rows are written again", 60, || {
            let rows = client.psql(&login, fresh)?;
            Ok(Look::when(rows != "0", "none in the last second"))
        })?;
        client.run("touch /tmp/stop")?;
        let sql = "select coalesce(max(extract(epoch from at - before)), 999)::int from (select at, \
                   lag(at) over (order by at) as before from written) as pairs";
        let longest: u64 = client.ask(&login, sql)?.parse()?;
        ensure!(longest < 30, "nothing was written for {longest} s: {}", client.run("tail -5 /tmp/log")?);
        ensure!(
            Pod::uids(&cluster.pods()?) == Pod::uids(&before.0),
            "pods were made anew: {:?}",
            cluster.pods()?
        );
        ensure!(restarts(scene)? == before.1, "containers were restarted");
        scene.step(&format!("longest time without a write: {longest} s; no pod restarted"));

        cluster.patch(&json!({"spec": {"numberOfInstances": 3}}))?;
        cluster.wait_settled(180)?;
        scene.step("the operator goes on");
        ensure!(operator::pods()? == before.2, "the operator was made anew: {:?}", operator::pods()?);
        Ok(())
    });
}

/// Restarts of the database containers, by pod.
fn restarts(scene: &Scene) -> Result<String> {
    let columns =
        "jsonpath={range .items[*]}{.metadata.name}={.status.containerStatuses[*].restartCount} {end}";
    scene.kubectl.run(&["get", "pods", "-l", "application=spilo", "-o", columns])
}
