//! Acceptance rows about what rolls through the pods. The names are those of the original's own
//! end-to-end tests; docs/reference/acceptance.md lists them all.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::node::{self, Label};
use matriarch_e2e::{Cluster, Kubectl, Look, OwnOperator, Pod, Scene, wait_until};
use serde_json::{Value, json};

const NAME: &str = "acid-minimal-cluster";
const IMAGE: &str = "localhost/matriarch/instance:dev";

#[test]
fn scaling() {
    Scene::run("scaling", |scene| {
        let cluster = Cluster::create(&scene.kubectl, NAME, 2, "")?;
        cluster.wait_ready()?;
        for instances in [3, 2] {
            cluster.patch(&json!({"spec": {"numberOfInstances": instances}}))?;
            cluster.wait_settled(120)?;
            wait_until(&format!("{instances} pods and members"), 60, || {
                let (pods, members) = (cluster.pods()?.len(), cluster.running_members()?);
                Ok(Look::when(pods == instances && members == instances, format!("{pods}, {members}")))
            })?;
            scene.step(&format!("{instances} pods and members"));
        }
        Ok(())
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn additional_pod_capabilities() {
    Scene::run("additional_pod_capabilities", |scene| {
        let operator = OwnOperator::of(scene).start()?;
        let cluster = operator.create(NAME, 2, "")?;
        cluster.wait_ready()?;
        let (before, old) = (cluster.pods()?, cluster.primary()?);
        operator.set(&[("additional_pod_capabilities", Some("SYS_NICE,CHOWN"))])?;
        cluster.wait_rolled(&before, 120)?;
        switched(&cluster, &old)?;
        for pod in cluster.pods()? {
            let container = &cluster.pod(&pod.name)?["spec"]["containers"][0];
            let added = &container["securityContext"]["capabilities"]["add"];
            ensure!(added == &json!(["SYS_NICE", "CHOWN"]), "{} has {added}", pod.name);
        }
        Ok(())
    });
}

/// The rolling update went through a switchover to the former replica.
fn switched(cluster: &Cluster, old: &Pod) -> Result<()> {
    let primary = cluster.primary()?;
    ensure!(primary.name != old.name, "{} is the primary still", old.name);
    Ok(())
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn resource_generation() {
    Scene::run("resource_generation", |scene| {
        let operator = OwnOperator::of(scene)
            .setting("max_memory_request", "300Mi")
            .setting("min_cpu_limit", "503m")
            .setting("min_memory_limit", "502Mi")
            .setting("set_memory_request_to_limit", "true")
            .start()?;
        let cluster = operator.create(NAME, 2, "")?;
        cluster.wait_ready()?;
        let (before, old) = (cluster.pods()?, cluster.primary()?);
        cluster.patch(&json!({"spec": {"resources": {
            "requests": {"cpu": "10m", "memory": "50Mi"},
            "limits": {"cpu": "200m", "memory": "200Mi"},
        }}}))?;
        cluster.wait_rolled(&before, 120)?;
        switched(&cluster, &old)?;
        for pod in cluster.pods()? {
            let container = &cluster.pod(&pod.name)?["spec"]["containers"][0];
            let resources = &container["resources"];
            let (memory, limits) = (&resources["requests"]["memory"], &resources["limits"]);
            ensure!(memory == "300Mi", "{} requests {memory}", pod.name);
            ensure!(
                limits == &json!({"cpu": "503m", "memory": "502Mi"}),
                "{} is limited to {limits}",
                pod.name
            );
        }
        Ok(())
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn custom_ssl_certificate() {
    Scene::run("custom_ssl_certificate", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = Cluster::create(kubectl, NAME, 2, "")?;
        cluster.wait_ready()?;
        let (before, old) = (cluster.pods()?, cluster.primary()?);
        certificate(kubectl, &old)?;
        cluster.patch(&json!({"spec": {"spiloFSGroup": 103, "tls": {"secretName": "pg-tls"}}}))?;
        cluster.wait_rolled(&before, 120)?;
        switched(&cluster, &old)?;
        for pod in cluster.pods()? {
            let container = cluster.pod(&pod.name)?["spec"]["containers"][0].take();
            for variable in ["SSL_CERTIFICATE_FILE", "SSL_PRIVATE_KEY_FILE"] {
                ensure!(has(&container["env"], variable), "{}: no {variable}", pod.name);
            }
            ensure!(has(&container["volumeMounts"], "pg-tls"), "{}: no mount pg-tls", pod.name);
        }
        let file = cluster.sql("postgres", "show ssl_cert_file")?;
        ensure!(file.starts_with("/tls"), "PostgreSQL uses {file}");
        Ok(())
    });
}

fn has(list: &Value, name: &str) -> bool {
    list.as_array().into_iter().flatten().any(|element| element["name"] == name)
}

/// A Secret with the certificate that a pod has made for itself.
fn certificate(kubectl: &Kubectl, pod: &Pod) -> Result<()> {
    let read = |file: &str| kubectl.run(&["exec", &pod.name, "-c", "postgres", "--", "cat", file]);
    let (certificate, key) = (read("/run/certs/server.crt")?, read("/run/certs/server.key")?);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pg-tls"},
        "stringData": {"tls.crt": certificate + "\n", "tls.key": key + "\n"}});
    kubectl.run_with_input(&["create", "-f", "-"], &secret.to_string())?;
    Ok(())
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn lazy_spilo_upgrade() {
    Scene::run("lazy_spilo_upgrade", |scene| {
        let kubectl = &scene.kubectl;
        let next = "localhost/matriarch/instance:lazy";
        node::tag_image(IMAGE, next)?;
        let operator = OwnOperator::of(scene)
            .setting("docker_image", IMAGE)
            .setting("enable_lazy_spilo_upgrade", "false")
            .start()?;
        let cluster = operator.create(NAME, 2, "")?;
        cluster.wait_ready()?;
        images(&cluster, &[IMAGE, IMAGE])?;

        operator.set(&[("docker_image", Some(next)), ("enable_lazy_spilo_upgrade", Some("true"))])?;
        wait_until("the StatefulSet has the next image", 60, || {
            let set = cluster.stateful_set()?;
            let image = &set["spec"]["template"]["spec"]["containers"][0]["image"];
            Ok(Look::when(image == next, image.to_string()))
        })?;
        cluster.wait_settled(60)?;
        images(&cluster, &[IMAGE, IMAGE])?;
        scene.step("the next image waits in the StatefulSet");

        kubectl.run(&["delete", "pod", &format!("{NAME}-0")])?;
        wait_until("only the deleted pod has the next image", 90, || {
            images(&cluster, &[next, IMAGE])?;
            Ok(Look::when(cluster.pods()?.iter().all(|pod| pod.ready), format!("{:?}", cluster.pods()?)))
        })?;
        cluster.wait_settled(60)?;
        ensure!(cluster.running_members()? == 2, "not two running members");
        images(&cluster, &[next, IMAGE])?;
        scene.step("one pod was deleted and has it");

        operator.set(&[("enable_lazy_spilo_upgrade", Some("false"))])?;
        wait_until("both pods have the next image", 150, || {
            images(&cluster, &[next, next])?;
            Ok(Look::Done(()))
        })?;
        cluster.wait_settled(60)
    });
}

/// The pods run these images, by ordinal.
fn images(cluster: &Cluster, wanted: &[&str]) -> Result<()> {
    let image = |pod: &Pod| -> Result<String> {
        let spec = cluster.pod(&pod.name)?;
        let image = spec["spec"]["containers"][0]["image"].as_str().context("no image")?;
        Ok(image.to_owned())
    };
    let seen = cluster.pods()?.iter().map(image).collect::<Result<Vec<_>>>()?;
    ensure!(seen == wanted, "the pods have {seen:?}, not {wanted:?}");
    Ok(())
}

const FLAG: &str = "zalando-postgres-operator-rolling-update-required";

#[test]
fn rolling_update_flag() {
    Scene::run("rolling_update_flag", |scene| {
        let cluster = Cluster::create(&scene.kubectl, NAME, 2, "")?;
        cluster.wait_ready()?;
        let old = cluster.primary()?;
        let replica = cluster.replicas()?.pop().context("no replica")?;
        scene.kubectl.run(&["annotate", "pod", &old.name, &format!("{FLAG}=true")])?;
        let new = cluster.wait_for_other_primary(&old, 90)?;
        ensure!(new.uid == replica.uid, "the replica was made anew: {new:?}");
        cluster.wait_for_replica(&old.name, 90)?;
        cluster.wait_settled(60)?;
        let again = cluster.replicas()?.pop().context("no replica")?;
        ensure!(again.uid != old.uid, "the flagged pod is the same: {again:?}");
        ensure!(cluster.primary()?.uid == replica.uid, "{:?}", cluster.pods()?);
        Ok(())
    });
}

#[test]
fn rolling_update_label_timeout() {
    Scene::pending("rolling_update_label_timeout", "time limits of a rolling update", |scene| {
        // Upstream leaves it out. A new pod cannot have its role within two seconds: that must be
        // said, and must not keep the update from its end.
        let operator = OwnOperator::of(scene).setting("pod_label_wait_timeout", "2s").start()?;
        let cluster = operator.create(NAME, 2, "")?;
        cluster.wait_ready()?;
        let before = cluster.pods()?;
        for pod in &before {
            scene.kubectl.run(&["annotate", "pod", &pod.name, &format!("{FLAG}=true")])?;
        }
        wait_until("the update says that a pod is late", 60, || {
            let degraded = cluster.condition("Degraded")?;
            let word = cluster.status_word()?;
            let late = word == "SyncFailed" || degraded.as_ref().is_some_and(|(status, _)| status == "True");
            Ok(Look::when(late, format!("{word}, {degraded:?}")))
        })?;
        cluster.wait_rolled(&before, 120)?;
        ensure!(cluster.status_word()? == "Running", "it does not return to Running");
        Ok(())
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn node_affinity() {
    Scene::run("node_affinity", |scene| {
        let kubectl = &scene.kubectl;
        let cluster = Cluster::create(kubectl, NAME, 2, "")?;
        cluster.wait_ready()?;
        let key = format!("{}/affinity", kubectl.namespace());
        let target = other_node(kubectl, &cluster.primary()?)?;
        let _label = Label::set(kubectl, &target, &key, "postgres")?;
        let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": key, "operator": "In", "values": ["postgres"]}]}]}});
        let before = cluster.pods()?;
        cluster.patch(&json!({"spec": {"nodeAffinity": affinity}}))?;
        cluster.wait_rolled(&before, 120)?;
        on_node(&cluster, &target)?;
        scene.step("both pods are on the labelled node");
        let before = cluster.pods()?;
        cluster.patch(&json!({"spec": {"nodeAffinity": null}}))?;
        cluster.wait_rolled(&before, 120)?;
        let affinity = cluster.pod(&cluster.primary()?.name)?["spec"]["affinity"].clone();
        ensure!(!affinity.to_string().contains(&key), "the affinity is there still: {affinity}");
        Ok(())
    });
}

fn other_node(kubectl: &Kubectl, pod: &Pod) -> Result<String> {
    node::names(kubectl)?.into_iter().find(|node| *node != pod.node).context("there is one node only")
}

fn on_node(cluster: &Cluster, node: &str) -> Result<()> {
    let pods = cluster.pods()?;
    ensure!(pods.iter().all(|pod| pod.node == node), "not all on {node}: {pods:?}");
    Ok(())
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn node_readiness_label() {
    Scene::run("node_readiness_label", |scene| {
        let kubectl = &scene.kubectl;
        let operator = OwnOperator::of(scene).start()?;
        let cluster = operator.create(NAME, 2, "")?;
        cluster.wait_ready()?;
        let key = format!("{}-ready", kubectl.namespace());
        let target = other_node(kubectl, &cluster.primary()?)?;
        let _label = Label::set(kubectl, &target, &key, "yes")?;
        let before = cluster.pods()?;
        operator.set(&[("node_readiness_label", Some(&format!("{key}:yes")))])?;
        cluster.wait_rolled(&before, 120)?;
        on_node(&cluster, &target)?;
        scene.step("both pods are on the ready node");
        let before = cluster.pods()?;
        operator.set(&[("node_readiness_label", None)])?;
        cluster.wait_rolled(&before, 120)
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn topology_spread_constraints() {
    Scene::run("topology_spread_constraints", |scene| {
        let kubectl = &scene.kubectl;
        let operator = OwnOperator::of(scene).setting("pod_management_policy", "parallel").start()?;
        let key = format!("{}/zone", kubectl.namespace());
        let mut nodes = node::names(kubectl)?;
        ensure!(nodes.len() >= 2, "there is one node only");
        nodes.truncate(2);
        let labels: Vec<Label> =
            nodes.iter().map(|node| Label::set(kubectl, node, &key, node)).collect::<Result<_>>()?;
        let cluster = operator.create(
            NAME,
            2,
            &format!(
                "  topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {key}
    whenUnsatisfiable: DoNotSchedule
    labelSelector:
      matchLabels: {{cluster-name: {NAME}}}
  resources:
    requests: {{cpu: 10m, memory: 50Mi}}
    limits: {{cpu: 500m, memory: 300Mi}}"
            ),
        )?;
        cluster.wait_ready()?;
        cluster.patch(&json!({"spec": {"numberOfInstances": 6}}))?;
        cluster.wait_settled(180)?;
        let pods = cluster.pods()?;
        for node in &nodes {
            let here = pods.iter().filter(|pod| pod.node == *node).count();
            ensure!(here == 3, "{here} pods on {node}: {pods:?}");
        }
        scene.step("three pods on each of two nodes");
        cluster.patch(&json!({"spec": {"numberOfInstances": 2}}))?;
        cluster.wait_settled(90)?;
        drop(labels);
        Ok(())
    });
}
