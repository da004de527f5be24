//! From what should exist and what exists to the statements in between.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, CatalogRole};
use crate::role::{Database, Role};
use crate::statement::{PasswordSource, Statement, same_parameter};

/// How the password in a Secret stands to the verifier on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PasswordState {
    /// The verifier belongs to the password.
    Matches,
    /// It does not, or the role has none.
    Differs,
    /// The Secret could not be read: nothing is done about this role's password.
    Unknown,
}

/// The statements that lead from `catalog` to `roles` and `databases`, each with the
/// reason for it, in an order in which they can run: roles are created before anything
/// refers to them, and databases come last.
///
/// `passwords` is by name of the Secret; one that is not in it counts as `Unknown`. A role
/// that is to have a password which is `Unknown` is not created yet, and nothing that
/// refers to it is done before it is.
pub fn differences(
    roles: &[Role],
    databases: &[Database],
    catalog: &Catalog,
    passwords: &BTreeMap<String, PasswordState>,
) -> Vec<(Statement, String)> {
    let mut found = Vec::new();
    let mut existing = Vec::new();
    let mut held = BTreeSet::new();
    for role in roles {
        match catalog.roles.get(&role.name) {
            Some(live) => {
                alterations(role, live, passwords, &mut found);
                existing.push((role, live.clone()));
            }
            None => match creation(role, passwords, &made(catalog, &existing)) {
                Some(create) => {
                    found.push(create);
                    existing.push((role, CatalogRole::default()));
                }
                None => {
                    held.insert(role.name.as_str());
                }
            },
        }
    }
    // Neither can a role become a member of one that nobody makes.
    let known = made(catalog, &existing);
    held.extend(
        roles
            .iter()
            .flat_map(|role| &role.member_of)
            .map(String::as_str)
            .filter(|group| !known.contains(group)),
    );
    // After all creations: a role may be a member of one that comes later in the list.
    for (role, live) in &existing {
        memberships(role, live, &held, catalog, &mut found);
        parameters(role, live, &mut found);
    }
    for database in databases.iter().filter(|database| !held.contains(database.owner.as_str())) {
        ownership(database, catalog, &mut found);
    }
    found
}

