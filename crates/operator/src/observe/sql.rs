//! The catalog of the primary, and whether its verifiers fit the Secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use matriarch_cluster::Intent;
use matriarch_plan::scheduler::Key;
use matriarch_plan::{Observation, Seen};
use matriarch_postgres::{Connection, Target, TlsMode};
use matriarch_settings::Settings;
use matriarch_sql::{Catalog, Contents, PasswordState, databases_to_read, password_state};
use tracing::warn;

use super::memory::{Memory, fingerprint};
use super::{Addresses, passwords};

/// Database that is there on every server.
pub const COMMON: &str = "postgres";

/// What it takes to connect to one cluster's databases.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Reads the superuser's Secret.
    pub client: &'a Client,
    /// Settings of this pass.
    pub settings: &'a Settings,
    /// What should exist.
    pub intent: &'a Intent,
    /// Where the pods are.
    pub addresses: &'a Addresses,
}

/// A connection to a database of the primary as the superuser, or why there is none.
pub async fn connect(place: &Place<'_>, primary: &str, database: &str) -> Result<Connection, String> {
    let host = place.addresses.pods.get(primary).ok_or_else(|| format!("{primary} has no address"))?;
    let user = &place.settings.super_username;
    let secrets = &place.intent.secrets;
    let secret = secrets.iter().find(|secret| secret.role == *user);
    let secret = secret.ok_or_else(|| format!("role {user} has no Secret"))?;
    let password = passwords::of(place.client, &secret.object.namespace, &secret.object.name).await?;
    let target = Target {
        host: host.clone(),
        port: 5432,
        // Another name than the superuser's after a rotation of its password.
        user: secret.username.clone(),
        password,
        dbname: database.to_owned(),
        tls: TlsMode::Require,
        connect_timeout: Duration::from_secs(5),
    };
    matriarch_postgres::connect(&target).await.map_err(|error| error.to_string())
}

/// Reads the catalog, if there is a primary that Patroni and the leader object agree on.
pub async fn observe(
    place: &Place<'_>,
    memory: &Memory,
    key: &Key,
    seen: &Observation,
) -> (Seen<Catalog>, BTreeMap<String, PasswordState>) {
    let intent = place.intent;
    if intent.roles.is_empty() && intent.databases.is_empty() {
        return (Seen::Absent, BTreeMap::new());
    }
    let primary = match seen.primary() {
        Seen::Present(primary) => primary,
        Seen::Absent => return (Seen::Absent, BTreeMap::new()),
        Seen::Unknown(why) => return (Seen::Unknown(why), BTreeMap::new()),
    };
    match read(place, &primary).await {
        Ok(catalog) => {
            let states = compare(place, memory, key, seen, &catalog).await;
            (Seen::Present(catalog), states)
        }
        Err(why) => (Seen::Unknown(why), BTreeMap::new()),
    }
}

async fn read(place: &Place<'_>, primary: &str) -> Result<Catalog, String> {
    let connection = connect(place, primary, COMMON).await?;
    let mut catalog = connection.read_catalog().await.map_err(|error| error.to_string())?;
    drop(connection);
    // One at a time: connections are scarce on small servers. A database that cannot be looked
    // into keeps nothing else back.
    for name in databases_to_read(&place.intent.databases, place.intent.lookup.as_ref(), &catalog) {
        match contents(place, primary, &name).await {
            Ok(contents) => drop(catalog.contents.insert(name, contents)),
            Err(why) => warn!(database = name, "cannot be looked into: {why}"),
        }
    }
    Ok(catalog)
}

async fn contents(place: &Place<'_>, primary: &str, database: &str) -> Result<Contents, String> {
    let connection = connect(place, primary, database).await?;
    connection.read_contents().await.map_err(|error| error.to_string())
}

/// A password is read only when it, or the role's verifier, has changed since the last comparison.
async fn compare(
    place: &Place<'_>,
    memory: &Memory,
    key: &Key,
    seen: &Observation,
    catalog: &Catalog,
) -> BTreeMap<String, PasswordState> {
    let mut states = BTreeMap::new();
    for role in &place.intent.roles {
        let Some(secret) = &role.secret else { continue };
        let version = match seen.secrets.get(secret) {
            Some(Seen::Present(found)) => found.metadata["resourceVersion"].as_str().map(str::to_owned),
            _ => None,
        };
        let verifier = catalog.roles.get(&role.name).and_then(|role| role.verifier.as_deref());
        let compared = fingerprint((&version, verifier));
        let known = version.is_some().then(|| memory.password(key, secret, compared)).flatten();
        let state = match known {
            Some(state) => state,
            None => {
                let namespace = namespace_of(place.intent, secret);
                let password = passwords::of(place.client, namespace, secret).await.ok();
                password_state(password.as_deref(), verifier)
            }
        };
        if version.is_some() && state != PasswordState::Unknown {
            memory.keep_password(key, secret, compared, state);
        }
        states.insert(secret.clone(), state);
    }
    states
}

/// The namespace of a credentials Secret: some are apart from their cluster.
pub fn namespace_of<'a>(intent: &'a Intent, secret: &str) -> &'a str {
    let found = intent.secrets.iter().find(|one| one.object.name == secret);
    found.map_or(intent.identity.namespace.as_str(), |one| one.object.namespace.as_str())
}
