//! The roles, extensions and functions that users of Spilo images find in every cluster.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::environment::Environment;
use crate::layout::Layout;

/// Runs once in database postgres.
const CLUSTER: &str = include_str!("../sql/cluster.sql");
/// Runs in every database that lets connections in.
const DATABASE: &str = include_str!("../sql/database.sql");

/// How long a promotion may take until the member is out of recovery, in seconds.
const PROMOTION_SECONDS: u32 = 30;

/// Creates what is missing, each database in one transaction. It may run any number of times.
///
/// # Errors
/// When the roles cannot be created, or a database refuses: Patroni gives the bootstrap up then.
pub fn run(human_role: &str, connection: &str) -> Result<()> {
    let session = Session { connection, human_role };
    session.script("postgres", CLUSTER)?;
    for database in session.databases()? {
        session.script(&database, DATABASE)?;
    }
    eprintln!("post-init: roles, extensions and functions are in place");
    Ok(())
}

/// After a promotion: what a newer image brings comes in. On any other change there is nothing to do.
///
/// # Errors
/// As [`run`]; and when the member does not come out of recovery.
pub fn after_role_change(human_role: &str, role: &str) -> Result<()> {
    if !["primary", "master"].contains(&role) {
        return Ok(());
    }
    let env = Environment::of_this_process();
    let sockets = Layout::of(&env).sockets();
    let configuration = std::fs::read_to_string(Layout::of(&env).configuration())
        .context("cannot read Patroni's configuration")?;
    let configuration: serde_json::Value =
        serde_json::from_str(&configuration).context("Patroni's configuration is not ours")?;
    let user =
        configuration.pointer("/postgresql/authentication/superuser/username").and_then(|name| name.as_str());
    let port =
        configuration.pointer("/postgresql/listen").and_then(|listen| listen.as_str()?.rsplit(':').next());
    let connection = format!(
        "dbname=postgres user={} host={} port={}",
        quoted(user.unwrap_or("postgres")),
        quoted(&sockets.display().to_string()),
        port.unwrap_or("5432")
    );
    let session = Session { connection: &connection, human_role };
    for _ in 0..PROMOTION_SECONDS {
        if session
            .query("postgres", "SELECT pg_catalog.pg_is_in_recovery()")
            .is_ok_and(|answer| answer.trim() == "f")
        {
            return run(human_role, &connection);
        }
        thread::sleep(Duration::from_secs(1));
    }
    bail!(
        "post-init: the member did not come out of recovery within {PROMOTION_SECONDS} seconds of its promotion"
    )
}

struct Session<'a> {
    connection: &'a str,
    human_role: &'a str,
}

impl Session<'_> {
    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new("psql");
        // A replica that is slow or gone must not hold the first transactions up.
        command
            .env("PGOPTIONS", "-c synchronous_commit=local -c statement_timeout=0 -c search_path=pg_catalog")
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"])
            .args(["--set", "ON_ERROR_STOP=1", "--set"])
            .arg(format!("human_role={}", self.human_role))
            .arg("--dbname")
            .arg(format!("{} dbname={}", self.connection, quoted(database)));
        command
    }

    fn query(&self, database: &str, query: &str) -> Result<String> {
        let output = self.psql(database).args(["--command", query]).output().context("cannot run psql")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn script(&self, database: &str, script: &str) -> Result<()> {
        let mut child = self
            .psql(database)
            .args(["--single-transaction", "--file", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run psql")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(script.as_bytes()).context("psql stopped reading")?;
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("post-init failed in database {database}: the lines above tell why");
        }
        Ok(())
    }

    fn databases(&self) -> Result<Vec<String>> {
        let names = self
            .query("postgres", "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn ORDER BY 1")?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}

/// A value of a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_connection_strings_are_quoted() {
        assert_eq!(quoted("foo"), "'foo'");
        assert_eq!(quoted(r"o'b\x"), r"'o\'b\\x'");
    }
}
