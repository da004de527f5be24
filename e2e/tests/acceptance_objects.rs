//! Acceptance rows about services, volumes, annotations, owners and deletion. The names are those
//! of the original's own end-to-end tests; docs/reference/acceptance.md lists them all.
#![allow(clippy::print_stdout)] // a test tells its figures

use anyhow::{Context, Result, ensure};
use matriarch_e2e::cluster::manifest;
use matriarch_e2e::{Cluster, Kubectl, Look, OwnOperator, Scene, wait_until};
use serde_json::{Value, json};

const NAME: &str = "acid-minimal-cluster";

#[test]
fn enable_load_balancer() {
    Scene::run("enable_load_balancer", |scene| {
        let cluster = Cluster::create(&scene.kubectl, NAME, 1, "")?;
        cluster.wait_ready()?;
        service_types(&scene.kubectl, "ClusterIP")?;
        for (on, wanted) in [(true, "LoadBalancer"), (false, "ClusterIP")] {
            cluster.patch(&json!({"spec": {
                "enableMasterLoadBalancer": on, "enableReplicaLoadBalancer": on}}))?;
            service_types(&scene.kubectl, wanted)?;
            scene.step(&format!("both services are {wanted}"));
        }
        cluster.wait_settled(30)
    });
}

fn service_types(kubectl: &Kubectl, wanted: &str) -> Result<()> {
    let types = |kubectl: &Kubectl| -> Result<Vec<String>> {
        [NAME.to_owned(), format!("{NAME}-repl")]
            .iter()
            .map(|name| kubectl.run(&["get", "service", name, "-o", "jsonpath={.spec.type}"]))
            .collect()
    };
    wait_until(&format!("both services are {wanted}"), 30, || {
        let seen = types(kubectl)?;
        Ok(Look::when(seen.iter().all(|kind| kind == wanted), seen.join(" ")))
    })
}

#[test]
fn service_annotations() {
    Scene::run("service_annotations", |scene| {
        let operator = OwnOperator::of(scene).start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        operator.set(&[("custom_service_annotations", Some("foo:bar"))])?;
        let of_manifest = json!({"annotation.key": "value", "alice": "bob"});
        cluster.patch(&json!({"spec": {"serviceAnnotations": of_manifest}}))?;
        for service in [NAME.to_owned(), format!("{NAME}-repl")] {
            wait_until(&format!("{service} has the annotations"), 60, || {
                let seen = annotations(&scene.kubectl, &format!("service/{service}"))?;
                let all = seen["annotation.key"] == "value" && seen["foo"] == "bar" && seen["alice"] == "bob";
                Ok(Look::when(all, seen.to_string()))
            })?;
        }
        Ok(())
    });
}

fn annotations(kubectl: &Kubectl, object: &str) -> Result<Value> {
    Ok(kubectl.json(&[object])?["metadata"]["annotations"].clone())
}

#[test]
fn statefulset_annotation_propagation() {
    Scene::run("statefulset_annotation_propagation", |scene| {
        let operator = OwnOperator::of(scene)
            .setting("downscaler_annotations", "deployment-time,downscaler/*")
            .setting("inherited_annotations", "environment,owned-by")
            .start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        cluster.patch(&json!({"metadata": {"annotations": {
            "deployment-time": "2020-04-30 12:00:00",
            "downscaler/downtime_replicas": "0",
            "owned-by": "acid",
        }}}))?;
        wait_until("the StatefulSet has the annotations", 60, || {
            let seen = annotations(&scene.kubectl, &format!("statefulset/{NAME}"))?;
            let all = seen["deployment-time"] == "2020-04-30 12:00:00"
                && seen["downscaler/downtime_replicas"] == "0"
                && seen["owned-by"] == "acid";
            Ok(Look::when(all, seen.to_string()))
        })
    });
}

#[test]
fn ignored_annotations() {
    Scene::run("ignored_annotations", |scene| {
        let kubectl = &scene.kubectl;
        let operator = OwnOperator::of(scene).start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        operator.set(&[("ignored_annotations", Some("k8s-status"))])?;
        let objects = [format!("statefulset/{NAME}"), format!("service/{NAME}")];
        let identities = || -> Result<Vec<(Value, Value)>> {
            let metadata = objects.iter().map(|object| Ok(kubectl.json(&[object])?["metadata"].take()));
            metadata
                .map(|m: Result<Value>| m.map(|m| (m["uid"].clone(), m["creationTimestamp"].clone())))
                .collect()
        };
        let before = identities()?;
        for object in &objects {
            kubectl.run(&["annotate", object, "k8s-status=healthy"])?;
        }
        scene.step("annotated by hand");
        // A change that is seen to be carried out proves that a pass has met the annotations.
        cluster.patch(&json!({"spec": {"serviceAnnotations": {"after": "wards"}}}))?;
        wait_until("the operator has passed by", 60, || {
            let seen = annotations(kubectl, &format!("service/{NAME}"))?;
            Ok(Look::when(seen["after"] == "wards", seen.to_string()))
        })?;
        cluster.wait_settled(30)?;
        ensure!(identities()? == before, "an annotated object was made anew");
        for object in &objects {
            let seen = annotations(kubectl, object)?;
            ensure!(seen["k8s-status"] == "healthy", "{object} has lost the annotation: {seen}");
        }
        Ok(())
    });
}

