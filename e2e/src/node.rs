//! Taking a node's network away and giving it back, keeping pods off a node, naming images.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::kubectl::Kubectl;

/// A node whose network is down until this is dropped.
pub struct Down {
    name: String,
    back: bool,
}

impl Down {
    /// `cargo xtask node NAME offline`.
    ///
    /// # Errors
    /// When the command fails: only nodes of the local cluster can be taken down.
    pub fn take(name: &str) -> Result<Self> {
        node_command(name, "offline")?;
        Ok(Self { name: name.to_owned(), back: false })
    }

    /// `cargo xtask node up NAME`.
    ///
    /// # Errors
    /// When the command fails.
    pub fn give_back(mut self) -> Result<()> {
        self.back = true;
        node_command(&self.name, "online")
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        if self.back {
            return;
        }
        if let Err(error) = node_command(&self.name, "online") {
            println!("e2e: cannot bring the network of {} back: {error:#}", self.name);
        }
    }
}

fn node_command(name: &str, state: &str) -> Result<()> {
    xtask(&["node", name, state]).map(drop)
}

/// Gives the nodes' images one more name: `cargo xtask tag IMAGE NAME`. The same content under
/// another name is another image to everybody.
///
/// # Errors
/// When the command fails: only nodes of the local cluster can be told.
pub fn tag_image(image: &str, name: &str) -> Result<()> {
    xtask(&["tag", image, name]).map(drop)
}

/// The program is the one that runs the tests, if it says so; it needs no build then.
pub(crate) fn xtask(arguments: &[&str]) -> Result<String> {
    let mut command = match std::env::var_os("MATRIARCH_XTASK") {
        Some(program) => Command::new(program),
        None => {
            let mut cargo = Command::new("cargo");
            cargo.arg("xtask");
            cargo
        }
    };
    let output = command
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .context("cannot run `cargo xtask`")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("cargo xtask {}: {}", arguments.join(" "), said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A label of a node until this is dropped.
pub struct Label {
    kubectl: Kubectl,
    node: String,
    key: String,
}

impl Label {
    /// `kubectl label node NODE KEY=VALUE`.
    ///
    /// # Errors
    /// When it fails.
    pub fn set(kubectl: &Kubectl, node: &str, key: &str, value: &str) -> Result<Self> {
        kubectl.run(&["label", "node", node, &format!("{key}={value}")])?;
        Ok(Self { kubectl: kubectl.clone(), node: node.to_owned(), key: key.to_owned() })
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl.run(&["label", "node", &self.node, &format!("{}-", self.key)]) {
            println!("e2e: cannot take the label {} from {}: {error:#}", self.key, self.node);
        }
    }
}

/// A taint of a node until this is dropped.
pub struct Taint {
    kubectl: Kubectl,
    node: String,
    taint: String,
}

impl Taint {
    /// `kubectl taint node NODE KEY:EFFECT`.
    ///
    /// # Errors
    /// When it fails.
    pub fn set(kubectl: &Kubectl, node: &str, taint: &str) -> Result<Self> {
        kubectl.run(&["taint", "node", node, taint])?;
        Ok(Self { kubectl: kubectl.clone(), node: node.to_owned(), taint: taint.to_owned() })
    }
}

impl Drop for Taint {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl.run(&["taint", "node", &self.node, &format!("{}-", self.taint)]) {
            println!("e2e: cannot take the taint {} from {}: {error:#}", self.taint, self.node);
        }
    }
}

/// The names of all nodes.
///
/// # Errors
/// When they cannot be listed.
pub fn names(kubectl: &Kubectl) -> Result<Vec<String>> {
    kubectl.names("nodes", "")
}

/// A node that takes no new pods until this is dropped.
pub struct Cordon {
    kubectl: Kubectl,
    name: String,
}

impl Cordon {
    /// `kubectl cordon NAME`.
    ///
    /// # Errors
    /// When it fails.
    pub fn set(kubectl: &Kubectl, name: &str) -> Result<Self> {
        kubectl.run(&["cordon", name])?;
        Ok(Self { kubectl: kubectl.clone(), name: name.to_owned() })
    }
}

impl Drop for Cordon {
    fn drop(&mut self) {
        if let Err(error) = self.kubectl.run(&["uncordon", &self.name]) {
            println!("e2e: cannot uncordon {}: {error:#}", self.name);
        }
    }
}
