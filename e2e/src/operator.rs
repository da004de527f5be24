//! The operator's own Deployment, for the tests that take it away.

use anyhow::{Context, Result};

use crate::kubectl::Kubectl;
use crate::node::xtask;
use crate::wait::{Look, wait_until};

/// Where the operator lives.
pub const NAMESPACE: &str = "matriarch-system";

/// Its Deployment, as `kubectl` takes it.
pub const DEPLOYMENT: &str = "deployment/matriarch";

/// What all its replicas have logged: one of them leads, and only that one tells of clusters.
///
/// # Errors
/// When `kubectl` fails.
pub fn logs() -> Result<String> {
    kubectl().run(&["logs", "-l", &selector()?, "--prefix", "--tail=-1"])
}

/// `kubectl` in the operator's namespace.
pub fn kubectl() -> Kubectl {
    Kubectl::new(NAMESPACE)
}

/// The operator's pods.
///
/// # Errors
/// When the Deployment cannot be read.
pub fn pods() -> Result<Vec<String>> {
    kubectl().names("pods", &selector()?)
}

/// Nodes that carry the operator.
///
/// # Errors
/// When the pods cannot be read.
pub fn nodes() -> Result<Vec<String>> {
    let columns = "jsonpath={.items[*].spec.nodeName}";
    let nodes = kubectl().run(&["get", "pods", "-l", &selector()?, "-o", columns])?;
    Ok(nodes.split_whitespace().map(str::to_owned).collect())
}

/// The label selector of its pods.
///
/// # Errors
/// When the Deployment cannot be read.
pub fn selector() -> Result<String> {
    let deployment = kubectl().json(&[DEPLOYMENT])?;
    let labels = deployment["spec"]["selector"]["matchLabels"].as_object();
    let labels = labels.context("the operator's Deployment selects by no labels")?;
    let pairs = labels.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()));
    Ok(pairs.collect::<Vec<_>>().join(","))
}

/// Kills every process of the operator without notice, and its pods with them; the Deployment
/// makes new ones.
///
/// # Errors
/// When `kubectl` fails or a process is not found.
pub fn kill() -> Result<()> {
    // Deleting by force alone would leave a process the time to hand over.
    for pod in pods()? {
        crash(&kubectl(), &pod)?;
    }
    kubectl().run(&["delete", "pod", "-l", &selector()?, "--grace-period=0", "--force"])?;
    Ok(())
}

/// Kills the process of one pod with SIGKILL: it has no chance to hand anything over.
///
/// # Errors
/// When it is not found: only processes of the local cluster are.
pub fn crash(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let uid = kubectl.run(&["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"])?;
    let script = format!(
        "found=1; for process in $(pgrep -f 'matriarch operator'); do \
         grep -q {uid} /proc/$process/cgroup && kill -KILL $process && found=0; done; exit $found"
    );
    xtask(&["enter", "sh", "-c", &script]).map(drop)
}

/// Waits until the Deployment has all its pods.
///
/// # Errors
/// When it has not after two minutes.
pub fn wait_for_rollout() -> Result<()> {
    kubectl().run(&["rollout", "status", DEPLOYMENT, "--timeout=120s"])?;
    Ok(())
}

/// The operator, scaled to nothing until this is dropped.
pub struct Away {
    replicas: String,
}

impl Away {
    /// Scales the operator to nothing and waits until its pods are gone.
    ///
    /// # Errors
    /// When `kubectl` fails or the pods stay for a minute.
    pub fn send() -> Result<Self> {
        let replicas = kubectl().run(&["get", DEPLOYMENT, "-o", "jsonpath={.spec.replicas}"])?;
        let away = Self { replicas };
        kubectl().run(&["scale", DEPLOYMENT, "--replicas=0"])?;
        wait_until("the operator's pods are gone", 60, || {
            let left = pods()?;
            Ok(Look::when(left.is_empty(), left.join(" ")))
        })?;
        Ok(away)
    }

    /// Brings it back and waits until it runs.
    ///
    /// # Errors
    /// When it does not within two minutes.
    pub fn bring_back(self) -> Result<()> {
        drop(self);
        wait_for_rollout()
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let replicas = format!("--replicas={}", self.replicas);
        if let Err(error) = kubectl().run(&["scale", DEPLOYMENT, &replicas]) {
            println!("e2e: cannot bring the operator back: {error:#}");
        }
    }
}
