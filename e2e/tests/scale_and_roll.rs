//! Changes of a running cluster: members, users, databases, parameters, and the template,
//! which rolls through the pods.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use matriarch_e2e::{ClientPod, Cluster, Kubectl, Look, Pod, Scene, wait_until};
use serde_json::{Value, json};

#[test]
fn members_users_databases_parameters_and_drift() {
    Scene::run("changes", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = Cluster::create(kubectl, "acid-changes", 2, "")?;
        let client = ClientPod::start(kubectl, None)?;
        cluster.wait_ready()?;
        scene.step("ready with two members");
        scaled(&cluster, &client, 3)?;
        scene.step("three members");
        users_databases_parameters(&cluster, &client)?;
        scene.step("user, database and parameter are there");
        drift_is_repaired(kubectl, &cluster)?;
        scene.step("drift is repaired");
        scaled(&cluster, &client, 1)?;
        scene.step("one member");
        Ok(())
    });
}

#[test]
fn new_resources_roll_replicas_first_and_the_old_primary_last() {
    Scene::run("rolling_update", |scene| {
        let cluster = Cluster::create(&scene.kubectl, "acid-roll", 3, "")?;
        cluster.wait_ready()?;
        scene.step("ready with three members");
        resources_roll(&cluster)?;
        scene.step("new resources have rolled: replicas, switchover, old primary");
        Ok(())
    });
}

#[test]
fn a_bad_image_stops_at_one_replica_and_its_correction_heals() {
    Scene::run("bad_image", |scene| {
        let cluster = Cluster::create(&scene.kubectl, "acid-image", 3, "")?;
        cluster.wait_ready()?;
        scene.step("ready with three members");
        bad_image_stops(&cluster)?;
        scene.step("a bad image stopped at one replica, and its correction healed");
        Ok(())
    });
}

fn ask(cluster: &Cluster, client: &ClientPod, sql: &str) -> Result<String> {
    let login = cluster.login("postgres", "postgres")?;
    client.psql(&login, sql)
}

fn scaled(cluster: &Cluster, client: &ClientPod, instances: usize) -> Result<()> {
    cluster.patch(&json!({"spec": {"numberOfInstances": instances}}))?;
    cluster.wait_settled(180)?;
    wait_until("as many replicas stream", 60, || {
        let sql = "select count(*) from pg_stat_replication where state = 'streaming'";
        let streaming = ask(cluster, client, sql)?;
        Ok(Look::when(streaming == (instances - 1).to_string(), streaming))
    })
}

fn users_databases_parameters(cluster: &Cluster, client: &ClientPod) -> Result<()> {
    cluster.patch(&json!({"spec": {
        "users": {"later": ["createrole"]},
        "databases": {"bar": "later", "foo": "later"},
        "postgresql": {"parameters": {"log_min_duration_statement": "5000"}},
    }}))?;
    wait_until("the changes are in the database", 60, || {
        let sql = "select (select string_agg(datname || '=' || pg_get_userbyid(datdba), ' '
                order by datname) from pg_database where datname in ('foo', 'bar')),
            (select rolcreaterole from pg_roles where rolname = 'later'),
            current_setting('log_min_duration_statement')";
        let seen = ask(cluster, client, sql)?;
        Ok(Look::when(seen == "bar=later foo=later|t|5s", seen))
    })?;
    let login = cluster.login("later", "bar")?;
    ensure!(client.ask(&login, "select current_user")? == "later", "later cannot log in");
    cluster.wait_settled(60)
}

fn drift_is_repaired(kubectl: &Kubectl, cluster: &Cluster) -> Result<()> {
    let replica_service = format!("service/{}-repl", cluster.name());
    let budget = format!("pdb/postgres-{}-pdb", cluster.name());
    kubectl.run(&["delete", &replica_service, &budget])?;
    let service = format!("service/{}", cluster.name());
    let port = json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 5433}]);
    kubectl.run(&["patch", &service, "--type=json", "-p", &port.to_string()])?;
    wait_until("deleted objects are back and a changed one is put right", 60, || {
        kubectl.run(&["get", &replica_service, &budget])?;
        let port = kubectl.run(&["get", &service, "-o", "jsonpath={.spec.ports[0].port}"])?;
        Ok(Look::when(port == "5432", port))
    })?;
    cluster.wait_settled(60)
}

