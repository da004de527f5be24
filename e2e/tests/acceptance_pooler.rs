//! Acceptance rows about connection poolers. The names are those of the original's own end-to-end
//! tests; docs/reference/acceptance.md lists them all.

use anyhow::{Result, ensure};
use matriarch_e2e::{Cluster, Kubectl, Look, OwnOperator, Scene, wait_until};
use serde_json::{Value, json};

const NAME: &str = "acid-minimal-cluster";
const POOLERS: &str = "application=db-connection-pooler";
/// Stands in for a pooler: its pods run, and pool nothing.
const IMAGE: &str = "localhost/matriarch/pause:dev";

fn pooler_of(role: &str) -> String {
    format!("{POOLERS},connection-pooler={NAME}-pooler{role}")
}

fn count(kubectl: &Kubectl, kind: &str, selector: &str, wanted: usize) -> Result<()> {
    wait_until(&format!("{wanted} {kind} with {selector}"), 90, || {
        let seen = kubectl.names(kind, selector)?;
        Ok(Look::when(seen.len() == wanted, seen.join(" ")))
    })
}

#[test]
fn enable_disable_connection_pooler() {
    Scene::pending("enable_disable_connection_pooler", "connection pooler", |scene| {
        let kubectl = &scene.kubectl;
        let operator = OwnOperator::of(scene)
            .setting("connection_pooler_image", IMAGE)
            .setting("db_hosted_zone", "db.example.com")
            .start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        let patch = |spec: Value| cluster.patch(&json!({"spec": spec}));
        patch(json!({"enableConnectionPooler": true, "enableReplicaConnectionPooler": true}))?;
        count(kubectl, "pods", &pooler_of(""), 2)?;
        count(kubectl, "pods", &pooler_of("-repl"), 2)?;
        count(kubectl, "services", POOLERS, 2)?;
        count(kubectl, "secrets", POOLERS, 3)?;
        scene.step("both poolers are there");

        patch(json!({"enableMasterPoolerLoadBalancer": true, "enableReplicaPoolerLoadBalancer": true}))?;
        for role in ["", "-repl"] {
            let name = format!("{NAME}-pooler{role}");
            let host = format!("{name}.{}.db.example.com", kubectl.namespace());
            wait_until(&format!("{name} is a load balancer with the name {host}"), 60, || {
                let service = kubectl.json(&["service", &name])?;
                let dns = &service["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"];
                let balanced = service["spec"]["type"] == "LoadBalancer" && dns == &json!(host);
                Ok(Look::when(balanced, service.to_string()))
            })?;
        }
        patch(json!({"enableConnectionPooler": false}))?;
        count(kubectl, "pods", &pooler_of(""), 0)?;
        count(kubectl, "pods", &pooler_of("-repl"), 2)?;
        count(kubectl, "services", POOLERS, 1)?;
        scene.step("the replica's pooler alone");

        patch(json!({"enableConnectionPooler": true, "enableReplicaConnectionPooler": false,
            "enableMasterPoolerLoadBalancer": false}))?;
        count(kubectl, "pods", &pooler_of(""), 2)?;
        count(kubectl, "pods", &pooler_of("-repl"), 0)?;
        count(kubectl, "services", POOLERS, 1)?;
        count(kubectl, "secrets", POOLERS, 2)?;
        wait_until("the pooler's Service is ClusterIP again", 60, || {
            let service = kubectl.json(&["service", &format!("{NAME}-pooler")])?;
            Ok(Look::when(service["spec"]["type"] == "ClusterIP", service["spec"].to_string()))
        })?;
        patch(json!({"connectionPooler": {"numberOfInstances": 3}}))?;
        count(kubectl, "pods", &pooler_of(""), 3)?;
        patch(json!({"enableConnectionPooler": false}))?;
        count(kubectl, "pods", POOLERS, 0)?;
        count(kubectl, "services", POOLERS, 0)?;
        count(kubectl, "secrets", POOLERS, 0)?;
        scene.step("no pooler");
        lookup_schemas(&cluster)
    });
}

/// What the pooler looks users up with stays in every database.
fn lookup_schemas(cluster: &Cluster) -> Result<()> {
    for database in ["postgres", "foo"] {
        let sql = "select count(*) from pg_namespace where nspname = 'pooler'";
        ensure!(cluster.sql(database, sql)? == "1", "no schema pooler in {database}");
    }
    Ok(())
}

/// A Deployment of the pooler's name that somebody else has made.
const FOREIGN: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: acid-minimal-cluster-pooler
  labels: &labels {application: db-connection-pooler, connection-pooler: acid-minimal-cluster-pooler}
spec:
  replicas: 1
  selector:
    matchLabels: &pods
      application: db-connection-pooler
      connection-pooler: acid-minimal-cluster-pooler
      cluster-name: acid-minimal-cluster
  template:
    metadata: {labels: *pods}
    spec:
      containers:
      - name: pooler
        image: localhost/matriarch/pause:dev
";

#[test]
fn overwrite_pooler_deployment() {
    Scene::pending("overwrite_pooler_deployment", "connection pooler", |scene| {
        let kubectl = &scene.kubectl;
        let operator = OwnOperator::of(scene).setting("connection_pooler_image", IMAGE).start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        kubectl.run_with_input(&["create", "-f", "-"], FOREIGN)?;
        count(kubectl, "pods", &pooler_of(""), 1)?;
        cluster.patch(&json!({"spec": {"enableConnectionPooler": true}}))?;
        count(kubectl, "pods", &pooler_of(""), 2)?;
        cluster.patch(&json!({"spec": {"enableConnectionPooler": false}}))?;
        count(kubectl, "pods", &pooler_of(""), 0)
    });
}
