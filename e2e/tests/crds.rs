//! Our definitions on a real API server: they are structural and established, every manifest that
//! the contract knows is taken, and what cannot work is refused with the field's name.

#![allow(clippy::print_stdout, reason = "tests report to the person who runs them")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use matriarch_e2e::{Kubectl, Scene, own_operator};
use serde_json::{Value, json};

const DEFINITIONS: [&str; 3] =
    ["postgresqls.acid.zalan.do", "operatorconfigurations.acid.zalan.do", "postgresteams.acid.zalan.do"];

#[test]
fn definitions_and_manifests() {
    Scene::run("crds", |scene| {
        let kubectl = &scene.kubectl;
        definitions_are_taken(kubectl)?;
        scene.step("the definitions are structural and established");
        let taken = manifests_are_taken(kubectl)?;
        scene.step(&format!("{taken} manifests are taken"));
        for (change, field) in refused() {
            is_refused(kubectl, &change, field)?;
        }
        scene.step(&format!("{} manifests are refused, each with its field", refused().len()));
        for change in accepted() {
            let manifest = changed(&change);
            dry_run(kubectl, &manifest).with_context(|| format!("{change} must be taken"))?;
        }
        scene.step(&format!("{} manifests at the edge are taken", accepted().len()));
        what_is_stored(kubectl)?;
        scene.step("null, unknown fields, scale and columns are as the contract has them");
        Ok(())
    });
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn definitions_are_taken(kubectl: &Kubectl) -> Result<()> {
    let file = root().join("deploy/crds/crds.yaml");
    let file = file.to_str().context("a path that is no text")?;
    kubectl.run(&[
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=matriarch-e2e",
        "-f",
        file,
    ])?;
    for name in DEFINITIONS {
        kubectl.run(&["wait", "--for=condition=Established", "--timeout=30s", "crd", name])?;
        let definition = kubectl.json(&["crd", name])?;
        let conditions = definition["status"]["conditions"].as_array().context("no conditions")?;
        let wrong = conditions.iter().find(|condition| condition["type"] == "NonStructuralSchema");
        ensure!(wrong.is_none(), "{name}: {wrong:?}");
    }
    Ok(())
}

/// Ours, and those of the original where its files are at hand.
fn manifests_are_taken(kubectl: &Kubectl) -> Result<usize> {
    let mut folders =
        ["testdata/seed", "testdata/manifests", "deploy/examples"].map(|place| root().join(place)).to_vec();
    match std::env::var_os("MATRIARCH_EXTRA_TESTDATA") {
        Some(extra) => folders.push(PathBuf::from(extra).join("zalando-manifests")),
        None => println!("left out: MATRIARCH_EXTRA_TESTDATA names no folder with further manifests"),
    }
    let mut taken = 0;
    for folder in folders {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            for document in std::fs::read_to_string(&path)?.split("\n---") {
                let Ok(mut object) = serde_saphyr::from_str::<Value>(document) else { continue };
                let kind = object["kind"].as_str().unwrap_or_default();
                if !["postgresql", "PostgresTeam", "OperatorConfiguration"].contains(&kind) {
                    continue;
                }
                object["metadata"]["namespace"] = json!(kubectl.namespace());
                dry_run(kubectl, &object).with_context(|| path.display().to_string())?;
                taken += 1;
            }
        }
    }
    ensure!(taken >= 3, "only {taken} manifests were found");
    Ok(taken)
}

fn dry_run(kubectl: &Kubectl, object: &Value) -> Result<Value> {
    let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
    Ok(serde_json::from_str(&kubectl.run_with_input(&arguments, &object.to_string())?)?)
}

/// A manifest with other fields in `spec`; null takes a field out.
fn changed(change: &Value) -> Value {
    let mut manifest = json!({
        "apiVersion": "acid.zalan.do/v1",
        "kind": "postgresql",
        // No operator looks after it.
        "metadata": {"name": "acid-judged", "annotations": {own_operator::CONTROLLER: "nobody"}},
        "spec": {
            "teamId": "acid", "numberOfInstances": 1, "volume": {"size": "1Gi"},
            "postgresql": {"version": "17"},
        },
    });
    for (key, value) in change.as_object().into_iter().flatten() {
        manifest["spec"][key] = value.clone();
    }
    manifest
}

