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
    xtask(&["node", name, state])
}

/// Gives the nodes' images one more name: `cargo xtask tag IMAGE NAME`. The same content under
/// another name is another image to everybody.
///
/// # Errors
/// When the command fails: only nodes of the local cluster can be told.
pub fn tag_image(image: &str, name: &str) -> Result<()> {
    xtask(&["tag", image, name])
}

/// The program is the one that runs the tests, if it says so; it needs no build then.
fn xtask(arguments: &[&str]) -> Result<()> {
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
    Ok(())
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
