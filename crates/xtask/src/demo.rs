//! The cluster `acid-demo`: the proof that the road leads to a database.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::progress::Stage;
use crate::shell;
use crate::target::Target;

const NAMESPACE: &str = "demo";
const CLUSTER: &str = "postgresql/acid-demo";
const PRIMARY: &str = "cluster-name=acid-demo,spilo-role=master";
const READY_WITHIN: Duration = Duration::from_secs(600);
const QUERY: &str = "select version()";

/// Makes the cluster from its manifest, waits for it and asks it something.
pub fn show(checkout: &Checkout, target: &Target, stage: &Stage) -> Result<()> {
    let manifest = checkout.root.join("deploy/examples/demo.yaml");
    if !manifest.is_file() {
        stage.say("no deploy/examples/demo.yaml in this checkout: leaving the cluster without a demo");
        return Ok(());
    }
    let namespace =
        format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{NAMESPACE}"}}}}"#);
    shell::with_input(target.kubectl().args(["apply", "--filename", "-"]), &namespace)?;
    shell::output(kubectl(target).args(["apply", "--filename"]).arg(&manifest))?;
    wait(target, stage)?;
    let answer = query(target)?;
    println!("\n  {QUERY}\n  {answer}");
    Ok(())
}

/// The line that asks the same by hand.
pub fn query_line() -> String {
    format!(
        "kubectl --namespace {NAMESPACE} exec --container postgres \\\n    \"$(kubectl --namespace {NAMESPACE} get pods \
         --selector {PRIMARY} --output name)\" -- psql --username postgres --command '{QUERY}'"
    )
}

fn kubectl(target: &Target) -> std::process::Command {
    let mut command = target.kubectl();
    command.args(["--namespace", NAMESPACE]);
    command
}

fn wait(target: &Target, stage: &Stage) -> Result<()> {
    let start = Instant::now();
    loop {
        let mut wait = kubectl(target);
        wait.args(["wait", "--for=condition=Ready", CLUSTER, "--timeout=3s"]);
        if shell::output(&mut wait).is_ok() {
            stage.say("acid-demo is ready");
            return Ok(());
        }
        let state = state(target);
        if start.elapsed() > READY_WITHIN {
            bail!("{}", explain(target, &state));
        }
        stage.step(&state);
    }
}

/// Status word and the phase of each pod.
fn state(target: &Target) -> String {
    let get = |words: &[&str]| -> Option<Value> {
        serde_json::from_str(&shell::output(kubectl(target).args(["get", "--output=json"]).args(words)).ok()?)
            .ok()
    };
    let status = get(&[CLUSTER]).unwrap_or_default()["status"]["PostgresClusterStatus"].clone();
    let pods = get(&["pods", "--selector=cluster-name=acid-demo"]).unwrap_or_default();
    let pods: Vec<String> = pods["items"].as_array().into_iter().flatten().map(pod).collect();
    format!(
        "{}; pods: {}",
        status.as_str().unwrap_or("no status yet"),
        if pods.is_empty() { "none".into() } else { pods.join(", ") }
    )
}

fn pod(pod: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!(
        "{} {} {}",
        text(&pod["metadata"]["name"]),
        text(&pod["status"]["phase"]),
        text(&pod["metadata"]["labels"]["spilo-role"])
    )
}

fn query(target: &Target) -> Result<String> {
    let pod = shell::output(kubectl(target).args(["get", "pods", "--output=name", "--selector", PRIMARY]))?;
    let pod =
        pod.lines().next().context("the cluster is ready, and no pod is labelled as its primary")?.to_owned();
    let psql = ["psql", "--username=postgres", "--no-align", "--tuples-only", "--command", QUERY];
    let answer =
        shell::output(kubectl(target).args(["exec", &pod, "--container=postgres", "--"]).args(psql))?;
    Ok(answer.trim().to_owned())
}

fn explain(target: &Target, state: &str) -> String {
    let look = |words: &[&str]| shell::output(kubectl(target).args(words)).unwrap_or_default();
    format!(
        "acid-demo is not ready after {READY_WITHIN:?}: {state}\n{}\nIts last events:\n{}\nLook further with: \
         kubectl --namespace {NAMESPACE} describe {CLUSTER}; kubectl --namespace matriarch-system logs deployment/matriarch",
        look(&["get", "pods"]),
        shell::last_lines(&look(&["get", "events", "--sort-by=.lastTimestamp"]), 12)
    )
}
