//! `kubectl`, as found on the `PATH`, with the `KUBECONFIG` of the environment.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// `kubectl` in one namespace.
#[derive(Clone, Debug)]
pub struct Kubectl {
    namespace: String,
}

impl Kubectl {
    /// For this namespace.
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The command, not started; for those who need its streams.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("-n").arg(&self.namespace).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs it and returns what it printed, without the last line break.
    ///
    /// # Errors
    /// When it cannot be started or fails; with its own words.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().context(NO_KUBECTL)?;
        printed(arguments, &output)
    }

    /// Runs it with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(NO_KUBECTL)?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
        printed(arguments, &child.wait_with_output()?)
    }

    /// Starts it in the background with its output piped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context(NO_KUBECTL)
    }

    /// `get ARGUMENTS -o json`.
    ///
    /// # Errors
    /// As [`Self::run`], also when there is no such object.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = vec!["get"];
        all.extend_from_slice(arguments);
        all.extend_from_slice(&["-o", "json"]);
        Ok(serde_json::from_str(&self.run(&all)?)?)
    }

    /// What all events of the namespace say.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn events(&self) -> Result<String> {
        self.run(&["get", "events", "-o", "jsonpath={.items[*].message}"])
    }

    /// The names of all objects of a kind, sorted; with a label selector or an empty one.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn names(&self, kind: &str, selector: &str) -> Result<Vec<String>> {
        let list = self.run(&["get", kind, "-l", selector, "-o", "name"])?;
        let name = |line: &str| line.rsplit('/').next().unwrap_or(line).to_owned();
        let mut names: Vec<String> = list.lines().map(name).collect();
        names.sort();
        Ok(names)
    }
}

const NO_KUBECTL: &str =
    "cannot run kubectl: put it on the PATH, for example with `eval \"$(cargo xtask env)\"`";

fn printed(arguments: &[&str], output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("kubectl {}: {}{}", arguments.join(" "), error.trim_end(), on_line(&text));
    }
    Ok(text)
}

fn on_line(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" (printed: {text})") }
}

/// A background `kubectl` that ends with its scope.
pub struct Background(pub Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
