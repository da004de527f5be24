//! Properties of the differences: carried out, they leave none, and they never take away.

use std::collections::BTreeMap;

use matriarch_sql::{Catalog, CatalogRole, Database, PasswordState, Role, RoleFlags, Statement, differences};
use proptest::prelude::*;

/// A server, as far as the statements are concerned; refuses what a real one would.
fn run(catalog: &mut Catalog, statement: &Statement) -> Result<(), String> {
    let missing = |role: &str| format!("{statement}: role {role} does not exist");
    match statement.clone() {
        Statement::CreateRole { role, flags, password } => {
            let verifier = password.map(|source| format!("{source:?}"));
            let made = CatalogRole { flags, verifier, ..CatalogRole::default() };
            match catalog.roles.insert(role, made) {
                Some(_) => Err(format!("{statement}: it exists")),
                None => Ok(()),
            }
        }
        Statement::AlterRoleFlags { role, add } => {
            let live = catalog.roles.get_mut(&role).ok_or_else(|| missing(&role))?;
            live.flags = union(live.flags, add);
            Ok(())
        }
        Statement::SetPassword { role, secret } => {
            let live = catalog.roles.get_mut(&role).ok_or_else(|| missing(&role))?;
            live.verifier = Some(secret);
            Ok(())
        }
        Statement::GrantMembership { role, of } => {
            if let Some(parent) = of.iter().find(|parent| !catalog.roles.contains_key(*parent)) {
                return Err(missing(parent));
            }
            let live = catalog.roles.get_mut(&role).ok_or_else(|| missing(&role))?;
            live.member_of.extend(of);
            Ok(())
        }
        Statement::SetParameter { role, name, value } => {
            let live = catalog.roles.get_mut(&role).ok_or_else(|| missing(&role))?;
            // The server stores the value without the quotes around it.
            live.parameters.insert(name, value.trim_matches('\'').to_owned());
            Ok(())
        }
        Statement::CreateDatabase { name, owner } | Statement::AlterDatabaseOwner { name, owner } => {
            if !catalog.roles.contains_key(&owner) {
                return Err(missing(&owner));
            }
            catalog.databases.insert(name, owner);
            Ok(())
        }
    }
}

fn union(a: RoleFlags, b: RoleFlags) -> RoleFlags {
    RoleFlags {
        login: a.login || b.login,
        superuser: a.superuser || b.superuser,
        createdb: a.createdb || b.createdb,
        createrole: a.createrole || b.createrole,
        replication: a.replication || b.replication,
        bypassrls: a.bypassrls || b.bypassrls,
        inherit: a.inherit || b.inherit,
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn flags() -> impl Strategy<Value = RoleFlags> {
    any::<[bool; 7]>().prop_map(
        |[login, superuser, createdb, createrole, replication, bypassrls, inherit]| RoleFlags {
            login,
            superuser,
            createdb,
            createrole,
            replication,
            bypassrls,
            inherit,
        },
    )
}

fn parameters() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = prop::sample::select(vec!["all", "\"$user\", x", "'quoted'", ""]);
    let name = prop::sample::select(vec!["log_statement", "search_path"]);
    prop::collection::btree_map(name.prop_map(str::to_owned), value.prop_map(str::to_owned), 0..3)
}

/// Roles a to d; each may be a member of those after it, so there are no circles.
fn roles() -> impl Strategy<Value = Vec<Role>> {
    let one = |index: usize| {
        let parents = prop::sample::subsequence(NAMES[index + 1..].to_vec(), 0..NAMES.len() - index);
        (flags(), parameters(), parents, any::<bool>()).prop_map(move |(flags, parameters, of, secret)| {
            Role {
                name: NAMES[index].to_owned(),
                flags,
                member_of: of.into_iter().map(str::to_owned).collect(),
                parameters,
                secret: secret.then(|| format!("secret of {}", NAMES[index])),
            }
        })
    };
    (one(0), one(1), one(2), one(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

fn catalog() -> impl Strategy<Value = Catalog> {
    let role = (flags(), parameters(), prop::sample::subsequence(NAMES.to_vec(), 0..3)).prop_map(
        |(flags, parameters, of)| CatalogRole {
            flags,
            member_of: of.into_iter().map(str::to_owned).collect(),
            parameters,
            verifier: None,
        },
    );
    let name = || prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    (prop::collection::btree_map(name(), role, 0..4), prop::collection::btree_map(name(), name(), 0..3))
        .prop_map(|(roles, databases)| Catalog { roles, databases })
}

fn databases() -> impl Strategy<Value = Vec<Database>> {
    let name = || prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    let all = prop::collection::btree_map(name(), name(), 0..3);
    all.prop_map(|all| all.into_iter().map(|(name, owner)| Database { name, owner }).collect())
}

fn states(roles: &[Role], state: PasswordState) -> BTreeMap<String, PasswordState> {
    roles.iter().filter_map(|role| Some((role.secret.clone()?, state))).collect()
}

proptest! {
    #[test]
    fn carried_out_they_leave_none(
        roles in roles(), databases in databases(), mut live in catalog(),
    ) {
        let found = differences(&roles, &databases, &live, &states(&roles, PasswordState::Differs));
        for (statement, because) in &found {
            prop_assert!(!because.is_empty());
            prop_assert_eq!(run(&mut live, statement), Ok(()));
        }
        let again = differences(&roles, &databases, &live, &states(&roles, PasswordState::Matches));
        prop_assert_eq!(again, vec![]);
    }

    #[test]
    fn they_never_take_away(roles in roles(), databases in databases(), before in catalog()) {
        let mut after = before.clone();
        let passwords = states(&roles, PasswordState::Differs);
        for (statement, _) in differences(&roles, &databases, &before, &passwords) {
            prop_assert_eq!(run(&mut after, &statement), Ok(()));
        }
        for (name, role) in &before.roles {
            let now = &after.roles[name];
            prop_assert_eq!(union(role.flags, now.flags), now.flags);
            prop_assert!(role.member_of.iter().all(|parent| now.member_of.contains(parent)));
            prop_assert!(role.parameters.keys().all(|key| now.parameters.contains_key(key)));
        }
        prop_assert!(before.databases.keys().all(|name| after.databases.contains_key(name)));
    }

    #[test]
    fn unknown_passwords_lead_to_no_statement_with_one(roles in roles(), live in catalog()) {
        let passwords = states(&roles, PasswordState::Unknown);
        for (statement, _) in differences(&roles, &[], &live, &passwords) {
            prop_assert_eq!(statement.secret(), None);
        }
    }
}