fn resources_roll(cluster: &Cluster) -> Result<()> {
    let old = cluster.primary()?;
    let before = cluster.pods()?;
    let fewest = Fewest::watch(cluster)?;
    cluster.patch(&json!({"spec": {"resources": {
        "requests": {"cpu": "60m", "memory": "110Mi"},
        "limits": {"cpu": "900m", "memory": "490Mi"},
    }}}))?;
    wait_until("all pods are made anew", 300, || {
        let pods = cluster.pods()?;
        let anew = pods.len() == before.len()
            && pods.iter().all(|pod| pod.ready && before.iter().all(|old| old.uid != pod.uid));
        Ok(Look::when(anew, format!("{pods:?}")))
    })?;
    cluster.wait_settled(90)?;
    let fewest = fewest.stop();
    ensure!(fewest + 1 >= before.len(), "only {fewest} of {} pods were ready", before.len());

    let pods = cluster.pods()?;
    let primary = cluster.primary()?;
    ensure!(primary.name != old.name, "{} is the primary again: no switchover", old.name);
    let last = pods.iter().find(|pod| pod.name == old.name).context("the old primary is gone")?;
    for replica in pods.iter().filter(|pod| pod.name != old.name) {
        ensure!(replica.created < last.created, "{} came after the primary", replica.name);
    }
    Ok(())
}

/// The smallest number of ready pods that was seen, while the cluster changes.
struct Fewest {
    stop: Arc<AtomicBool>,
    fewest: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Fewest {
    fn watch(cluster: &Cluster) -> Result<Self> {
        let ready = |pods: Vec<Pod>| pods.iter().filter(|pod| pod.ready).count();
        let fewest = Arc::new(AtomicUsize::new(ready(cluster.pods()?)));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped, cluster) = (fewest.clone(), stop.clone(), cluster.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(pods) = cluster.pods() {
                    seen.fetch_min(ready(pods), Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(700));
            }
        });
        Ok(Self { stop, fewest, thread })
    }

    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.fewest.load(Ordering::Relaxed)
    }
}

fn bad_image_stops(cluster: &Cluster) -> Result<()> {
    let before = cluster.pods()?;
    let primary = cluster.primary()?;
    let image = |image: Value| json!({"spec": {"dockerImage": image}});
    cluster.patch(&image(json!("localhost/matriarch/there-is-none:dev")))?;
    let changed = |pods: &[Pod]| -> Vec<Pod> {
        let same = |pod: &Pod| before.iter().any(|old| old.uid == pod.uid && pod.ready);
        pods.iter().filter(|pod| !same(pod)).cloned().collect()
    };
    wait_until("the operator says that the change is stuck", 180, || {
        let degraded = cluster.condition("Degraded")?;
        let says = degraded.as_ref().is_some_and(|(status, _)| status == "True");
        Ok(Look::when(says, format!("{degraded:?}; {:?}", cluster.pods()?)))
    })?;
    // It has said that it is stuck; a while later nothing more may have happened.
    std::thread::sleep(Duration::from_secs(5));
    let pods = cluster.pods()?;
    let down = changed(&pods);
    ensure!(down.len() == 1, "it did not stop at one pod: {down:?}");
    ensure!(down[0].name != primary.name, "it began with the primary: {down:?}");
    ensure!(cluster.primary()? == primary, "the primary changed: {pods:?}");

    cluster.patch(&image(Value::Null))?;
    cluster.wait_settled(240)?;
    let after = cluster.pods()?;
    let untouched = after.iter().filter(|pod| before.iter().any(|old| old.uid == pod.uid)).count();
    ensure!(untouched == before.len() - 1, "more than one pod was made anew: {after:?}");
    Ok(())
}
