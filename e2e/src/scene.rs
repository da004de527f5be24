//! A test's own namespace, its time, and what to look at when it fails.

use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::json;

use crate::kubectl::Kubectl;
use crate::{operator, own_operator};

/// One test, from its namespace's creation to its deletion.
pub struct Scene {
    name: &'static str,
    start: Instant,
    /// `kubectl` in the test's namespace.
    pub kubectl: Kubectl,
}

impl Scene {
    /// Plays a test in a namespace of its own, unless end-to-end tests are switched off;
    /// then it says so. Panics, as tests do, when `play` fails.
    pub fn run(name: &'static str, play: impl FnOnce(&Self) -> Result<()>) {
        if std::env::var("MATRIARCH_E2E").as_deref() != Ok("1") {
            println!(
                "e2e-left-out {name}: it needs a cluster and MATRIARCH_E2E is not 1; \
                 `cargo xtask test` on a machine with root sets it"
            );
            return;
        }
        let scene = match Self::open(name) {
            Ok(scene) => scene,
            Err(error) => panic!("{name}: cannot make its namespace: {error:#}"),
        };
        // A panic of an assertion must clean up as an error does.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(&scene)));
        let failed = !matches!(result, Ok(Ok(())));
        if failed {
            scene.tell();
        }
        scene.close(failed);
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("{name}: {error:#}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// A test that awaits a capability: it is left out, and says what it awaits. With
    /// `MATRIARCH_E2E_PENDING=1` it is played, to see how far it comes.
    pub fn pending(name: &'static str, awaits: &str, play: impl FnOnce(&Self) -> Result<()>) {
        if std::env::var("MATRIARCH_E2E_PENDING").as_deref() == Ok("1") {
            return Self::run(name, play);
        }
        println!("e2e-left-out {name}: pending: {awaits}");
    }

    fn open(name: &'static str) -> Result<Self> {
        let namespace = format!("e2e-{}-{}", name.replace('_', "-"), std::process::id());
        let kubectl = Kubectl::new(&namespace);
        kubectl.run(&["create", "namespace", &namespace]).context("is the cluster up?")?;
        println!("e2e {name}: namespace {namespace}");
        Ok(Self { name, start: Instant::now(), kubectl })
    }

    /// One more namespace, which goes with the scene's own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn second_namespace(&self, ending: &str) -> Result<Kubectl> {
        let first = self.kubectl.namespace();
        let uid = self.kubectl.run(&["get", "namespace", first, "-o", "jsonpath={.metadata.uid}"])?;
        let name = format!("{first}-{ending}");
        let owner = json!({"apiVersion": "v1", "kind": "Namespace", "name": first, "uid": uid});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "ownerReferences": [owner]}});
        self.kubectl.run_with_input(&["create", "-f", "-"], &namespace.to_string())?;
        Ok(Kubectl::new(&name))
    }

    /// Says how far the test is.
    pub fn step(&self, what: &str) {
        println!("e2e {} {:>6.1} s: {what}", self.name, self.start.elapsed().as_secs_f64());
    }

    /// Deletes the namespace with all in it, without waiting for the end of that.
    fn close(&self, failed: bool) {
        let seconds = self.start.elapsed().as_secs_f64();
        println!("e2e-time {} {seconds:.1}", self.name);
        if failed && std::env::var("MATRIARCH_E2E_KEEP").as_deref() == Ok("1") {
            println!("e2e {}: namespace {} is kept", self.name, self.kubectl.namespace());
            return;
        }
        if let Err(error) = self.release() {
            println!("e2e {}: cannot release its manifests: {error:#}", self.name);
        }
        let namespace = self.kubectl.namespace();
        let deleted = self.kubectl.run(&["delete", "namespace", namespace, "--wait=false"]);
        if let Err(error) = deleted {
            println!("e2e {}: cannot delete its namespace: {error:#}", self.name);
        }
    }

    /// Manifests of an operator in this namespace: it goes with the namespace, and nobody would
    /// take their finalizers away. Deleted first, so that it does not set them again.
    fn release(&self) -> Result<()> {
        let list = self.kubectl.json(&["postgresql"])?;
        for manifest in list["items"].as_array().into_iter().flatten() {
            let metadata = &manifest["metadata"];
            let Some(name) = metadata["name"].as_str() else { continue };
            if metadata["annotations"][own_operator::CONTROLLER].is_null() {
                continue;
            }
            self.kubectl.run(&["delete", "postgresql", name, "--wait=false", "--ignore-not-found"])?;
            let none = "{\"metadata\":{\"finalizers\":null}}";
            let patched = self.kubectl.run(&["patch", "postgresql", name, "--type=merge", "-p", none]);
            // Without a finalizer it is gone already.
            patched.or_else(|error| {
                if error.to_string().contains("NotFound") { Ok(String::new()) } else { Err(error) }
            })?;
        }
        Ok(())
    }

    /// Prints what a person would ask for first.
    fn tell(&self) {
        println!("e2e {} failed; the state of its namespace:", self.name);
        for question in [
            &["get", "pods", "-o", "wide", "--show-labels"][..],
            &["get", "postgresql", "-o", "yaml"],
            &["get", "statefulset,service,pvc,secret,pdb,configmap"],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["logs", "-l", "application=spilo", "--prefix", "--tail=40"],
            &["logs", "-l", "app.kubernetes.io/name=matriarch", "--tail=60"],
        ] {
            self.show(&self.kubectl, question);
        }
        let Ok(replicas) = operator::selector() else { return };
        let selected = ["logs", "-l", &replicas, "--prefix", "--tail=60"];
        self.show(&Kubectl::new(operator::NAMESPACE), &selected);
    }

    fn show(&self, kubectl: &Kubectl, question: &[&str]) {
        println!("--- kubectl {}", question.join(" "));
        match kubectl.run(question) {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("{error:#}"),
        }
    }
}
