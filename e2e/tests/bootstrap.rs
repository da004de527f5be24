//! The first database of a cluster, when whoever makes it is killed.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::{Cluster, Kubectl, Look, Scene, wait_until};
use serde_json::json;

/// Begins a database with the real `initdb` and kills it before it is one.
const BEGIN_AND_KILL: &str = "
    set -e
    data=/home/postgres/pgdata/pgroot/data
    setpriv --reuid postgres --regid postgres --clear-groups \
        /usr/lib/postgresql/17/bin/initdb --pgdata $data >/dev/null 2>&1 &
    until test -e $data/PG_VERSION; do sleep 0.01; done
    kill -KILL $!
    pkill -KILL -x postgres || true
    rm -f $data/global/pg_control
    test -d $data/base";

/// As it was left by a pod that was deleted between Patroni's claim on the first database and its first
/// look at the answer: every later pod waited for ever.
#[test]
fn a_bootstrap_is_begun_anew_when_whoever_began_it_is_gone() {
    Scene::run("bootstrap_key", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = waiting_for_the_gone(kubectl, "acid-taken")?;
        scene.step("Patroni waits for somebody who is gone");
        cluster.wait_ready()?;
        scene.step("ready");
        ensure!(initialize(kubectl, "acid-taken")?.is_some_and(|system| !system.is_empty()), "no system");
        told(kubectl, "is gone")
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn what_a_killed_bootstrap_left_is_made_anew() {
    Scene::run("bootstrap_killed", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = waiting_for_the_gone(kubectl, "acid-killed")?;
        kubectl.run(&["exec", "acid-killed-0", "--", "bash", "-c", BEGIN_AND_KILL])?;
        let claim = uid(kubectl, "pvc/pgdata-acid-killed-0")?;
        patroni_says(kubectl, "acid-killed-0", "system ID is invalid")?;
        scene.step("what a killed initdb left is no database to Patroni");
        cluster.wait_ready()?;
        scene.step("ready");
        ensure!(uid(kubectl, "pvc/pgdata-acid-killed-0")? != claim, "the volume is the same");
        told(kubectl, "the bootstrap was cut off")?;
        let answer = cluster.sql("postgres", "select 42")?;
        ensure!(answer == "42", "{answer}");
        Ok(())
    });
}

/// A cluster whose Patroni waits, because the key says that somebody makes the first database.
fn waiting_for_the_gone(kubectl: &Kubectl, name: &str) -> Result<Cluster> {
    let key = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": format!("{name}-config"),
        "labels": {"application": "spilo", "cluster-name": name},
        "annotations": {"initialize": ""},
    }});
    kubectl.run_with_input(&["create", "-f", "-"], &key.to_string())?;
    let cluster = Cluster::create(kubectl, name, 1, "")?;
    patroni_says(kubectl, &format!("{name}-0"), "waiting for leader to bootstrap")?;
    ensure!(initialize(kubectl, name)?.as_deref() == Some(""), "the key is not empty");
    Ok(cluster)
}

fn patroni_says(kubectl: &Kubectl, pod: &str, words: &str) -> Result<()> {
    wait_until(&format!("Patroni says \"{words}\""), 60, || {
        let log = kubectl.run(&["logs", pod]).unwrap_or_default();
        Ok(Look::when(log.contains(words), log.lines().last().unwrap_or_default()))
    })
}

/// Patroni's key of this name; nothing when there is none.
fn initialize(kubectl: &Kubectl, name: &str) -> Result<Option<String>> {
    let config = kubectl.json(&["configmap", &format!("{name}-config")])?;
    Ok(config["metadata"]["annotations"]["initialize"].as_str().map(str::to_owned))
}

fn uid(kubectl: &Kubectl, resource: &str) -> Result<String> {
    Ok(kubectl.json(&[resource])?["metadata"]["uid"].as_str().context("no uid")?.to_owned())
}

/// The operator has said in an event why it did what it did.
fn told(kubectl: &Kubectl, words: &str) -> Result<()> {
    wait_until("an event tells of it", 20, || {
        let events = kubectl.events()?;
        Ok(Look::when(events.contains(words), events))
    })
}