fn is_refused(kubectl: &Kubectl, change: &Value, field: &str) -> Result<()> {
    match dry_run(kubectl, &changed(change)) {
        Ok(_) => bail!("{change} is taken; it must be refused because of {field}"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(field), "{change} is refused without {field}: {text}");
            Ok(())
        }
    }
}

/// What is refused, and the field that the message must name.
fn refused() -> Vec<(Value, &'static str)> {
    let stream = |more: Value| {
        let mut stream = json!({"applicationId": "a", "database": "d", "tables": {"t": {"eventType": "e"}}});
        for (key, value) in more.as_object().into_iter().flatten() {
            stream[key] = value.clone();
        }
        json!({"streams": [stream]})
    };
    vec![
        (json!({"teamId": null}), "spec.teamId"),
        (json!({"teamId": 100}), "spec.teamId"),
        (json!({"numberOfInstances": -1}), "spec.numberOfInstances"),
        (json!({"numberOfInstances": "2"}), "spec.numberOfInstances"),
        (json!({"volume": {}}), "spec.volume.size"),
        (json!({"volume": {"size": "1 Gi"}}), "spec.volume.size"),
        (json!({"volume": {"size": "1Gi", "iops": 80001}}), "spec.volume.iops"),
        (json!({"volume": {"size": "1Gi", "throughput": 2001}}), "spec.volume.throughput"),
        (json!({"postgresql": {"version": "12"}}), "spec.postgresql.version"),
        (json!({"postgresql": {"version": "17", "parameters": {"a": 1}}}), "spec.postgresql.parameters.a"),
        (json!({"users": {"foo": ["fly"]}}), "spec.users.foo[0]"),
        (json!({"users": {"foo": ["SuperUser"]}}), "spec.users.foo[0]"),
        (json!({"allowedSourceRanges": ["10.0.0.1"]}), "spec.allowedSourceRanges[0]"),
        (json!({"allowedSourceRanges": ["10.0.0.0/8", "fd01::/129"]}), "spec.allowedSourceRanges[1]"),
        (json!({"maintenanceWindows": ["Mon:12:00-11:00"]}), "spec.maintenanceWindows[0]"),
        (json!({"maintenanceWindows": ["10:00-00:00"]}), "spec.maintenanceWindows[0]"),
        (json!({"maintenanceWindows": ["01:5-06:00"]}), "spec.maintenanceWindows[0]"),
        (json!({"maintenanceWindows": ["Sunday:00:00-00:00"]}), "spec.maintenanceWindows[0]"),
        (json!({"clone": {}}), "spec.clone.cluster"),
        (json!({"clone": {"cluster": "foo+bar"}}), "spec.clone.cluster"),
        (json!({"clone": {"cluster": "a".repeat(64)}}), "spec.clone.cluster"),
        (json!({"clone": {"cluster": "foo", "timestamp": "2017-12-19T12:40:33Z"}}), "spec.clone.timestamp"),
        (json!({"clone": {"cluster": "foo", "uid": "x"}}), "spec.clone.uid"),
        (json!({"standby": {}}), "spec.standby"),
        (json!({"standby": {"s3_wal_path": "s3://a", "gs_wal_path": "gs://a"}}), "spec.standby"),
        (json!({"standby": {"standby_host": "h", "standby_port": 5432}}), "spec.standby.standby_port"),
        (json!({"patroni": {"ttl": -1}}), "spec.patroni.ttl"),
        (json!({"patroni": {"synchronous_node_count": -1}}), "spec.patroni.synchronous_node_count"),
        (json!({"patroni": {"slots": {"a": {"type": 1}}}}), "spec.patroni.slots.a.type"),
        (json!({"resources": {"requests": {"cpu": 1}}}), "spec.resources.requests.cpu"),
        (json!({"resources": {"limits": {"memory": "1gi"}}}), "spec.resources.limits.memory"),
        (json!({"connectionPooler": {"mode": "statement"}}), "spec.connectionPooler.mode"),
        (json!({"connectionPooler": {"numberOfInstances": 0}}), "spec.connectionPooler.numberOfInstances"),
        (json!({"logicalBackupSchedule": "daily at noon"}), "spec.logicalBackupSchedule"),
        (json!({"env": [{"value": "x"}]}), "spec.env[0].name"),
        (json!({"initContainers": [{"image": "x"}]}), "spec.initContainers[0].name"),
        (json!({"sidecars": [{"image": "x", "ports": [{}]}]}), "spec.sidecars[0].ports[0].containerPort"),
        (
            json!({"topologySpreadConstraints": [{"maxSkew": 1}]}),
            "spec.topologySpreadConstraints[0].topologyKey",
        ),
        (json!({"tls": {}}), "spec.tls.secretName"),
        (
            json!({"additionalVolumes": [{"name": "x", "mountPath": "/x"}]}),
            "spec.additionalVolumes[0].volumeSource",
        ),
        (
            json!({"preparedDatabases": {"d": {"defaultUsers": "yes"}}}),
            "spec.preparedDatabases.d.defaultUsers",
        ),
        (stream(json!({"batchSize": -1})), "spec.streams[0].batchSize"),
        (stream(json!({"tables": {"t": {}}})), "spec.streams[0].tables.t.eventType"),
        (stream(json!({"cpu": "x"})), "spec.streams[0].cpu"),
        (json!({"topologySpreadConstraint": []}), "spec.topologySpreadConstraint"),
    ]
}

