//! The catalog of the primary, and whether its verifiers fit the Secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use matriarch_cluster::Intent;
use matriarch_plan::{Observation, Seen};
use matriarch_postgres::{Connection, Target, TlsMode};
use matriarch_settings::Settings;
use matriarch_sql::{Catalog, Contents, PasswordState, databases_to_read, password_state};
use tracing::warn;

use super::Addresses;

/// Database that is there on every server.
pub const COMMON: &str = "postgres";

/// A connection to a database of the primary as the superuser, or why there is none.
pub async fn connect(
    settings: &Settings,
    intent: &Intent,
    addresses: &Addresses,
    primary: &str,
    database: &str,
) -> Result<Connection, String> {
    let host = addresses.pods.get(primary).ok_or_else(|| format!("{primary} has no address"))?;
    let user = &settings.super_username;
    let secret = intent
        .secrets
        .iter()
        .find(|secret| secret.role == *user)
        .ok_or_else(|| format!("role {user} has no Secret"))?;
    let password = addresses
        .passwords
        .get(&secret.object.name)
        .ok_or_else(|| format!("Secret {} holds no password", secret.object.name))?;
    let target = Target {
        host: host.clone(),
        port: 5432,
        // Another name than the superuser's after a rotation of its password.
        user: secret.username.clone(),
        password: password.clone(),
        dbname: database.to_owned(),
        tls: TlsMode::Require,
        connect_timeout: Duration::from_secs(5),
    };
    matriarch_postgres::connect(&target).await.map_err(|error| error.to_string())
}

/// Reads the catalog, if there is a primary that Patroni and the leader object agree on.
pub async fn observe(
    intent: &Intent,
    settings: &Settings,
    seen: &Observation,
    addresses: &Addresses,
) -> (Seen<Catalog>, BTreeMap<String, PasswordState>) {
    if intent.roles.is_empty() && intent.databases.is_empty() {
        return (Seen::Absent, BTreeMap::new());
    }
    let primary = match seen.primary() {
        Seen::Present(primary) => primary,
        Seen::Absent => return (Seen::Absent, BTreeMap::new()),
        Seen::Unknown(why) => return (Seen::Unknown(why), BTreeMap::new()),
    };
    let read = async {
        let connection = connect(settings, intent, addresses, &primary, COMMON).await?;
        let mut catalog = connection.read_catalog().await.map_err(|error| error.to_string())?;
        drop(connection);
        // One at a time: connections are scarce on small servers. A database that cannot be looked
        // into keeps nothing else back.
        for name in databases_to_read(&intent.databases, intent.lookup.as_ref(), &catalog) {
            match contents(settings, intent, addresses, &primary, &name).await {
                Ok(contents) => drop(catalog.contents.insert(name, contents)),
                Err(why) => warn!(database = name, "cannot be looked into: {why}"),
            }
        }
        Ok(catalog)
    };
    let read: Result<Catalog, String> = read.await;
    match read {
        Ok(catalog) => {
            let states = passwords(intent, addresses, &catalog);
            (Seen::Present(catalog), states)
        }
        Err(why) => (Seen::Unknown(why), BTreeMap::new()),
    }
}

async fn contents(
    settings: &Settings,
    intent: &Intent,
    addresses: &Addresses,
    primary: &str,
    database: &str,
) -> Result<Contents, String> {
    let connection = connect(settings, intent, addresses, primary, database).await?;
    connection.read_contents().await.map_err(|error| error.to_string())
}

fn passwords(intent: &Intent, addresses: &Addresses, catalog: &Catalog) -> BTreeMap<String, PasswordState> {
    let mut states = BTreeMap::new();
    for role in &intent.roles {
        let Some(secret) = &role.secret else { continue };
        let password = addresses.passwords.get(secret).map(String::as_str);
        let verifier = catalog.roles.get(&role.name).and_then(|role| role.verifier.as_deref());
        states.insert(secret.clone(), password_state(password, verifier));
    }
    states
}
