//! From the environment to a running Patroni.

use std::fs;
use std::process::{Command, exit};

use anyhow::{Context, Result};

use crate::certificates;
use crate::configuration::{Configured, configuration};
use crate::environment::Environment;
use crate::first_process;
use crate::layout::Layout;
use crate::machine::Machine;
use crate::prepare;

/// Where Kubernetes takes a container's last words from.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Variables that Patroni, PostgreSQL and what they start may see. Passwords and keys are not among them.
const PASSED_ON: [&str; 11] = [
    "APIPORT",
    "HOSTNAME",
    "LC_ALL",
    "PATH",
    "PGHOME",
    "PGROOT",
    "POD_IP",
    "POD_NAMESPACE",
    "RW_DIR",
    "SSL_CERT_FILE",
    "TZ",
];

/// Prepares everything, starts Patroni and stays its parent until it ends, with its exit status. What cannot be
/// done is said on standard error and as the container's termination message, with exit status 1.
///
/// # Errors
/// Names the step that failed and what to change.
pub fn run() -> Result<()> {
    first_process::hold_signals()?;
    let env = Environment::of_this_process();
    let layout = Layout::of(&env);
    let machine = Machine::look(&layout.data);
    let configured = configured_or_exit(&env, &machine);
    prepared(&env, &layout, &machine, &configured).inspect_err(|error| last_words(&format!("{error:#}")))?;
    for note in &configured.notes {
        eprintln!("matriarch-instance: {note}");
    }
    if env.get("PAM_OAUTH2").is_some() {
        eprintln!(
            "matriarch-instance: PAM_OAUTH2 is set and this image has no pam_oauth2.so: members of role {} cannot log in over TLS",
            env.or("HUMAN_ROLE", "zalandos")
        );
    }
    eprintln!(
        "matriarch-instance: starting Patroni of cluster {} with PostgreSQL {}",
        env.or("SCOPE", "dummy"),
        configured.major
    );
    if certificates::can_change(&env) {
        Command::new(crate::configuration::SELF)
            .arg("watch-certificates")
            .spawn()
            .context("cannot start the watch over the certificate")?;
    }
    let patroni = Command::new(crate::configuration::SELF)
        .arg("patroni")
        .arg(layout.configuration())
        .env_clear()
        .envs(passed_on(&env, &layout))
        .current_dir(&layout.home)
        .spawn()
        .context("cannot start Patroni")
        .inspect_err(|error| last_words(&format!("{error:#}")))?;
    exit(first_process::watch_over(&patroni)?)
}

/// Prints the configuration and touches nothing.
///
/// # Errors
/// When it cannot be printed; refusals end the process with status 1.
pub fn print() -> Result<()> {
    let env = Environment::of_this_process();
    let machine = Machine::look(&Layout::of(&env).data);
    let configured = configured_or_exit(&env, &machine);
    use std::io::Write;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&configured.patroni)?)?;
    Ok(())
}

fn configured_or_exit(env: &Environment, machine: &Machine) -> Configured {
    configuration(env, machine).unwrap_or_else(|refusals| {
        let lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        eprintln!("matriarch-instance: this database is not started.\n{}", lines.join("\n"));
        last_words(&lines.join("\n"));
        exit(1)
    })
}

/// JSON is YAML too, and leaves no doubt about what is a string: `on` without quotes would be a truth value.
fn prepared(env: &Environment, layout: &Layout, machine: &Machine, configured: &Configured) -> Result<()> {
    prepare::become_postgres(layout)?;
    prepare::folders(layout)?;
    certificates::write(env, layout, &machine.hostname)?;
    certificates::write_file(
        &layout.configuration(),
        &serde_json::to_string_pretty(&configured.patroni)?,
        0o600,
    )
}

fn passed_on(env: &Environment, layout: &Layout) -> Vec<(String, String)> {
    let kubernetes = ["KUBERNETES_SERVICE", "KUBERNETES_PORT", "KUBERNETES_ROLE"];
    let mut passed: Vec<(String, String)> = env
        .iter()
        .filter(|(name, _)| {
            PASSED_ON.contains(name) || kubernetes.iter().any(|start| name.starts_with(start))
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    passed.push(("HOME".to_owned(), layout.home.display().to_string()));
    passed
}

/// So that `kubectl describe pod` tells what happened. Outside a pod there is no such file, and nothing to tell.
fn last_words(text: &str) {
    if fs::metadata(TERMINATION_LOG).is_ok() {
        fs::write(TERMINATION_LOG, text).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_with_this_process() {
        let env: Environment = [
            ("PGPASSWORD_SUPERUSER", "secret"),
            ("PATRONI_SUPERUSER_PASSWORD", "secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("PATH", "/bin"),
        ]
        .into_iter()
        .collect();
        let names: Vec<String> =
            passed_on(&env, &Layout::of(&env)).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["KUBERNETES_SERVICE_HOST", "PATH", "HOME"]);
    }
}