#[test]
fn logical_backup_cron_job() {
    Scene::run("logical_backup_cron_job", |scene| {
        let kubectl = &scene.kubectl;
        let operator = OwnOperator::of(scene).start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        cluster.patch(&json!({"spec": {
            "enableLogicalBackup": true, "logicalBackupSchedule": "7 7 7 7 *"}}))?;
        let jobs = || -> Result<Vec<Value>> {
            let list = kubectl.json(&["cronjobs", "-l", "application=spilo-logical-backup"])?;
            Ok(list["items"].as_array().cloned().unwrap_or_default())
        };
        wait_until("there is exactly one backup job with the schedule", 60, || {
            let jobs = jobs()?;
            let name = format!("logical-backup-{NAME}");
            let one = jobs.len() == 1
                && jobs[0]["metadata"]["name"] == *name
                && jobs[0]["spec"]["schedule"] == "7 7 7 7 *";
            Ok(Look::when(one, json!(jobs).to_string()))
        })?;
        operator.set(&[("logical_backup_docker_image", Some("test-image-name"))])?;
        wait_until("the job has the image of the settings", 60, || {
            let jobs = jobs()?;
            let pod = &jobs.first().context("no job")?["spec"]["jobTemplate"]["spec"]["template"]["spec"];
            let image = &pod["containers"][0]["image"];
            Ok(Look::when(image == "test-image-name", image.to_string()))
        })?;
        cluster.patch(&json!({"spec": {"enableLogicalBackup": false}}))?;
        wait_until("there is no backup job", 60, || {
            let jobs = jobs()?;
            Ok(Look::when(jobs.is_empty(), json!(jobs).to_string()))
        })
    });
}

#[test]
#[ignore = "longer than a minute: cargo xtask test --long"]
fn persistent_volume_claim_retention_policy() {
    Scene::run("persistent_volume_claim_retention_policy", |scene| {
        let operator = OwnOperator::of(scene)
            .setting("persistent_volume_claim_retention_policy", "when_deleted:retain,when_scaled:delete")
            .start()?;
        let cluster = operator.create(NAME, 2, "")?;
        cluster.wait_ready()?;
        let policy = |wanted: &str| {
            wait_until(&format!("the claims of a removed pod are to {wanted}"), 60, || {
                let seen = cluster.stateful_set()?["spec"]["persistentVolumeClaimRetentionPolicy"].clone();
                Ok(Look::when(seen["whenScaled"] == wanted, seen.to_string()))
            })
        };
        policy("Delete")?;
        scaled_with_claims(&cluster, &scene.kubectl, 1, 1)?;
        scaled_with_claims(&cluster, &scene.kubectl, 2, 2)?;
        scene.step("the claim went with its pod, and came with the next");
        operator.set(&[(
            "persistent_volume_claim_retention_policy",
            Some("when_deleted:retain,when_scaled:retain"),
        )])?;
        policy("Retain")?;
        scaled_with_claims(&cluster, &scene.kubectl, 1, 2)?;
        scaled_with_claims(&cluster, &scene.kubectl, 2, 2)
    });
}

fn scaled_with_claims(cluster: &Cluster, kubectl: &Kubectl, instances: u32, claims: usize) -> Result<()> {
    cluster.patch(&json!({"spec": {"numberOfInstances": instances}}))?;
    cluster.wait_settled(90)?;
    wait_until(&format!("there are {claims} claims with {instances} pods"), 30, || {
        let seen = kubectl.names("pvc", &cluster.selector())?;
        Ok(Look::when(seen.len() == claims, seen.join(" ")))
    })
}

/// Kinds whose objects belong to the manifest when owner references are on, and their names.
fn owned() -> Vec<String> {
    let credentials = |role: &str| format!("secret/{role}.{NAME}.credentials.postgresql.acid.zalan.do");
    vec![
        format!("statefulset/{NAME}"),
        format!("service/{NAME}"),
        format!("service/{NAME}-repl"),
        format!("pdb/postgres-{NAME}-pdb"),
        format!("pdb/postgres-{NAME}-critical-op-pdb"),
        credentials("postgres"),
        credentials("standby"),
    ]
}