/// Names of the roles that exist or will by then.
fn made<'a>(catalog: &'a Catalog, existing: &[(&'a Role, CatalogRole)]) -> BTreeSet<&'a str> {
    let new = existing.iter().map(|(role, _)| role.name.as_str());
    catalog.roles.keys().map(String::as_str).chain(new).collect()
}

/// Memberships that cannot be given because the group does not exist and nothing makes it: what,
/// and why not.
pub fn missing_groups(roles: &[Role], catalog: &Catalog) -> Vec<(String, String)> {
    let wanted = |name: &String| roles.iter().any(|role| role.name == *name);
    let mut found = Vec::new();
    for role in roles {
        for group in role.member_of.iter().filter(|name| !catalog.roles.contains_key(*name) && !wanted(name))
        {
            let what = format!("membership of role {} in {group}", role.name);
            found.push((what, format!("there is no role {group}: create it, or do not name it")));
        }
    }
    found
}

fn password_of(role: &Role, passwords: &BTreeMap<String, PasswordState>) -> Option<PasswordState> {
    let secret = role.secret.as_ref()?;
    Some(passwords.get(secret).copied().unwrap_or(PasswordState::Unknown))
}

fn creation(
    role: &Role,
    passwords: &BTreeMap<String, PasswordState>,
    made: &BTreeSet<&str>,
) -> Option<(Statement, String)> {
    if password_of(role, passwords) == Some(PasswordState::Unknown) {
        return None;
    }
    // Who hands a role on is its member: it cannot be a member of that role at the same time.
    let admin =
        role.admin.clone().filter(|admin| made.contains(admin.as_str()) && !role.member_of.contains(admin));
    let create = Statement::CreateRole {
        role: role.name.clone(),
        flags: role.flags,
        password: role.secret.clone().map(PasswordSource::Secret),
        admin,
    };
    Some((create, format!("role {} does not exist", role.name)))
}

fn alterations(
    role: &Role,
    live: &CatalogRole,
    passwords: &BTreeMap<String, PasswordState>,
    found: &mut Vec<(Statement, String)>,
) {
    let add = role.flags.missing_in(live.flags);
    let words = add.words();
    if !words.is_empty() {
        let because = format!("role {} lacks {}", role.name, words.join(" "));
        found.push((Statement::AlterRoleFlags { role: role.name.clone(), add }, because));
    }
    let differs = password_of(role, passwords) == Some(PasswordState::Differs);
    if let Some(secret) = role.secret.clone().filter(|_| differs) {
        let because = format!("the password of role {} is not the one in secret {secret}", role.name);
        found.push((Statement::SetPassword { role: role.name.clone(), secret }, because));
    }
}

fn memberships(
    role: &Role,
    live: &CatalogRole,
    held: &BTreeSet<&str>,
    catalog: &Catalog,
    found: &mut Vec<(Statement, String)>,
) {
    let mut of: Vec<String> = Vec::new();
    for parent in role.member_of.iter().filter(|parent| !held.contains(parent.as_str())) {
        if live.member_of.contains(parent) || of.contains(parent) {
            continue;
        }
        // Releases before made owner roles members the other way round, and the server allows no circle.
        if catalog.roles.get(parent).is_some_and(|group| group.member_of.contains(&role.name)) {
            let because = format!("role {} is to be a member of {parent}, not {parent} of it", role.name);
            found
                .push((Statement::RevokeMembership { role: parent.clone(), of: role.name.clone() }, because));
        }
        of.push(parent.clone());
    }
    if !of.is_empty() {
        let because = format!("role {} is not a member of {}", role.name, of.join(", "));
        found.push((Statement::GrantMembership { role: role.name.clone(), of }, because));
    }
}

fn parameters(role: &Role, live: &CatalogRole, found: &mut Vec<(Statement, String)>) {
    for (name, value) in &role.parameters {
        let because = match live.parameters.get(name) {
            Some(stored) if same_parameter(name, value, stored) => continue,
            Some(stored) => format!("{name} of role {} is {stored}, not {value}", role.name),
            None => format!("{name} of role {} is not set", role.name),
        };
        let set =
            Statement::SetParameter { role: role.name.clone(), name: name.clone(), value: value.clone() };
        found.push((set, because));
    }
}

fn ownership(database: &Database, catalog: &Catalog, found: &mut Vec<(Statement, String)>) {
    let Database { name, owner, .. } = database.clone();
    match catalog.databases.get(&name) {
        None => {
            let because = format!("database {name} does not exist");
            found.push((Statement::CreateDatabase { name, owner }, because));
        }
        Some(live) if *live != owner && !database.keeps_owner => {
            let because = format!("database {name} belongs to {live}, not to {owner}");
            found.push((Statement::AlterDatabaseOwner { name, owner }, because));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::RoleFlags;

    fn role(name: &str) -> Role {
        Role { name: name.into(), secret: Some(format!("{name}.secret")), ..Role::default() }
    }

    fn database(name: &str, owner: &str) -> Database {
        Database { name: name.into(), owner: owner.into(), ..Database::default() }
    }

    fn known(state: PasswordState) -> BTreeMap<String, PasswordState> {
        ["foo_user", "zalando", "postgres"].map(|n| (format!("{n}.secret"), state)).into()
    }

    fn catalog(roles: &[&str], databases: &[(&str, &str)]) -> Catalog {
        Catalog {
            roles: roles.iter().map(|r| ((*r).to_owned(), CatalogRole::default())).collect(),
            databases: databases.iter().map(|(d, o)| ((*d).to_owned(), (*o).to_owned())).collect(),
            ..Catalog::default()
        }
    }

    fn sentences(found: &[(Statement, String)]) -> Vec<String> {
        found.iter().map(|(statement, because)| format!("{statement}: {because}")).collect()
    }

    #[test]
    fn everything_is_new() {
        let mut zalando = role("zalando");
        zalando.flags = RoleFlags { superuser: true, createdb: true, ..RoleFlags::default() };
        zalando.member_of = vec!["foo_user".into()];
        zalando.parameters = [("log_statement".to_owned(), "all".to_owned())].into();
        let roles = [zalando, role("foo_user")];
        let found = differences(
            &roles,
            &[database("foo", "zalando")],
            &catalog(&["postgres"], &[]),
            &known(PasswordState::Differs),
        );
        assert_eq!(
            sentences(&found),
            [
                "Create role zalando with SUPERUSER INHERIT CREATEDB LOGIN, password from secret \
                 zalando.secret: role zalando does not exist",
                "Create role foo_user with INHERIT LOGIN, password from secret foo_user.secret: \
                 role foo_user does not exist",
                "Make role zalando a member of foo_user: role zalando is not a member of foo_user",
                "Set log_statement of role zalando to all: log_statement of role zalando is not set",
                "Create database foo owned by zalando: database foo does not exist",
            ]
        );
    }

    #[test]
    fn nothing_in_the_steady_state() {
        let found = differences(
            &[role("postgres"), role("zalando")],
            &[database("foo", "zalando")],
            &catalog(&["postgres", "zalando", "someone_else"], &[("foo", "zalando"), ("other", "x")]),
            &known(PasswordState::Matches),
        );
        assert_eq!(sentences(&found), [""; 0]);
    }

    #[test]
    fn unknown_passwords_are_left_alone() {
        let mut zalando = role("zalando");
        zalando.member_of = vec!["foo_user".into()];
        let roles = [zalando, role("foo_user")];
        let live = catalog(&["zalando"], &[]);
        // What refers to a role that waits for its password waits with it.
        let databases = [database("foo", "foo_user")];
        assert_eq!(differences(&roles, &databases, &live, &known(PasswordState::Unknown)), []);
        assert_eq!(differences(&roles, &databases, &live, &BTreeMap::new()), []);
    }

    #[test]
    fn a_wrong_password_is_set_and_nothing_else() {
        let found = differences(
            &[role("postgres")],
            &[],
            &catalog(&["postgres"], &[]),
            &known(PasswordState::Differs),
        );
        assert_eq!(
            sentences(&found),
            ["Set the password of role postgres from secret postgres.secret: the password of \
              role postgres is not the one in secret postgres.secret"]
        );
    }

    #[test]
    fn flags_and_memberships_are_only_added() {
        let mut wanted = role("zalando");
        wanted.flags = RoleFlags { createdb: true, ..RoleFlags::default() };
        let mut live = catalog(&["zalando"], &[]);
        let seen = live.roles.entry("zalando".into()).or_default();
        seen.flags = RoleFlags { superuser: true, ..RoleFlags::default() };
        seen.member_of = vec!["admin".into()];
        let found = differences(&[wanted], &[], &live, &known(PasswordState::Matches));
        assert_eq!(sentences(&found), ["Give role zalando the flags CREATEDB: role zalando lacks CREATEDB"]);
    }

    #[test]
    fn the_owner_is_changed() {
        let found = differences(
            &[],
            &[database("foo", "zalando")],
            &catalog(&[], &[("foo", "postgres")]),
            &BTreeMap::new(),
        );
        assert_eq!(
            sentences(&found),
            ["Give database foo to owner zalando: database foo belongs to postgres, not to zalando"]
        );
    }
}