/// What looks odd and has to be taken all the same.
fn accepted() -> Vec<Value> {
    vec![
        json!({"teamId": ""}),
        json!({"numberOfInstances": 0}),
        json!({"volume": {"size": "100K"}}),
        json!({"volume": {"size": "1.5", "iops": 1000}}),
        json!({"postgresql": {"version": "13"}}),
        json!({"users": {"foo": null, "bar": ["SUPERUSER", "nologin"]}}),
        json!({"maintenanceWindows": [" 1:00-06:00 ", "Sun:00:00-00:00", "08:09-09:08"]}),
        json!({"clone": {"cluster": ""}}),
        json!({"clone": {"cluster": "foo+bar", "timestamp": "2017-02-31T12:40:60+00:00"}}),
        json!({"standby": {"standby_host": "h", "s3_wal_path": "s3://a"}}),
        json!({"tls": {"secretName": ""}}),
        json!({"connectionPooler": {}, "preparedDatabases": {}}),
        json!({"logicalBackupSchedule": "0 0 * * 1-5"}),
        json!({"useLoadBalancer": true, "replicaLoadBalancer": false, "pod_priority_class_name": "p"}),
        json!({"init_containers": [{"name": "n", "image": "i"}], "initContainers": null, "sidecars": null}),
        json!({"additionalVolumes": [{
            "name": "x", "mountPath": "/x", "volumeSource": {"PersistentVolumeClaim": {"readyOnly": true}},
        }]}),
        json!({"livenessProbe": {"exec": {"command": ["true"]}, "somethingNewer": 1}}),
    ]
}

fn what_is_stored(kubectl: &Kubectl) -> Result<()> {
    let mut manifest = changed(&json!({
        "users": {"foo": null}, "connectionPooler": null, "databases": {"foo": null}, "unknown": 1,
        "env": [{"name": "x", "somethingNewer": 1}],
    }));
    manifest["spec"]["volume"]["unknown"] = json!(1);
    kubectl.run_with_input(&["create", "--validate=ignore", "-f", "-"], &manifest.to_string())?;
    let stored = kubectl.json(&["postgresql", "acid-judged"])?["spec"].clone();
    ensure!(stored["users"] == json!({"foo": null}), "users: {}", stored["users"]);
    ensure!(stored["databases"] == json!({}), "databases: {}", stored["databases"]);
    ensure!(stored.get("connectionPooler").is_none(), "a null pooler was kept");
    ensure!(stored.get("unknown").is_none(), "an unknown field was kept");
    ensure!(stored["volume"] == json!({"size": "1Gi"}), "volume: {}", stored["volume"]);
    ensure!(stored["env"][0]["somethingNewer"] == 1, "env: {}", stored["env"]);

    kubectl.run(&["scale", "postgresql/acid-judged", "--replicas=3"])?;
    let scaled = kubectl.json(&["postgresql", "acid-judged"])?["spec"]["numberOfInstances"].clone();
    ensure!(scaled == 3, "scaled to {scaled}");

    let table = kubectl.run(&["get", "pg"])?;
    let heads: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    let expected =
        ["NAME", "TEAM", "VERSION", "PODS", "VOLUME", "CPU-REQUEST", "MEMORY-REQUEST", "AGE", "STATUS"];
    ensure!(heads == expected, "columns: {heads:?}");
    kubectl.run(&["delete", "postgresql", "acid-judged"])?;
    Ok(())
}