#[test]
fn owner_references() {
    Scene::run("owner_references", |scene| {
        let kubectl = &scene.kubectl;
        let operator = OwnOperator::of(scene).start()?;
        let cluster = operator.create(NAME, 1, "")?;
        let second = operator.create("acid-test-cluster", 1, "")?;
        cluster.wait_ready()?;
        second.wait_ready()?;
        let before = cluster.pods()?;
        scene.step("two clusters are ready");

        operator.set(&[("enable_owner_references", Some("true"))])?;
        let owner = |object: &str| -> Result<Value> {
            Ok(kubectl.json(&[object])?["metadata"]["ownerReferences"][0].clone())
        };
        for object in owned() {
            for (from, to) in [("", ""), (NAME, "acid-test-cluster")] {
                let object = if from.is_empty() { object.clone() } else { object.replace(from, to) };
                wait_until(&format!("{object} belongs to its manifest"), 60, || {
                    let seen = owner(&object)?;
                    let controls = seen["kind"] == "postgresql" && seen["controller"] == true;
                    Ok(Look::when(controls, seen.to_string()))
                })?;
            }
        }
        scene.step("all objects belong to their manifests");

        second.delete(120)?;
        for (kind, selector) in [
            ("pods", second.selector()),
            ("statefulsets", second.selector()),
            ("services", second.selector()),
            ("endpoints", second.selector()),
            ("pdb", second.selector()),
            ("secrets", second.selector()),
            ("pvc", second.selector()),
        ] {
            wait_until(&format!("no {kind} of the deleted cluster"), 60, || {
                let seen = kubectl.names(kind, &selector)?;
                Ok(Look::when(seen.is_empty(), seen.join(" ")))
            })?;
        }
        scene.step("the second cluster is gone with all its objects");

        operator.set(&[("enable_owner_references", Some("false"))])?;
        for object in owned() {
            wait_until(&format!("{object} belongs to nobody"), 60, || {
                let seen = owner(&object)?;
                Ok(Look::when(seen.is_null(), seen.to_string()))
            })?;
        }
        cluster.wait_settled(60)?;
        ensure!(cluster.pods()? == before, "pods changed with the owner references");
        Ok(())
    });
}

#[test]
fn multi_namespace_support() {
    Scene::run("multi_namespace_support", |scene| {
        let other = scene.second_namespace("test")?;
        let text = manifest("acid-test-cluster", 2, WHOLE);
        other.run_with_input(&["create", "-f", "-"], &text)?;
        let cluster = Cluster::new(&other, "acid-test-cluster");
        let started = cluster.wait_ready();
        if started.is_err() {
            println!("{}", other.run(&["get", "events", "--sort-by=.lastTimestamp"])?);
        }
        started?;
        cluster.wait_settled(60)?;
        let primary = cluster.primary()?;
        ensure!(cluster.replicas()?.len() == 1, "not one replica beside {}", primary.name);
        let masters = other.names("pods", &format!("{},spilo-role=master", cluster.selector()))?;
        ensure!(masters == [primary.name.clone()], "not exactly one master: {masters:?}");
        let pod = cluster.pod(&primary.name)?;
        let containers = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
        ensure!(containers == 2, "{containers} containers: the sidecar is missing");
        ensure!(pod["metadata"]["annotations"]["annotation.key"] == "value", "no annotation of the manifest");
        // While a cluster has a finalizer its namespace cannot go.
        cluster.delete(120)
    });
}

/// Much of what a manifest can have, and this image can do.
const WHOLE: &str = r#"
    parameters:
      shared_buffers: "32MB"
      max_connections: "20"
      log_statement: all
  podAnnotations:
    annotation.key: value
  serviceAnnotations:
    annotation.key: value
  enableShmVolume: true
  enableMasterLoadBalancer: false
  enableReplicaLoadBalancer: false
  additionalVolumes:
  - name: empty
    mountPath: /opt/empty
    targetContainers: [all]
    volumeSource: {emptyDir: {}}
  initContainers:
  - name: before
    image: localhost/matriarch/instance:dev
    command: ["true"]
  sidecars:
  - name: beside
    image: localhost/matriarch/pause:dev
    resources:
      requests: {cpu: 10m, memory: 10Mi}
      limits: {cpu: 100m, memory: 50Mi}
  resources:
    requests: {cpu: 10m, memory: 100Mi}
    limits: {cpu: 500m, memory: 500Mi}
  patroni:
    failsafe_mode: false
    initdb: {encoding: UTF8, locale: en_US.UTF-8, data-checksums: "true"}
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    synchronous_mode: false
    maximum_lag_on_failover: 33554432
  tolerations:
  - {key: postgres, operator: Exists, effect: NoSchedule}
  maintenanceWindows:
  - 01:00-06:00
  - Sat:00:00-04:00
