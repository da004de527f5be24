//! The catalog of the primary, and whether its verifiers fit the Secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use matriarch_cluster::Intent;
use matriarch_plan::{Observation, Seen};
use matriarch_postgres::{Connection, Target, TlsMode};
use matriarch_settings::Settings;
use matriarch_sql::{Catalog, PasswordState, password_state};

use super::Addresses;

/// A connection to the primary as the superuser, or why there is none.
pub async fn connect(
    settings: &Settings,
    intent: &Intent,
    addresses: &Addresses,
    primary: &str,
) -> Result<Connection, String> {
    let host = addresses.pods.get(primary).ok_or_else(|| format!("{primary} has no address"))?;
    let user = &settings.super_username;
    let secret = intent
        .secrets
        .iter()
        .find(|secret| secret.username == *user)
        .ok_or_else(|| format!("role {user} has no Secret"))?;
    let password = addresses
        .passwords
        .get(&secret.object.name)
        .ok_or_else(|| format!("Secret {} holds no password", secret.object.name))?;
    let target = Target {
        host: host.clone(),
        port: 5432,
        user: user.clone(),
        password: password.clone(),
        dbname: "postgres".to_owned(),
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
        let connection = connect(settings, intent, addresses, &primary).await?;
        connection.read_catalog().await.map_err(|error| error.to_string())
    };
    match read.await {
        Ok(catalog) => {
            let states = passwords(intent, addresses, &catalog);
            (Seen::Present(catalog), states)
        }
        Err(why) => (Seen::Unknown(why), BTreeMap::new()),
    }
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
