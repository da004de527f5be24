//! The first walk: a cluster from the minimal manifest, queried, and deleted.

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use matriarch_e2e::kubectl::Background;
use matriarch_e2e::port_forward::PortForward;
use matriarch_e2e::psql::{self, Login};
use matriarch_e2e::{ClientPod, Cluster, Kubectl, Look, Scene, wait_until};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/seed/minimal.yaml");
const NAME: &str = "acid-minimal-cluster";

#[test]
fn minimal_cluster_is_created_queried_and_deleted() {
    Scene::run("walk_create", |scene| {
        let kubectl = &scene.kubectl;
        let watch = Watch::start(kubectl)?;
        kubectl.run(&["create", "-f", MANIFEST])?;
        let cluster = Cluster::new(kubectl, NAME);
        cluster.wait_ready()?;
        scene.step("ready");
        watch.shows_both_roles()?;
        columns(kubectl)?;
        events(kubectl)?;
        scene.step("columns and events are as promised");

        from_this_machine(kubectl, &cluster)?;
        scene.step("queried through port-forward");
        let client = ClientPod::start(kubectl, None)?;
        through_the_service(&client, &cluster)?;
        scene.step("queried through the Service");

        deletion_leaves_what_is_shared(scene)
    });
}

/// `kubectl get pods -l application=spilo -L spilo-role -w`, from before the creation.
struct Watch {
    _process: Background,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    fn start(kubectl: &Kubectl) -> Result<Self> {
        let arguments = ["get", "pods", "-l", "application=spilo", "-L", "spilo-role", "-w"];
        let mut child = kubectl.spawn(&arguments)?;
        let output = child.stdout.take().context("no output")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(mut lines) = heard.lock() {
                    lines.push(line);
                }
            }
        });
        Ok(Self { _process: Background(child), lines })
    }

    fn shows_both_roles(&self) -> Result<()> {
        wait_until("the watch shows master and replica", 15, || {
            let lines = self.lines.lock().map(|lines| lines.clone()).unwrap_or_default();
            let shows = |role: &str| lines.iter().any(|line| line.trim_end().ends_with(role));
            Ok(Look::when(shows(" master") && shows(" replica"), lines.join("\n")))
        })
    }
}

fn columns(kubectl: &Kubectl) -> Result<()> {
    let table = kubectl.run(&["get", "postgresql"])?;
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default();
    for column in ["NAME", "TEAM", "VERSION", "PODS", "VOLUME", "AGE", "STATUS"] {
        ensure!(head.split_whitespace().any(|word| word == column), "no {column} in: {table}");
    }
    let row: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    ensure!(row.starts_with(&[NAME, "acid", "15", "2", "1Gi"]), "not as in the manifest: {table}");
    ensure!(row.last() == Some(&"Running"), "the status is not Running: {table}");
    Ok(())
}

fn events(kubectl: &Kubectl) -> Result<()> {
    wait_until("kubectl describe shows the events", 15, || {
        let description = kubectl.run(&["describe", "postgresql", NAME])?;
        let events = description.split("\nEvents:").nth(1).unwrap_or_default();
        let missing: Vec<_> = ["Create", "Services", "Secrets", "StatefulSet"]
            .into_iter()
            .filter(|reason| !events.contains(reason))
            .collect();
        Ok(Look::when(missing.is_empty(), format!("no {missing:?} in: {events}")))
    })
}

