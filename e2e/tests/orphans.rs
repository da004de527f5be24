//! Manifests that vanish while the operator is down: nothing is inferred from that.

use anyhow::{Result, ensure};
use matriarch_e2e::{Cluster, Kubectl, Look, OwnOperator, Scene, operator, wait_until};
use serde_json::json;

const NAME: &str = "acid-orphan";

#[test]
fn cluster_without_manifest_is_left_and_reported() {
    Scene::run("orphans", |scene| {
        let kubectl = &scene.kubectl;
        operator::wait_for_rollout()?;
        let cluster = Cluster::create(kubectl, NAME, 2, "")?;
        cluster.wait_ready()?;
        cluster.wait_settled(60)?;
        let before = objects(kubectl, &cluster)?;
        scene.step("ready");

        let away = operator::Away::send()?;
        cluster.patch(&json!({"metadata": {"finalizers": null}}))?;
        cluster.delete(30)?;
        scene.step("the manifest is gone while the operator is down");
        away.bring_back()?;
        scene.step("the operator is back");

        wait_until("the orphan is reported", 60, || {
            let event = "involvedObject.name=acid-orphan,reason=Orphaned";
            let events = kubectl.run(&["get", "events", "--field-selector", event])?;
            Ok(Look::when(events.contains("no postgresql manifest"), events))
        })?;
        let log = operator::logs()?;
        let reported = format!("orphaned cluster {}/{NAME}", kubectl.namespace());
        ensure!(log.contains(&reported), "not in the log: {reported}");
        let after = objects(kubectl, &cluster)?;
        ensure!(before == after, "changed from {before:#?} to {after:#?}");
        ensure!(cluster.primary()?.ready, "the primary is not ready");
        scene.step("reported, and untouched");

        // The same manifest again: the cluster is looked after again, as it is.
        Cluster::create(kubectl, NAME, 2, "")?;
        cluster.wait_ready()?;
        let adopted = objects(kubectl, &cluster)?;
        ensure!(before == adopted, "changed from {before:#?} to {adopted:#?}");
        scene.step("taken up again without a restart");
        Ok(())
    });
}

/// The command needs a person's yes, and no manifest.
#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn an_orphan_is_removed_by_the_documented_command() {
    Scene::run("remove_orphan", |scene| {
        let kubectl = &scene.kubectl;
        operator::wait_for_rollout()?;
        let name = "acid-forsaken";
        let cluster = Cluster::create(kubectl, name, 1, "")?;
        cluster.wait_ready()?;
        let command = |more: &[&str]| {
            let namespace = kubectl.namespace();
            let words = ["exec", operator::DEPLOYMENT, "--", "matriarch", "remove-orphan"];
            let all = [&words[..], &["--namespace", namespace, name], more].concat();
            operator::kubectl().run(&all)
        };
        let refused = command(&["--yes"]).err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(refused.contains("has a manifest"), "not refused: {refused}");
        scene.step("refused while there is a manifest");

        let away = operator::Away::send()?;
        cluster.patch(&json!({"metadata": {"finalizers": null}}))?;
        cluster.delete(30)?;
        away.bring_back()?;
        operator::wait_for_rollout()?;
        let before = objects(kubectl, &cluster)?;
        // Exit code 2: there is something to do.
        ensure!(command(&[]).is_err(), "it ended as if nothing was to do");
        ensure!(objects(kubectl, &cluster)? == before, "it was done without a yes");
        command(&["--yes"])?;
        let left = left(kubectl, &cluster)?;
        ensure!(left.is_empty(), "left: {left}");
        scene.step("removed");
        Ok(())
    });
}

/// Without finalizers only a deletion that happens while the operator looks is seen.
#[test]
fn a_manifest_without_finalizer_is_deleted_while_the_operator_runs() {
    Scene::run("no_finalizer", |scene| {
        let own = OwnOperator::of(scene).setting("enable_finalizers", "false").start()?;
        let cluster = own.create("acid-no-finalizer", 2, "")?;
        cluster.wait_ready()?;
        cluster.wait_settled(60)?;
        let finalizers = cluster.object()?["metadata"]["finalizers"].clone();
        ensure!(finalizers.is_null(), "a finalizer although they are off: {finalizers}");
        objects(&scene.kubectl, &cluster)?;
        scene.step("ready, and its manifest has no finalizer");

        cluster.delete(10)?;
        wait_until("everything of the cluster is gone", 90, || {
            let left = left(&scene.kubectl, &cluster)?;
            Ok(Look::when(left.is_empty(), left))
        })?;
        scene.step("the manifest was gone at once, the rest after it");
        Ok(())
    });
}

/// What is there of a cluster.
fn left(kubectl: &Kubectl, cluster: &Cluster) -> Result<String> {
    let kinds = "pods,persistentvolumeclaims,secrets,statefulsets,services,poddisruptionbudgets,configmaps";
    let left = kubectl.run(&["get", kinds, "-l", &cluster.selector(), "-o", "name"])?;
    Ok(left.trim().to_owned())
}

/// Kind, name and uid of what must not be touched.
fn objects(kubectl: &Kubectl, cluster: &Cluster) -> Result<Vec<String>> {
    let columns = "go-template={{range .items}}{{.kind}} {{.metadata.name}} \
                   {{.metadata.uid}}{{\"\\n\"}}{{end}}";
    let kinds = "pods,persistentvolumeclaims,secrets,statefulsets,services";
    let list = kubectl.run(&["get", kinds, "-l", &cluster.selector(), "-o", columns])?;
    let objects: Vec<_> = list.lines().map(str::to_owned).collect();
    for kind in ["Pod ", "PersistentVolumeClaim ", "Secret ", "StatefulSet ", "Service "] {
        ensure!(objects.iter().any(|line| line.starts_with(kind)), "no {kind}in {objects:#?}");
    }
    Ok(objects)
}
