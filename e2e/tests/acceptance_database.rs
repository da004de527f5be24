//! Acceptance rows about what Patroni and PostgreSQL run with. The names are those of the
//! original's own end-to-end tests; docs/reference/acceptance.md lists them all.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::{Cluster, Look, OwnOperator, Pod, Scene, wait_until};
use serde_json::{Value, json};

const NAME: &str = "acid-minimal-cluster";

#[test]
fn config_update() {
    Scene::run("config_update", |scene| {
        let cluster = Cluster::create(&scene.kubectl, NAME, 2, "")?;
        cluster.wait_ready()?;
        let before = cluster.pods()?;
        cluster.patch(&json!({"spec": {
            "databases": {"bar": "zalando"},
            "postgresql": {"parameters": {"max_connections": "50", "wal_level": "logical"}},
            "patroni": {
                "slots": {"first_slot": {"type": "physical"}},
                "ttl": 29, "loop_wait": 9, "retry_timeout": 9,
                "synchronous_mode": true, "failsafe_mode": true,
            },
        }}))?;
        configured(&cluster, "the manifest's options", |config| {
            let numbers = [("ttl", 29), ("loop_wait", 9), ("retry_timeout", 9)];
            let parameters = &config["postgresql"]["parameters"];
            numbers.iter().all(|(key, number)| config[key] == *number)
                && config["synchronous_mode"] == true
                && config["failsafe_mode"] == true
                && config["slots"]["first_slot"]["type"] == "physical"
                && parameters["max_connections"] == "50"
                && parameters["wal_level"] == "logical"
        })?;
        // The original restarts the replica too early for it to take the smaller value, and needs
        // a restart of its own to see that. Here both come to it.
        max_connections(&cluster, "50")?;
        scene.step("both members run with the manifest's options");

        cluster.patch(&json!({"spec": {"postgresql": {"parameters": {"max_connections": "30"}}}}))?;
        max_connections(&cluster, "30")?;
        scene.step("a smaller max_connections came to both");
        slots(&cluster, scene)?;
        cluster.wait_settled(60)?;
        ensure!(Pod::uids(&cluster.pods()?) == Pod::uids(&before), "pods were made anew");
        Ok(())
    });
}

fn configured(cluster: &Cluster, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
    wait_until(&format!("Patroni has {what}"), 60, || {
        let config = cluster.patroni_config()?;
        Ok(Look::when(holds(&config), config.to_string()))
    })
}

fn max_connections(cluster: &Cluster, wanted: &str) -> Result<()> {
    wait_until(&format!("max_connections is {wanted} everywhere"), 120, || {
        let ask = |pod: &Pod| cluster.sql_in(&pod.name, "postgres", "show max_connections");
        let seen = cluster.pods()?.iter().map(ask).collect::<Result<Vec<_>>>()?;
        Ok(Look::when(seen.len() == 2 && seen.iter().all(|value| value == wanted), seen.join(" ")))
    })
}

/// Slots of the manifest come, change and go; one that somebody else made stays.
fn slots(cluster: &Cluster, scene: &Scene) -> Result<()> {
    let foreign = json!({"slots": {"test_patroni_slot": {"type": "physical"}}});
    let answer = cluster.patroni(&cluster.primary()?.name, "PATCH", "/config", &foreign)?;
    ensure!(answer.status == 200, "Patroni refuses a slot: {}", answer.body);
    let logical = |database: &str| json!({"type": "logical", "database": database, "plugin": "pgoutput"});
    cluster.patch(&json!({"spec": {"patroni": {"slots": {
        "test_slot": logical("foo"), "test_slot_2": {"type": "physical"}}}}}))?;
    configured(cluster, "the new slots", |config| {
        config["slots"]["test_slot"] == logical("foo") && config["slots"]["test_slot_2"]["type"] == "physical"
    })?;
    in_catalog(cluster, "first_slot test_patroni_slot test_slot=foo test_slot_2")?;
    scene.step("slots of the manifest and a foreign one are there");

    cluster.patch(&json!({"spec": {"patroni": {"slots": {
        "test_slot": logical("bar"), "test_slot_2": null}}}}))?;
    configured(cluster, "the changed slots and the foreign one", |config| {
        config["slots"]["test_slot"] == logical("bar")
            && config["slots"]["test_slot_2"].is_null()
            && config["slots"]["test_patroni_slot"]["type"] == "physical"
    })?;
    in_catalog(cluster, "first_slot test_patroni_slot test_slot=bar")?;
    scene.step("one slot changed its database, one is gone");
    Ok(())
}

/// The slots of the primary that are not its members' own.
fn in_catalog(cluster: &Cluster, wanted: &str) -> Result<()> {
    let sql = "select string_agg(slot_name || coalesce('=' || database, ''), ' ' order by slot_name) \
               from pg_replication_slots where slot_name !~ '^acid'";
    wait_until(&format!("PostgreSQL has the slots {wanted}"), 60, || {
        let seen = cluster.sql("postgres", sql)?;
        Ok(Look::when(seen == wanted, seen))
    })
}

const SUCCESS: &str = "last-major-upgrade-success";
const FAILURE: &str = "last-major-upgrade-failure";

