//! Manifests that the API server accepts and that cannot work: refused with the field and
//! the cure, without harm to others, and healed by a correction.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::cluster::manifest;
use matriarch_e2e::{Cluster, Kubectl, Look, Scene, wait_until};
use serde_json::json;

/// 53 characters: the pods of a StatefulSet carry its name and ten more in a label.
const LONG: &str = "acid-this-name-has-fifty-three-characters-which-is-53";

/// What a refusal has to say.
struct Refusal<'a> {
    cluster: Cluster,
    /// Field and offending value; each must be in the message.
    names: &'a [&'a str],
    /// Status words that the contract knows for it.
    words: &'a [&'a str],
}

#[test]
fn impossible_manifests_are_refused_and_heal() {
    Scene::run("refusals", |scene| {
        let kubectl = &scene.kubectl;
        ensure!(LONG.len() == 53, "the name has {} characters", LONG.len());
        let long = create(kubectl, LONG, |text| text)?;
        let flag = create(kubectl, "acid-flag", |text| text.replace("superuser", "login, nologin"))?;
        let volume = create(kubectl, "acid-volume", |text| text.replace("1Gi", "100K"))?;
        let all = create(kubectl, &format!("{}b", &LONG[..52]), |text| {
            text.replace("superuser", "login, nologin").replace("1Gi", "100K")
        })?;
        let refusals = [
            Refusal {
                cluster: long,
                names: &["metadata.name", "52"],
                // The contract has its own word for names, where they are checked.
                words: &["CreateFailed", "Invalid"],
            },
            Refusal {
                cluster: flag,
                names: &["users.zalando", "login and nologin"],
                words: &["CreateFailed"],
            },
            Refusal { cluster: volume, names: &["volume.size", "100K", "Ki"], words: &["CreateFailed"] },
            Refusal {
                cluster: all,
                names: &["metadata.name", "users.zalando", "nologin", "volume.size", "100K"],
                words: &["CreateFailed", "Invalid"],
            },
        ];
        for refusal in &refusals {
            refused(refusal)?;
            nothing_was_made(kubectl, &refusal.cluster)?;
        }
        scene.step("all are refused, with field and cure");

        let good = Cluster::create(kubectl, "acid-good", 1, "")?;
        good.wait_ready()?;
        scene.step("another cluster goes on");
        good.patch(&json!({"spec": {"users": {"zalando": ["login", "nologin"]}}}))?;
        refused(&Refusal { cluster: good.clone(), names: &["nologin"], words: &["UpdateFailed"] })?;
        ensure!(good.primary()?.ready, "the refusal of a change took the cluster's primary");
        good.patch(&json!({"spec": {"users": {"zalando": ["superuser"]}}}))?;
        good.wait_settled(60)?;
        ensure!(good.status_word()? == "Running", "it does not return to Running");
        scene.step("a refused change leaves the cluster running, and its correction heals");

        corrections(&refusals)?;
        scene.step("corrected manifests become clusters, a refused name can be deleted");
        Ok(())
    });
}

/// One instance, so that many fit into a small machine.
fn create(kubectl: &Kubectl, name: &str, spoil: impl Fn(String) -> String) -> Result<Cluster> {
    let text = spoil(manifest(name, 1, ""));
    let created = kubectl.run_with_input(&["create", "-f", "-"], &text);
    created.with_context(|| format!("the API server must accept {name}"))?;
    Ok(Cluster::new(kubectl, name))
}

fn refused(refusal: &Refusal<'_>) -> Result<()> {
    let name = refusal.cluster.name();
    let message = wait_until(&format!("{name} is refused"), 30, || {
        let valid = refusal.cluster.condition("Valid")?;
        match valid {
            Some((status, message)) if status == "False" => Ok(Look::Done(message)),
            other => Ok(Look::NotYet(format!("{other:?}"))),
        }
    })?;
    for part in refusal.names {
        ensure!(message.contains(part), "{name}: no {part:?} in the message: {message}");
    }
    let word = refusal.cluster.status_word()?;
    ensure!(refusal.words.contains(&word.as_str()), "{name}: the status word is {word}");
    Ok(())
}

fn nothing_was_made(kubectl: &Kubectl, cluster: &Cluster) -> Result<()> {
    let made = kubectl.names("statefulsets,services,secrets", &cluster.selector())?;
    ensure!(made.is_empty(), "{} is refused, but there are {made:?}", cluster.name());
    Ok(())
}

fn corrections(refusals: &[Refusal<'_>; 4]) -> Result<()> {
    let [long, flag, volume, all] = refusals;
    flag.cluster.patch(&json!({"spec": {"users": {"zalando": ["superuser"]}}}))?;
    volume.cluster.patch(&json!({"spec": {"volume": {"size": "1Gi"}}}))?;
    for refusal in [flag, volume] {
        refusal.cluster.wait_ready()?;
        let valid = refusal.cluster.condition("Valid")?.context("no condition Valid")?;
        ensure!(valid.0 == "True", "{}: Valid is {valid:?}", refusal.cluster.name());
        let word = refusal.cluster.status_word()?;
        ensure!(word == "Running", "{}: the status word is {word}", refusal.cluster.name());
    }
    // A name cannot be changed: such a manifest must go away without a trace.
    for refusal in [long, all] {
        refusal.cluster.delete(60)?;
    }
    Ok(())
}
