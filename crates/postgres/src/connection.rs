//! One connection and what it is allowed to take.

use std::fmt;
use std::time::Duration;

use matriarch_sql::{Catalog, Contents, Statement};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use crate::error::Error;
use crate::{read, tls};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Encrypted, certificate not verified (self-signed by the instance).
    Require,
    /// In clear; only for a server on the same machine.
    Disable,
}

/// Where to connect and as whom.
#[derive(Clone)]
pub struct Target {
    /// DNS name, IP address, or directory of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Role to log in as.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Database to connect to.
    pub dbname: String,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Limit for the whole of connecting: name, TCP, TLS and login.
    pub connect_timeout: Duration,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self}, {:?})", self.tls)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}/{}", self.user, self.host, self.port, self.dbname)
    }
}

/// Settings of our sessions, in the startup packet so that no statement runs without them.
///
/// - `search_path`: nobody's functions or operators can take the place of the catalog's.
/// - timeouts: a lock or a hanging disk ends as an error, not as a stuck pass (ms).
/// - `synchronous_commit`: roles must be creatable while a synchronous replica is missing.
/// - `log_*`: statements carry verifiers, which do not belong into the server's log.
const SESSION: &str = "-c search_path=pg_catalog -c statement_timeout=60000 \
     -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000 \
     -c synchronous_commit=local -c log_statement=none \
     -c log_min_duration_statement=-1 -c log_min_error_statement=panic";

/// The server stops a statement after a minute; if even that answer does not come, the
/// network is gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);

/// An open connection as a superuser. Dropping it closes it.
pub struct Connection {
    client: Client,
    server: String,
}

/// Opens a connection.
///
/// # Errors
/// [`Error::Connect`] or [`Error::Timeout`]; they name user, host, port and database.
pub async fn connect(target: &Target) -> Result<Connection, Error> {
    let server = target.to_string();
    let opening = async {
        match target.tls {
            TlsMode::Require => {
                let tls = tls::unverified()?;
                open(config(target, SslMode::Require).connect(tls).await, &server)
            }
            TlsMode::Disable => open(config(target, SslMode::Disable).connect(NoTls).await, &server),
        }
    };
    let client = within(target.connect_timeout, &server, "connect", opening).await?;
    Ok(Connection { client, server })
}

impl Connection {
    /// Reads roles and databases.
    ///
    /// # Errors
    /// [`Error::Statement`] or [`Error::Timeout`].
    pub async fn read_catalog(&self) -> Result<Catalog, Error> {
        let what = "read roles and databases";
        let reading = async { read::catalog(&self.client).await.map_err(|source| self.failed(what, source)) };
        within(ANSWER_TIMEOUT, &self.server, what, reading).await
    }

    /// Reads what is inside the database of this connection.
    ///
    /// # Errors
    /// [`Error::Statement`] or [`Error::Timeout`].
    pub async fn read_contents(&self) -> Result<Contents, Error> {
        let what = "read schemas, privileges and extensions";
        let reading =
            async { read::contents(&self.client).await.map_err(|source| self.failed(what, source)) };
        within(ANSWER_TIMEOUT, &self.server, what, reading).await
    }

    /// Runs one statement. `verifier` is the one of the Secret that
    /// [`Statement::secret`] names.
    ///
    /// # Errors
    /// [`Error::PasswordMissing`] when it names one and `verifier` is `None`,
    /// [`Error::Statement`] or [`Error::Timeout`]; their text is free of the verifier.
    pub async fn execute(&self, statement: &Statement, verifier: Option<&str>) -> Result<(), Error> {
        if let (Some(secret), None) = (statement.secret(), verifier) {
            return Err(Error::PasswordMissing { secret: secret.to_owned() });
        }
        let what = sentence_start_lowered(&statement.to_string());
        tracing::debug!(server = %self.server, "{statement}");
        let text = statement.text(verifier);
        // A simple query of a single statement runs in no transaction block, which
        // CREATE DATABASE needs.
        let running =
            async { self.client.batch_execute(&text).await.map_err(|source| self.failed(&what, source)) };
        within(ANSWER_TIMEOUT, &self.server, &what, running).await
    }

    fn failed(&self, what: &str, source: tokio_postgres::Error) -> Error {
        Error::Statement { server: self.server.clone(), what: what.to_owned(), source }
    }
}

fn config(target: &Target, mode: SslMode) -> Config {
    let mut config = Config::new();
    config
        .host(&target.host)
        .port(target.port)
        .user(&target.user)
        .password(&target.password)
        .dbname(&target.dbname)
        .ssl_mode(mode)
        .application_name("matriarch")
        .options(SESSION)
        .connect_timeout(target.connect_timeout)
        .keepalives_idle(Duration::from_secs(15));
    config
}

type Opened<S, T> = Result<(Client, tokio_postgres::Connection<S, T>), tokio_postgres::Error>;

/// Hands the connection's own work to the runtime; it ends when the client is dropped.
fn open<S, T>(opened: Opened<S, T>, server: &str) -> Result<Client, Error>
where
    tokio_postgres::Connection<S, T>: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    let (client, connection) =
        opened.map_err(|source| Error::Connect { server: server.to_owned(), source })?;
    let server = server.to_owned();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%server, %error, "connection ended");
        }
    });
    Ok(client)
}

async fn within<T>(
    limit: Duration,
    server: &str,
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Error::Timeout { server: server.to_owned(), what: what.to_owned(), after: limit })
    })
}

/// "Create role x" as part of a longer sentence.
fn sentence_start_lowered(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + characters.as_str())
}