/// As upstream's quickstart goes: labels, port-forward, the password from the Secret.
fn from_this_machine(kubectl: &Kubectl, cluster: &Cluster) -> Result<()> {
    let labels = format!("application=spilo,cluster-name={NAME},spilo-role=master");
    let first = "jsonpath={.items..metadata.name}";
    let master = kubectl.run(&["get", "pods", "-l", &labels, "-o", first])?;
    ensure!(!master.contains(' ') && !master.is_empty(), "not one master: {master:?}");
    // The server ends encrypted connections with a reset, at which kubectl gives up its
    // forwarding ("lost connection to pod"): so each session gets its own.
    let session = |user: &str, password: &str, database: &str, sql: &str| {
        let forward = PortForward::open(kubectl, &master, 6432, 5432)?;
        psql::local(forward.port, user, password, database, sql)
    };
    let password = cluster.password("postgres")?;
    let ask = |database: &str, sql: &str| session("postgres", &password, database, sql);
    ensure!(ask("postgres", "select pg_is_in_recovery()")? == "f", "the master is in recovery");

    let verifiers = "select rolname || ' ' || left(rolpassword, 14) from pg_authid
        where rolname in ('postgres', 'standby', 'zalando', 'foo_user') order by 1";
    ensure!(
        ask("postgres", verifiers)?
            == "foo_user SCRAM-SHA-256$\npostgres SCRAM-SHA-256$\n\
                standby SCRAM-SHA-256$\nzalando SCRAM-SHA-256$",
        "not SCRAM: {}",
        ask("postgres", verifiers)?
    );
    let owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'foo'";
    ensure!(ask("postgres", owner)? == "zalando", "foo does not belong to zalando");
    let flags = "select rolname, rolsuper, rolcreatedb, rolcanlogin from pg_roles
        where rolname in ('zalando', 'foo_user') order by 1";
    let expected = "foo_user|f|f|t\nzalando|t|t|t";
    ensure!(ask("postgres", flags)? == expected, "other flags: {}", ask("postgres", flags)?);

    for role in ["zalando", "foo_user"] {
        let password = cluster.password(role)?;
        let who = session(role, &password, "foo", "select current_user")?;
        ensure!(who == role, "{role} is {who}");
    }
    let wrong = session("zalando", "wrong", "foo", "select 1");
    ensure!(wrong.is_err(), "zalando logs in with a wrong password");
    Ok(())
}

fn through_the_service(client: &ClientPod, cluster: &Cluster) -> Result<()> {
    let through = cluster.login("foo_user", "foo")?;
    let login = |host: &str, sslmode: &str| Login {
        host: host.to_owned(),
        sslmode: sslmode.to_owned(),
        ..through.clone()
    };
    let recovery = "select pg_is_in_recovery()";
    let primary = client.ask(&login(NAME, "require"), recovery)?;
    ensure!(primary == "f", "the Service {NAME} does not lead to the primary");
    let replica = client.ask(&login("acid-minimal-cluster-repl", "require"), recovery)?;
    ensure!(replica == "t", "the Service {NAME}-repl does not lead to the replica");

    let refused = client.psql(&login(NAME, "disable"), "select 1");
    let refusal = refused.err().context("sslmode=disable is let in")?;
    let words = format!("{refusal:#}");
    ensure!(words.contains("no encryption") || words.contains("pg_hba"), "refused for: {words}");
    Ok(())
}

/// `kubectl delete postgresql`: everything of the cluster goes, pods and claims too.
fn deletion_leaves_what_is_shared(scene: &Scene) -> Result<()> {
    let kubectl = &scene.kubectl;
    kubectl.run(&["delete", "postgresql", NAME, "--timeout=120s"])?;
    scene.step("deleted");
    kubectl.run(&["delete", "pod", "client"])?;
    wait_until("only ServiceAccount and RoleBinding are left", 90, || {
        let left = left_over(kubectl)?;
        Ok(Look::when(left.is_empty(), left.join(" ")))
    })?;
    for shared in ["serviceaccount", "rolebinding"] {
        kubectl.run(&["get", shared, "postgres-pod"])?;
    }
    Ok(())
}

/// Everything in the namespace that neither Kubernetes nor the contract keeps there.
fn left_over(kubectl: &Kubectl) -> Result<Vec<String>> {
    let kinds = "pods,statefulsets,controllerrevisions,services,endpoints,endpointslices,\
                 configmaps,secrets,persistentvolumeclaims,poddisruptionbudgets,cronjobs,jobs,\
                 deployments,replicasets,serviceaccounts,roles,rolebindings,postgresqls";
    let kept = [
        "configmap/kube-root-ca.crt",
        "serviceaccount/default",
        "serviceaccount/postgres-pod",
        "rolebinding.rbac.authorization.k8s.io/postgres-pod",
    ];
    let all = kubectl.run(&["get", kinds, "-o", "name"])?;
    Ok(all.lines().filter(|line| !kept.contains(line)).map(str::to_owned).collect())
}
