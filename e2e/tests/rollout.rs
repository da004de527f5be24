//! A changed template rolls through three members while a client writes: one switchover, nothing
//! lost. A template that cannot run costs one member, and its correction heals.
#![allow(clippy::print_stdout)] // a test tells its figures

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use matriarch_e2e::writer::Writer;
use matriarch_e2e::{ClientPod, Cluster, Look, Pod, Scene, wait_until};
use serde_json::{Value, json};

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn a_rolling_update_under_a_synchronous_writer() {
    Scene::run("rollout_writer", |scene| {
        let synchronous = "  patroni:\n    synchronous_mode: true";
        let cluster = Cluster::create(&scene.kubectl, "acid-rollout", 3, synchronous)?;
        let client = ClientPod::start(&scene.kubectl, None)?;
        cluster.wait_ready()?;
        let login = cluster.login("zalando", "foo")?;
        let writer = Writer::start(&client, &login)?;
        synchronous_replica(&cluster)?;
        scene.step("three members, one of them synchronous, and a writer");

        let bare = switched_by_patroni_alone(scene, &cluster, &writer)?;
        scene.step(&format!("a switchover of Patroni alone: no write for {:.2} s", bare.as_secs_f64()));
        let before = (cluster.pods()?, cluster.timeline()?);
        let began = Instant::now();
        cluster.patch(&json!({"spec": {"resources": {
            "requests": {"cpu": "60m", "memory": "110Mi"}, "limits": {"cpu": "900m", "memory": "490Mi"},
        }}}))?;
        cluster.wait_rolled(&before.0, 300)?;
        writer.wait_for_more(60)?;
        let ours = longest(scene, &writer, began);
        let switchovers = cluster.timeline()? - before.1;
        ensure!(switchovers == 1, "{switchovers} changes of the primary instead of one");
        let rows = writer.stop_and_check(&client, &login)?;
        scene.step(&format!("rolled with one switchover; all of {rows} acknowledged rows are there"));
        println!(
            "e2e rollout_writer: longest time without a write: {:.2} s in the rolling update, {:.2} s in a \
             switchover of Patroni alone, ratio {:.2}",
            ours.as_secs_f64(),
            bare.as_secs_f64(),
            ours.as_secs_f64() / bare.as_secs_f64()
        );
        Ok(())
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn a_sidecar_that_cannot_run_costs_one_member() {
    Scene::run("bad_sidecar", |scene| {
        let sidecar = json!([{"name": "broken", "image": "localhost/matriarch/there-is-none:dev"}]);
        stops_and_heals(scene, "acid-sidecar", &json!({"sidecars": sidecar}), &json!({"sidecars": null}))
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn an_absurd_request_costs_one_member() {
    Scene::run("absurd_request", |scene| {
        let resources = json!({"requests": {"cpu": "900"}, "limits": {"cpu": "900"}});
        stops_and_heals(scene, "acid-absurd", &json!({"resources": resources}), &json!({"resources": null}))
    });
}

/// The change costs one replica and says why; taken back, that replica alone is made anew.
fn stops_and_heals(scene: &Scene, name: &str, change: &Value, back: &Value) -> Result<()> {
    let cluster = Cluster::create(&scene.kubectl, name, 3, "")?;
    cluster.wait_ready()?;
    scene.step("ready with three members");
    let (before, primary) = (cluster.pods()?, cluster.primary()?);
    cluster.patch(&json!({ "spec": change }))?;
    let said = wait_until("the operator says that the roll-out is blocked", 180, || {
        let object = cluster.object()?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let blocked = conditions.into_iter().find(|c| c["type"] == "Degraded" && c["status"] == "True");
        Ok(match blocked {
            Some(condition) if condition["reason"] == "RolloutBlocked" => {
                Look::Done(condition["message"].as_str().unwrap_or_default().to_owned())
            }
            other => Look::NotYet(format!("{other:?}")),
        })
    })?;
    scene.step(&format!("blocked: {said}"));
    // It has said so; a while later nothing more may have happened.
    std::thread::sleep(Duration::from_secs(15));
    let untouched =
        |pods: &[Pod]| pods.iter().filter(|pod| before.iter().any(|old| old.uid == pod.uid)).count();
    let pods = cluster.pods()?;
    ensure!(untouched(&pods) == 2, "it did not stop at one pod: {pods:?}");
    ensure!(cluster.primary()?.uid == primary.uid, "the primary was touched: {pods:?}");

    cluster.patch(&json!({ "spec": back }))?;
    cluster.wait_settled(240)?;
    ensure!(untouched(&cluster.pods()?) == 2, "more than one pod was made anew: {:?}", cluster.pods()?);
    scene.step("healed");
    Ok(())
}

/// How long the writer stands still when Patroni is told to switch over by hand.
fn switched_by_patroni_alone(scene: &Scene, cluster: &Cluster, writer: &Writer) -> Result<Duration> {
    let old = cluster.primary()?;
    let began = Instant::now();
    let answer = cluster.patroni(&old.name, "POST", "/switchover", &json!({"leader": old.name}))?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    cluster.wait_for_other_primary(&old, 60)?;
    writer.wait_for_more(60)?;
    cluster.wait_settled(120)?;
    synchronous_replica(cluster)?;
    Ok(longest(scene, writer, began))
}

/// The longest pause of the writer; all of them are said.
fn longest(scene: &Scene, writer: &Writer, since: Instant) -> Duration {
    let pauses = writer.pauses(since);
    for (at, pause) in &pauses {
        scene.step(&format!(
            "no write for {:.2} s, {:.1} s after the beginning",
            pause.as_secs_f64(),
            at.as_secs_f64()
        ));
    }
    pauses.into_iter().map(|(_, pause)| pause).max().unwrap_or_default()
}

/// Patroni has recorded a synchronous replica, and both replicas stream.
fn synchronous_replica(cluster: &Cluster) -> Result<()> {
    wait_until("a replica is synchronous and both stream", 90, || {
        let members = cluster.members()?;
        let streaming = members.iter().filter(|member| member["state"] == "streaming").count();
        let synchronous = members.iter().any(|member| member["role"] == "sync_standby");
        Ok(Look::when(streaming == 2 && synchronous, format!("{members:?}")))
    })
}
