//! The operator into the cluster: `deploy/local`.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::images::ImageArchive;
use crate::progress::Stage;
use crate::target::Target;
use crate::{files, shell};

const OPERATOR_IMAGE: &str = "localhost/matriarch/operator:dev";
const NAMESPACE: &str = "matriarch-system";

/// Applies the manifests and waits for the Deployment; false when this checkout
/// has none.
pub fn deploy(checkout: &Checkout, target: &Target, images: &[ImageArchive], stage: &Stage) -> Result<bool> {
    let dir = checkout.root.join("deploy/local");
    if !dir.is_dir() {
        stage.say("no deploy/local in this checkout: leaving it at the bare cluster");
        return Ok(false);
    }
    let flag = if dir.join("kustomization.yaml").exists() { "--kustomize" } else { "--filename" };
    let apply = || {
        let mut command = target.kubectl();
        command.args(["apply", "--server-side", "--force-conflicts", flag]).arg(&dir);
        shell::output(&mut command)
    };
    // A namespace or a kind that the same call makes may not be known yet.
    if apply().is_err() {
        thread::sleep(Duration::from_secs(2));
        apply()?;
    }
    restart_on_new_image(checkout, target, images, stage)?;
    stage.say("waiting for the operator");
    shell::output(target.kubectl().args([
        "--namespace",
        NAMESPACE,
        "rollout",
        "status",
        "deployment/matriarch",
        "--timeout=180s",
    ]))
    .with_context(|| explain(target))?;
    Ok(true)
}

/// The tag stays the same, so the Deployment does not see that the image changed.
fn restart_on_new_image(
    checkout: &Checkout,
    target: &Target,
    images: &[ImageArchive],
    stage: &Stage,
) -> Result<()> {
    let Some(image) = images.iter().find(|image| image.reference == OPERATOR_IMAGE) else { return Ok(()) };
    let record = checkout.state().join("operator.digest");
    let before = fs::read_to_string(&record).ok();
    if before.as_ref() == Some(&image.digest) {
        return Ok(());
    }
    if before.is_some() {
        stage.say("the operator's image changed: restarting it");
        shell::output(target.kubectl().args([
            "--namespace",
            NAMESPACE,
            "rollout",
            "restart",
            "deployment/matriarch",
        ]))?;
    }
    files::write_atomically(&record, &image.digest)
}

fn explain(target: &Target) -> String {
    let look = |words: &[&str]| {
        shell::output(target.kubectl().args(["--namespace", NAMESPACE]).args(words)).unwrap_or_default()
    };
    format!(
        "the operator does not become ready.\n{}\nIts last lines:\n{}",
        look(&["get", "pods"]),
        look(&["logs", "deployment/matriarch", "--tail=15"])
    )
}
