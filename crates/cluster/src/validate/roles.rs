//! Users and databases.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use matriarch_settings::Settings;

use super::Cluster;
use crate::names;
use crate::users;

/// Longest name of a Secret.
const LONGEST_SECRET_NAME: usize = 253;

/// Users that become roles. Reserved names are passed over with a notice, as the contract does.
pub(super) fn users(cluster: &mut Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    let reserved = cluster.reserved_names(settings);
    let mut found = BTreeMap::new();
    let mut secrets: BTreeMap<String, String> = BTreeMap::new();
    for role in [&settings.super_username, &settings.replication_username] {
        secrets.insert(secret(role, cluster, settings), role.clone());
    }
    for (name, words) in cluster.spec.users.clone().into_iter().flatten() {
        let field = format!("spec.users.{name}");
        if reserved.contains(&name) {
            cluster.notices.push(Problem::new(
                field,
                "is a reserved name and has no effect",
                "remove it or choose another name",
            ));
            continue;
        }
        if !users::is_valid_name(&name) {
            problems.push(Problem::new(
                field,
                "is not a valid name of a user",
                "use lower-case letters, digits, dashes and underscores, with a letter or digit first and last, dots in between",
            ));
            continue;
        }
        let flags = users::flags(&name, &words.unwrap_or_default(), problems);
        let secret = secret(&name, cluster, settings);
        if secret.len() > LONGEST_SECRET_NAME {
            problems.push(Problem::new(
                &field,
                "makes the name of its Secret longer than 253 characters",
                "choose a shorter name",
            ));
        }
        if let Some(other) = secrets.insert(secret, name.clone()) {
            problems.push(Problem::new(
                field,
                format!("would have the same Secret as {other:?}, because its name has dashes instead of underscores"),
                "rename one of the two",
            ));
        }
        found.insert(name, flags);
    }
    cluster.users = found;
}

fn secret(role: &str, cluster: &Cluster, settings: &Settings) -> String {
    names::credential_secret(role, &cluster.identity.name, settings)
}

/// A pooler may not use a name that belongs to somebody else.
pub(super) fn pooler(cluster: &mut Cluster, settings: &Settings) {
    let asked = cluster.spec.connection_pooler.as_ref().and_then(|pooler| pooler.user.clone());
    let used = cluster.pooler_user(settings);
    if let Some(asked) = asked.filter(|asked| !asked.is_empty() && *asked != used) {
        cluster.notices.push(Problem::new(
            "spec.connectionPooler.user",
            format!("{asked:?} is a reserved name, so {used:?} is used"),
            "remove it or choose another name",
        ));
    }
}

/// Whether a database, or a schema of one, can be called `name`.
pub(crate) fn is_database_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

const NAME_CURE: &str = "use letters, digits and underscores, with no digit first";

/// Databases that cannot be made are passed over with a notice, as the contract does. An owner who
/// is no user of the manifest may still come from elsewhere: that is known only where all roles are.
pub(super) fn databases(cluster: &mut Cluster, settings: &Settings) {
    let more_roles = cluster.spec.prepared_databases.is_some()
        || !settings.infrastructure_roles_secret_name.is_empty()
        || settings.infrastructure_roles_secrets.is_some();
    for (name, owner) in cluster.spec.databases.clone().into_iter().flatten() {
        let field = format!("spec.databases.{name}");
        if !is_database_name(&name) {
            cluster.notices.push(Problem::new(
                field,
                "is not a valid name of a database, so it is not made",
                NAME_CURE,
            ));
        } else if !more_roles && !cluster.users.contains_key(&owner) {
            cluster.notices.push(Problem::new(
                field,
                format!("has the owner {owner:?}, who is not a user of the manifest, so it is not made"),
                format!("add {owner} to spec.users, or name another owner"),
            ));
        }
    }
}

pub(super) fn prepared_databases(cluster: &mut Cluster, problems: &mut Vec<Problem>) {
    for (name, database) in cluster.spec.prepared_databases.clone().into_iter().flatten() {
        let field = format!("spec.preparedDatabases.{name}");
        if !is_database_name(&name) {
            cluster.notices.push(Problem::new(
                field,
                "is not a valid name of a database, so it is not made",
                NAME_CURE,
            ));
            continue;
        }
        login_roles(&field, &name, database.default_users, problems);
        for (schema, options) in database.schemas.iter().flatten() {
            let field = format!("{field}.schemas.{schema}");
            if !is_database_name(schema) {
                cluster.notices.push(Problem::new(
                    field,
                    "is not a valid name of a schema, so it is not made",
                    NAME_CURE,
                ));
                continue;
            }
            let made = options.default_roles != Some(false);
            let users = options.default_users.filter(|_| made);
            login_roles(&field, &format!("{name}_{schema}"), users, problems);
        }
    }
}

/// Login roles have Secrets, whose names have no capital letters.
fn login_roles(field: &str, prefix: &str, wanted: Option<bool>, problems: &mut Vec<Problem>) {
    if wanted == Some(true) && prefix.bytes().any(|b| b.is_ascii_uppercase()) {
        problems.push(Problem::new(
            format!("{field}.defaultUsers"),
            format!(
                "makes roles such as {prefix}_owner_user, and a Secret's name cannot have capital letters"
            ),
            "use lower-case names, or leave defaultUsers out",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::is_database_name;

    #[test]
    fn vectors_01_3_5_database_names() {
        for (name, fits) in [
            ("foo", true),
            ("Foo", true),
            ("_x", true),
            ("1db", false),
            ("my-db", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(is_database_name(name), fits, "{name:?}");
        }
    }
}
