//! `psql`, on this machine through a forwarded port, and in a pod through the Service.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::kubectl::Kubectl;
use crate::wait::{Look, wait_until};

/// `PGSSLMODE=require psql -U USER -h localhost -p PORT -d DATABASE`: the rows, one a line.
///
/// # Errors
/// When `psql` fails; with its words.
pub fn local(port: u16, user: &str, password: &str, database: &str, sql: &str) -> Result<String> {
    let output = Command::new("psql")
        .env("PGSSLMODE", "require")
        .env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "10")
        .args(["-U", user, "-h", "localhost", "-p", &port.to_string(), "-d", database])
        .args(PLAIN)
        .args(["-c", sql])
        .stdin(Stdio::null())
        .output()
        .context("cannot run psql: install postgresql-client")?;
    if !output.status.success() {
        bail!("psql as {user}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// No start-up file, only the rows, errors end it.
pub(crate) const PLAIN: [&str; 4] = ["-X", "-A", "-t", "-vON_ERROR_STOP=1"];

/// A pod that runs clients, as an application would be beside the database.
pub struct ClientPod {
    kubectl: Kubectl,
}

impl ClientPod {
    const NAME: &str = "client";

    /// Starts it, on a node of one's choice or anywhere, and waits until it runs.
    ///
    /// # Errors
    /// When it does not run within two minutes.
    pub fn start(kubectl: &Kubectl, node: Option<&str>) -> Result<Self> {
        let node = node.map(|n| format!("  nodeName: {n}\n")).unwrap_or_default();
        let manifest = format!(
            "apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
{node}  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
  - name: client
    image: {image}
    imagePullPolicy: IfNotPresent
    command: [\"sleep\", \"infinity\"]
",
            name = Self::NAME,
            image = crate::INSTANCE_IMAGE,
        );
        kubectl.run_with_input(&["create", "-f", "-"], &manifest)?;
        kubectl.run(&["wait", "--for=condition=Ready", "pod/client", "--timeout=120s"])?;
        Ok(Self { kubectl: kubectl.clone() })
    }

    /// One statement through a Service, as somebody.
    ///
    /// # Errors
    /// When `psql` fails; with its words.
    pub fn psql(&self, login: &Login, sql: &str) -> Result<String> {
        let conninfo = login.conninfo();
        let password = format!("PGPASSWORD={}", login.password);
        let mut arguments = vec!["exec", Self::NAME, "--", "env", &password, "psql", &conninfo];
        arguments.extend_from_slice(&PLAIN);
        arguments.extend_from_slice(&["-c", sql]);
        // Errors show the command line; the password is nobody's business.
        let hidden = |error: anyhow::Error| {
            anyhow::anyhow!("{}", format!("{error:#}").replace(&login.password, "***"))
        };
        self.kubectl.run(&arguments).map_err(hidden)
    }

    /// One statement as in [`ClientPod::psql`], again while it fails, for at most 30 seconds: a
    /// Service follows its pods with a delay. For a statement that may run twice.
    ///
    /// # Errors
    /// When it still fails then; with the last words of `psql`.
    pub fn ask(&self, login: &Login, sql: &str) -> Result<String> {
        wait_until(&format!("an answer of {} to {}", login.host, login.user), 30, || {
            Ok(Look::Done(self.psql(login, sql)?))
        })
    }

    /// A command in the pod.
    ///
    /// # Errors
    /// When it fails; with its words.
    pub fn run(&self, script: &str) -> Result<String> {
        self.kubectl.run(&["exec", Self::NAME, "--", "sh", "-c", script])
    }

    /// A command in the pod, in the background, with its output piped.
    ///
    /// # Errors
    /// When `kubectl` cannot be started.
    pub fn spawn(&self, script: &str) -> Result<std::process::Child> {
        self.kubectl.spawn(&["exec", Self::NAME, "--", "sh", "-c", script])
    }
}

/// Who logs in where, and how.
#[derive(Clone, Debug)]
pub struct Login {
    /// Service, or pod address.
    pub host: String,
    /// Role.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Database.
    pub database: String,
    /// `require` or `disable`.
    pub sslmode: String,
}

impl Login {
    /// As libpq takes it. A connection whose server has vanished is given up after a few
    /// seconds.
    pub fn conninfo(&self) -> String {
        format!(
            "host={} port=5432 user={} dbname={} sslmode={} connect_timeout=3 \
             keepalives_idle=1 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=4000",
            self.host, self.user, self.database, self.sslmode
        )
    }
}
