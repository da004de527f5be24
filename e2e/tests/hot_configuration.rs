//! Settings change while three clusters live: what will roll is said, then it rolls, one pod of a
//! cluster at a time; a bad value is refused and said, and nothing rolls. The operator goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, ensure};
use matriarch_e2e::own_operator::{self, OwnOperator};
use matriarch_e2e::{Cluster, INSTANCE_IMAGE, Look, Pod, Scene, node, settings, wait_until};
use serde_json::{Value, json};

/// The same image under another name.
const OTHER_IMAGE: &str = "localhost/matriarch/instance:hot";

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn an_image_in_the_config_map_rolls_three_clusters() {
    Scene::run("hot_config_map", |scene| {
        let own = OwnOperator::of(scene).start()?;
        let change = |image: &str| own.set(&[("docker_image", Some(image))]);
        let three = Three::create(scene, &own)?;
        let pod = own.pod()?;
        node::tag_image(INSTANCE_IMAGE, OTHER_IMAGE)?;
        change(OTHER_IMAGE)?;
        three.roll_after_preview(scene, own_operator::NAME)?;
        ensure!(own.pod()? == pod, "the operator was restarted");

        let before = three.pods()?;
        own.set(&[("docker_image", Some(INSTANCE_IMAGE)), ("resync_period", Some("soon"))])?;
        let (said, _) = settings::wait_for_event(&scene.kubectl, own_operator::NAME, "SettingsRefused", 30)?;
        ensure!(said[0].contains("resync_period") && said[0].contains("soon"), "{said:?}");
        let told = settings::readyz(&own)?["settings"]["refused"].to_string();
        ensure!(told.contains("resync_period"), "/readyz does not name it: {told}");
        nothing_rolls(&three, &before)?;
        scene.step("a bad value was refused and nothing rolled");

        own.set(&[("docker_image", Some(OTHER_IMAGE)), ("resync_period", None)])?;
        wait_until("/readyz tells no refusal any more", 30, || {
            let standing = settings::readyz(&own)?["settings"].clone();
            Ok(Look::when(standing["refused"].is_null(), standing.to_string()))
        })?;
        nothing_rolls(&three, &before)?;
        ensure!(own.pod()? == pod, "the operator was restarted");
        Ok(())
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn an_image_in_the_operator_configuration_rolls_three_clusters() {
    Scene::run("hot_configuration_object", |scene| {
        let kubectl = &scene.kubectl;
        settings::create_object(kubectl, INSTANCE_IMAGE)?;
        let own = OwnOperator::of(scene)
            .environment("CONFIG_MAP_NAME", None)
            .environment("POSTGRES_OPERATOR_CONFIGURATION_OBJECT", Some(settings::OBJECT))
            .start()?;
        let three = Three::create(scene, &own)?;
        let pod = own.pod()?;
        node::tag_image(INSTANCE_IMAGE, OTHER_IMAGE)?;
        settings::patch_object(kubectl, &json!({"docker_image": OTHER_IMAGE}))?;
        three.roll_after_preview(scene, settings::OBJECT)?;
        let (previewed, message) = settings::object_condition(kubectl, "Previewed")?;
        ensure!(previewed == "True" && message.contains("3 clusters"), "Previewed: {previewed} {message}");
        ensure!(own.pod()? == pod, "the operator was restarted");

        let before = three.pods()?;
        let refused = settings::patch_object(kubectl, &json!({"resync_period": "soon"}));
        ensure!(refused.is_err(), "the definition lets a bad duration pass");
        let bad = json!({"docker_image": INSTANCE_IMAGE, "kubernetes": {"downscaler_annotations": ["("]}});
        settings::patch_object(kubectl, &bad)?;
        wait_until("the condition Valid is False and names the option", 30, || {
            let (status, message) = settings::object_condition(kubectl, "Valid")?;
            let named = message.contains("kubernetes.downscaler_annotations");
            Ok(Look::when(status == "False" && named, format!("{status} {message}")))
        })?;
        let (said, _) = settings::events(kubectl, settings::OBJECT, "SettingsRefused")?;
        ensure!(said.iter().any(|text| text.contains("downscaler_annotations")), "{said:?}");
        nothing_rolls(&three, &before)?;
        ensure!(own.pod()? == pod, "the operator was restarted");
        scene.step("a bad value was refused and nothing rolled");

        let good =
            json!({"docker_image": OTHER_IMAGE, "kubernetes": {"downscaler_annotations": Value::Null}});
        settings::patch_object(kubectl, &good)?;
        wait_until("the condition Valid is True again", 30, || {
            let (status, message) = settings::object_condition(kubectl, "Valid")?;
            Ok(Look::when(status == "True", format!("{status} {message}")))
        })
    });
}

/// Three clusters with four pods.
struct Three {
    clusters: Vec<Cluster>,
}

impl Three {
    fn create(scene: &Scene, own: &OwnOperator) -> Result<Self> {
        let clusters: Vec<Cluster> = [("acid-one", 2), ("acid-two", 1), ("acid-three", 1)]
            .into_iter()
            .map(|(name, instances)| own.create(name, instances, ""))
            .collect::<Result<_>>()?;
        for cluster in &clusters {
            cluster.wait_settled(240)?;
        }
        scene.step("three clusters are ready");
        Ok(Self { clusters })
    }

    fn pods(&self) -> Result<Vec<Pod>> {
        let pods = self.clusters.iter().map(Cluster::pods).collect::<Result<Vec<_>>>()?;
        Ok(pods.into_iter().flatten().collect())
    }

    /// The change is told before the first pod goes, for every cluster and with the field; then
    /// all pods are new, and no cluster had more than one pod down.
    fn roll_after_preview(&self, scene: &Scene, settings_object: &str) -> Result<()> {
        let before = self.pods()?;
        let most_down = MostDown::watch(&self.clusters);
        let (said, told_at) =
            settings::wait_for_event(&scene.kubectl, settings_object, "SettingsChanged", 30)?;
        for word in ["3 clusters", "4 pods", "acid-one", "acid-two", "acid-three", "image", OTHER_IMAGE] {
            ensure!(said[0].contains(word), "{word:?} is not told: {said:?}");
        }
        scene.step(&format!("told: {}", said[0]));
        wait_until("every pod is new and ready", 300, || {
            let pods = self.pods()?;
            let old = pods.iter().filter(|pod| before.iter().any(|old| old.uid == pod.uid)).count();
            let ready = pods.iter().filter(|pod| pod.ready).count();
            Ok(Look::when(old == 0 && ready == before.len(), format!("{old} old, {ready} ready: {pods:?}")))
        })?;
        for cluster in &self.clusters {
            cluster.wait_settled(120)?;
            let template = format!("statefulset/{}", cluster.name());
            let image = scene.kubectl.run(&[
                "get",
                &template,
                "-o",
                "jsonpath={.spec.template.spec.containers[0].image}",
            ])?;
            ensure!(image == OTHER_IMAGE, "{} has the image {image}", cluster.name());
        }
        let first_new = self.pods()?.into_iter().map(|pod| pod.created).min().unwrap_or_default();
        ensure!(told_at[..19] <= first_new[..19], "told at {told_at}, but a pod was new at {first_new}");
        let down = most_down.stop();
        ensure!(down <= 1, "{down} pods of one cluster were down at the same time");
        scene.step("all pods are new");
        Ok(())
    }
}

/// The pods are the same ones for a while, in which the settings are read twice.
fn nothing_rolls(three: &Three, before: &[Pod]) -> Result<()> {
    std::thread::sleep(Duration::from_secs(12));
    let after = three.pods()?;
    ensure!(Pod::uids(&after) == Pod::uids(before), "pods changed: {before:?} → {after:?}");
    Ok(())
}

/// The largest number of pods of one cluster that were not there or not ready at one moment.
struct MostDown {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl MostDown {
    fn watch(clusters: &[Cluster]) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, seen) = (stop.clone(), most.clone());
        let sizes: Vec<(Cluster, usize)> = clusters
            .iter()
            .map(|cluster| (cluster.clone(), cluster.pods().map_or(0, |pods| pods.len())))
            .collect();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for (cluster, size) in &sizes {
                    if let Ok(pods) = cluster.pods() {
                        let ready = pods.iter().filter(|pod| pod.ready).count();
                        seen.fetch_max(size.saturating_sub(ready), Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(700));
            }
        });
        Self { stop, most, thread }
    }

    fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.most.load(Ordering::Relaxed)
    }
}
