//! A replica whose data is broken: with the manifest's leave its data is copied anew by Patroni, and
//! when that did not help, its volume is made anew. Nobody else notices.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use matriarch_e2e::{Cluster, Look, Pod, Scene, wait_until};
use serde_json::json;

/// Kept in the data directory until that is emptied.
const MARK: &str = "/home/postgres/pgdata/pgroot/data/mark";

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn broken_data_is_copied_anew() {
    Scene::run("healing_data", |scene| {
        let Patient { cluster, primary, broken } = Patient::of(scene, "acid-broken", "reinitialize")?;
        scene.step("five minutes it is Patroni's own matter");

        wait_until("its data is copied anew", 400, || {
            let events = scene.kubectl.events()?;
            let begun = events.contains(&format!("copy the data of {} anew", broken.name));
            Ok(Look::when(begun, cluster.condition("MembersStreaming")?.unwrap_or_default().1))
        })?;
        scene.step("announced, with its reason");
        healed(scene, &cluster, &primary, &broken)?;
        let now = cluster.pods()?;
        ensure!(now.iter().any(|pod| pod.uid == broken.uid), "its pod was made anew: {now:?}");
        let memory = cluster.condition("MembersStreaming")?.context("nothing is remembered")?.1;
        ensure!(memory.contains("1 tries to mend it"), "{memory}");
        scene.step("it streams again, in the same pod");
        Ok(())
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn a_volume_that_stays_broken_is_made_anew() {
    Scene::run("healing_volume", |scene| {
        let Patient { cluster, primary, broken } = Patient::of(scene, "acid-volume", "recreate-volume")?;
        let claim = format!("pgdata-{}", broken.name);
        let uid = || scene.kubectl.run(&["get", "pvc", &claim, "-o", "jsonpath={.metadata.uid}"]);
        let before = uid()?;
        remembers_three_tries(scene, &cluster, &broken)?;
        scene.step("what was tried in the hours before stands in the status");

        wait_until("claim and pod are made anew", 180, || {
            let (claim, pods) = (uid()?, cluster.pods()?);
            let pod = pods.iter().any(|pod| pod.name == broken.name && pod.uid != broken.uid);
            Ok(Look::when(pod && claim != before, format!("claim {claim}; {pods:?}")))
        })?;
        healed(scene, &cluster, &primary, &broken)?;
        scene.step("it streams again, from a new volume");
        Ok(())
    });
}

/// A cluster that may heal itself, with a replica whose data is broken; the status says so.
struct Patient {
    cluster: Cluster,
    primary: Pod,
    broken: Pod,
}

impl Patient {
    fn of(scene: &Scene, name: &str, healing: &str) -> Result<Self> {
        let cluster = Cluster::create(&scene.kubectl, name, 2, "")?;
        cluster.patch(&json!({"metadata": {"annotations": {"acid.zalan.do/self-healing": healing}}}))?;
        cluster.wait_ready()?;
        cluster.wait_settled(60)?;
        let (primary, broken) = (cluster.primary()?, broken(scene, &cluster)?);
        scene.step(&format!("{} is broken", broken.name));
        complains(&cluster, &broken)?;
        scene.step("the status says so");
        Ok(Self { cluster, primary, broken })
    }
}

/// Breaks a replica for good: without its control file PostgreSQL does not start.
fn broken(scene: &Scene, cluster: &Cluster) -> Result<Pod> {
    let replica = cluster.replicas()?.into_iter().next().context("no replica")?;
    let script = format!(
        "data=$(dirname {MARK}); touch {MARK}; truncate -s 0 $data/global/pg_control; \
         kill -KILL $(head -1 $data/postmaster.pid)"
    );
    scene.kubectl.run(&["exec", &replica.name, "-c", "postgres", "--", "sh", "-c", &script])?;
    Ok(replica)
}

fn complains(cluster: &Cluster, broken: &Pod) -> Result<()> {
    wait_until("the status names the member that does not stream", 60, || {
        let (status, message) = cluster.condition("MembersStreaming")?.unwrap_or_default();
        let told = status == "False" && message.contains(&format!("{} does not stream", broken.name));
        Ok(Look::when(told, format!("{status} {message}")))
    })
}

/// It streams again, from other data, and nobody else was touched.
fn healed(scene: &Scene, cluster: &Cluster, primary: &Pod, broken: &Pod) -> Result<()> {
    wait_until("it streams again", 180, || {
        let members = cluster.members()?;
        let streams = members.iter().any(|m| m["name"] == broken.name.as_str() && m["state"] == "streaming");
        Ok(Look::when(streams, format!("{members:?}")))
    })?;
    cluster.wait_settled(90)?;
    let no_mark = ["exec", &broken.name, "-c", "postgres", "--", "test", "!", "-e", MARK];
    scene.kubectl.run(&no_mark).context("the data is the old one")?;
    ensure!(cluster.primary()?.uid == primary.uid, "another primary");
    Ok(())
}

/// The status is the operator's memory. An hour of it is written here, which nobody wants to wait.
fn remembers_three_tries(scene: &Scene, cluster: &Cluster, broken: &Pod) -> Result<()> {
    let ago = |minutes: i64| {
        Timestamp::now()
            .checked_sub(SignedDuration::from_mins(minutes))
            .map(|at| at.strftime("%FT%TZ").to_string())
    };
    let memory = format!(
        "{} does not stream since {}: Patroni says it is \"stopped\"; 3 tries to mend it, the last at {}",
        broken.name,
        ago(90)?,
        ago(45)?
    );
    wait_until("the operator remembers", 60, || {
        let mut conditions = cluster.object()?["status"]["conditions"].clone();
        let all = conditions.as_array_mut().context("no conditions")?;
        let streaming = all.iter_mut().find(|c| c["type"] == "MembersStreaming");
        streaming.context("no such condition")?["message"] = json!(memory);
        let patch = json!({"status": {"conditions": conditions}}).to_string();
        let resource = cluster.resource();
        scene.kubectl.run(&["patch", &resource, "--subresource=status", "--type=merge", "-p", &patch])?;
        let seen = cluster.condition("MembersStreaming")?.unwrap_or_default().1;
        Ok(Look::when(seen.contains("3 tries") || seen.contains("4 tries"), seen))
    })
}