"#;

/// Roles from two Secrets of infrastructure roles, three in all.
const INFRASTRUCTURE: &str = "
apiVersion: v1
kind: Secret
metadata: {name: infrastructure-roles}
stringData:
  user1: robot_zmon_acid_monitoring
  password1: one
  inrole1: robot_zmon
  user2: testuser
  password2: two
---
apiVersion: v1
kind: Secret
metadata: {name: infrastructure-roles-new}
stringData:
  user: robot_zmon_acid_monitoring_new
  password: three
";

#[test]
fn zz_cluster_deletion() {
    Scene::run("zz_cluster_deletion", |scene| {
        let kubectl = &scene.kubectl;
        kubectl.run_with_input(&["create", "-f", "-"], INFRASTRUCTURE)?;
        let namespace = kubectl.namespace();
        let operator = OwnOperator::of(scene)
            .setting("delete_annotation_date_key", "delete-date")
            .setting("delete_annotation_name_key", "delete-clustername")
            .setting("enable_secrets_deletion", "false")
            .setting("enable_persistent_volume_claim_deletion", "false")
            .setting("infrastructure_roles_secret_name", &format!("{namespace}/infrastructure-roles"))
            .setting(
                "infrastructure_roles_secrets",
                &format!(
                    "secretname:{namespace}/infrastructure-roles-new,userkey:user,rolekey:memberof,\
                     passwordkey:password,defaultrolevalue:robot_zmon"
                ),
            )
            .start()?;
        let text = operator.manifest(NAME, 2, "").replace(
            "    zalando: [superuser, createdb]\n",
            "    zalando: [superuser, createdb]\n    foo_user: []\n    fes_user: []\n",
        );
        kubectl.run_with_input(&["create", "-f", "-"], &text)?;
        let cluster = Cluster::new(kubectl, NAME);
        cluster.wait_ready()?;
        wait_until("every role has its Secret", 30, || secrets(&cluster, kubectl, 8))?;
        // A user who left: the Secret stays.
        cluster.patch(&json!({"spec": {"users": {"fes_user": null}}}))?;
        cluster.wait_settled(60)?;
        scene.step("ready with eight Secrets");

        kubectl.run(&["delete", "postgresql", NAME, "--wait=false"])?;
        wait_until("the refused deletion is told", 30, || {
            let events = kubectl.run(&[
                "get",
                "events",
                "--field-selector",
                &format!("involvedObject.name={NAME}"),
            ])?;
            Ok(Look::when(events.contains("delete-date"), events))
        })?;
        ensure!(cluster.pods()?.iter().filter(|pod| pod.ready).count() == 2, "{:?}", cluster.pods()?);
        let services = kubectl.names("services", &cluster.selector())?;
        ensure!(services.len() >= 2, "services went: {services:?}");
        scene.step("without the annotations nothing was deleted");

        kubectl.run_with_input(&["apply", "-f", "-"], &text)?;
        let today =
            kubectl.run(&["exec", &cluster.primary()?.name, "-c", "postgres", "--", "date", "-u", "+%F"])?;
        cluster.patch(&json!({"metadata": {"annotations": {
            "delete-date": today, "delete-clustername": NAME}}}))?;
        kubectl.run(&["delete", "postgresql", NAME, "--ignore-not-found", "--timeout=120s"])?;
        for kind in ["pods", "services", "endpoints", "statefulsets", "deployments", "pdb"] {
            wait_until(&format!("no {kind} of the cluster"), 60, || {
                let seen = kubectl.names(kind, &cluster.selector())?;
                Ok(Look::when(seen.is_empty(), seen.join(" ")))
            })?;
        }
        wait_until("eight Secrets are kept", 5, || secrets(&cluster, kubectl, 8))?;
        let claims = kubectl.names("pvc", &cluster.selector())?;
        ensure!(claims.len() == 2, "not two claims are kept: {claims:?}");
        Ok(())
    });
}

fn secrets(cluster: &Cluster, kubectl: &Kubectl, wanted: usize) -> Result<Look<()>> {
    let seen = kubectl.names("secrets", &cluster.selector())?;
    Ok(Look::when(seen.len() == wanted, seen.join(" ")))
}