#[test]
fn major_version_upgrade() {
    Scene::pending("major_version_upgrade", "major version upgrades", |scene| {
        // The local image has 15, 17 and 18, where the original's test goes from 14 by 15 to 16.
        let operator = OwnOperator::of(scene).setting("major_version_upgrade_mode", "full").start()?;
        let text =
            operator.manifest("acid-upgrade-test", 2, "").replace("version: \"17\"", "version: \"15\"");
        scene.kubectl.run_with_input(&["create", "-f", "-"], &text)?;
        let cluster = Cluster::new(&scene.kubectl, "acid-upgrade-test");
        cluster.wait_ready()?;
        let wants = |version: &str, windows: Value| {
            cluster
                .patch(&json!({"spec": {"postgresql": {"version": version}, "maintenanceWindows": windows}}))
        };
        let window = |from: &str, to: &str| -> Result<Value> {
            let time = |offset: &str| {
                let sql =
                    format!("select to_char((now() at time zone 'utc') + interval '{offset}', 'HH24:MI')");
                cluster.sql("postgres", &sql)
            };
            Ok(json!([format!("{}-{}", time(from)?, time(to)?)]))
        };
        version(&cluster, 15, 60)?;
        wants("17", window("60 min", "120 min")?)?;
        cluster.wait_settled(120)?;
        version(&cluster, 15, 5)?;
        ensure!(annotation(&cluster, FAILURE)?.is_null(), "outside its window it is no failure");
        scene.step("outside the window it waits");

        wants("17", window("-60 min", "60 min")?)?;
        version(&cluster, 17, 240)?;
        let first = annotation(&cluster, SUCCESS)?;
        ensure!(first.is_string(), "no annotation {SUCCESS}");
        scene.step("inside the window it is done");

        cluster.patch(&json!({"metadata": {"annotations": {FAILURE: first}}}))?;
        wants("18", json!(null))?;
        cluster.wait_settled(180)?;
        version(&cluster, 17, 5)?;
        scene.step("after a failure it is not tried again");
        wants("17", json!(null))?;
        wait_until("the failure is taken back", 60, || {
            let seen = annotation(&cluster, FAILURE)?;
            Ok(Look::when(seen.is_null(), seen.to_string()))
        })?;
        version(&cluster, 17, 60)
    });
}

fn version(cluster: &Cluster, wanted: u32, seconds: u64) -> Result<()> {
    wait_until(&format!("PostgreSQL {wanted} runs"), seconds, || {
        let seen = cluster.sql("postgres", "show server_version_num")?;
        Ok(Look::when(seen.starts_with(&wanted.to_string()), seen))
    })
}

fn annotation(cluster: &Cluster, name: &str) -> Result<Value> {
    Ok(cluster.object()?["metadata"]["annotations"][name].clone())
}

#[test]
fn standby_cluster() {
    Scene::pending("standby_cluster", "standby clusters", |scene| {
        let kubectl = &scene.kubectl;
        let source = Cluster::create(kubectl, NAME, 1, "")?;
        source.wait_ready()?;
        let standby = Cluster::new(kubectl, "acid-standby-cluster");
        for role in ["postgres", "standby"] {
            let secret = json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": standby.secret(role), "labels": {"cluster-name": standby.name()}},
                "stringData": {"username": role, "password": source.password(role)?}});
            kubectl.run_with_input(&["create", "-f", "-"], &secret.to_string())?;
        }
        let host = format!("  standby:\n    standby_host: {NAME}.{}", kubectl.namespace());
        Cluster::create(kubectl, standby.name(), 1, &host)?;
        wait_until("the standby's leader runs", 180, || {
            let primary = standby.primary()?;
            let recovers = standby.sql("postgres", "select pg_is_in_recovery()")?;
            Ok(Look::when(recovers == "t", format!("{primary:?} {recovers}")))
        })?;
        standby.delete(120)?;
        let left = kubectl.names("pods", &standby.selector())?;
        ensure!(left.is_empty(), "pods are left: {left:?}");
        Ok(())
    });
}

#[test]
fn stream_resources() {
    Scene::pending("stream_resources", "event streams", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = Cluster::create(
            kubectl,
            NAME,
            1,
            "    parameters: {wal_level: logical}\n  patroni:\n    slots:\n      manual_slot: {type: physical}",
        )?;
        cluster.wait_ready()?;
        cluster.sql("foo", "create table public.test_table (id serial primary key, payload jsonb)")?;
        cluster.sql("foo", "create publication mypublication for table public.test_table")?;
        let stream = |application: &str, table: &str| {
            json!({"applicationId": application, "database": "foo",
                "tables": {table: {"eventType": "test-event", "idColumn": "id", "payloadColumn": "payload"}}})
        };
        cluster.patch(&json!({"spec": {"streams":
            [stream("test-app", "public.test_table"), stream("test-app2", "public.missing")]}}))?;
        let publications = "select string_agg(pubname, ' ' order by pubname) from pg_publication";
        let slots = "select string_agg(slot_name, ' ' order by slot_name) from pg_replication_slots";
        let seen = |sql: &str, wanted: &str| {
            wait_until(&format!("{wanted:?}"), 90, || {
                let seen = cluster.sql("foo", sql)?;
                Ok(Look::when(seen == wanted, seen))
            })
        };
        seen(publications, "fes_foo_test_app mypublication")?;
        seen(slots, "fes_foo_test_app manual_slot")?;
        let objects = || kubectl.names("fabriceventstreams.zalando.org", &cluster.selector());
        wait_until("there is one event stream", 60, || {
            let objects = objects()?;
            Ok(Look::when(objects.len() == 1, objects.join(" ")))
        })?;
        cluster.patch(&json!({"spec": {"streams": []}}))?;
        seen(publications, "mypublication")?;
        seen(slots, "manual_slot")?;
        ensure!(objects().context("streams")?.is_empty(), "the event stream is left");
        Ok(())
    });
}
