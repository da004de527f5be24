//! Properties of the differences: carried out, they leave none, and they never take away.

use std::collections::BTreeMap;

use matriarch_sql::{
    Catalog, CatalogRole, Contents, Database, Lookup, PasswordState, Privileges, Role, RoleFlags, Schema,
    SeenExtension, SeenSchema, Statement, content_differences, databases_to_read, differences,
};
use proptest::prelude::*;

/// The simulated world's.
#[path = "../../sim/src/inside.rs"]
mod inside;

/// A server, as far as the statements are concerned; refuses what a real one would.
fn run(catalog: &mut Catalog, statement: &Statement) -> Result<(), String> {
    let missing = |role: &str| format!("{statement}: role {role} does not exist");
    match statement.clone() {
        Statement::CreateRole { role, flags, password, admin } => {
            if let Some(admin) = admin.filter(|admin| !catalog.roles.contains_key(admin)) {
                return Err(missing(&admin));
            }
            let verifier = password.map(|source| format!("{source:?}"));
            let made = CatalogRole { flags, verifier, ..CatalogRole::default() };
            match catalog.roles.insert(role, made) {
                Some(_) => Err(format!("{statement}: it exists")),
                None => Ok(()),
            }
        }
        Statement::AlterRoleFlags { role, add } => {
            let live = catalog.roles.get_mut(&role).ok_or_else(|| missing(&role))?;
            live.flags = live.flags.union(add);
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
        Statement::RevokeMembership { role, of } => {
            let live = catalog.roles.get_mut(&role).ok_or_else(|| missing(&role))?;
            live.member_of.retain(|parent| *parent != of);
            Ok(())
        }
        Statement::CreateSchema { .. }
        | Statement::GrantUsage { .. }
        | Statement::GrantDefault { .. }
        | Statement::CreateExtension { .. }
        | Statement::MoveExtension { .. }
        | Statement::InstallLookup { .. } => inside::run(catalog, statement),
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
            catalog.connectable.insert(name.clone());
            catalog.databases.insert(name, owner);
            Ok(())
        }
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
        let admin = prop::option::of(prop::sample::select(vec!["a", "d", "nobody"]));
        (flags(), parameters(), parents, any::<bool>(), admin).prop_map(
            move |(flags, parameters, of, secret, admin)| Role {
                name: NAMES[index].to_owned(),
                flags,
                member_of: of.into_iter().map(str::to_owned).collect(),
                parameters,
                admin: admin.map(str::to_owned),
                secret: secret.then(|| format!("secret of {}", NAMES[index])),
            },
        )
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
        .prop_map(|(roles, databases)| Catalog {
            connectable: databases.keys().cloned().collect(),
            roles,
            databases,
            ..Catalog::default()
        })
}

fn databases() -> impl Strategy<Value = Vec<Database>> {
    let name = || prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    let all = prop::collection::btree_map(name(), name(), 0..3);
    all.prop_map(|all| {
        let one = |(name, owner)| Database { name, owner, ..Database::default() };
        all.into_iter().map(one).collect()
    })
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
            prop_assert_eq!(role.flags.union(now.flags), now.flags);
            // Unless the opposite membership is asked for: the server allows no circle.
            let opposite = |parent: &String| {
                roles.iter().any(|wanted| wanted.name == *parent && wanted.member_of.contains(name))
            };
            let kept = |parent: &String| now.member_of.contains(parent) || opposite(parent);
            prop_assert!(role.member_of.iter().all(kept));
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

/// A database with things inside, whose owners and readers may or may not exist yet.
fn prepared() -> impl Strategy<Value = Database> {
    let name = || prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
    let schema = || prop::sample::select(vec!["s", "t", "public"]).prop_map(str::to_owned);
    let schemas = prop::collection::btree_map(schema(), name(), 0..3)
        .prop_map(|all| all.into_iter().map(|(name, owner)| Schema { name, owner }).collect());
    let privileges = (name(), prop::option::of(schema()), name(), name())
        .prop_map(|(owner, schema, reader, writer)| Privileges { owner, schema, reader, writer });
    let extension = prop::sample::select(vec!["x", "y", "unavailable"]).prop_map(str::to_owned);
    let extensions = prop::collection::btree_map(extension, schema(), 0..3);
    (name(), schemas, prop::collection::vec(privileges, 0..4), extensions, any::<bool>()).prop_map(
        |(owner, schemas, privileges, extensions, keeps_owner)| Database {
            name: "db".to_owned(),
            owner,
            keeps_owner,
            schemas,
            extensions,
            privileges,
        },
    )
}

fn contents() -> impl Strategy<Value = Contents> {
    let extension = (prop::sample::select(vec!["s", "public"]), any::<bool>())
        .prop_map(|(schema, relocatable)| SeenExtension { schema: schema.to_owned(), relocatable });
    prop::option::of(extension).prop_map(|extension| Contents {
        schemas: [("public".to_owned(), SeenSchema::default())].into(),
        extensions: extension.map(|extension| ("x".to_owned(), extension)).into_iter().collect(),
        available: ["x".to_owned(), "y".to_owned()].into(),
        ..Contents::default()
    })
}

proptest! {
    /// Passes as the operator makes them: what is inside is read after it exists. They come to an
    /// end, and nothing is refused on the way.
    #[test]
    fn contents_are_settled_after_few_passes(
        roles in roles(), wanted in prepared(), mut live in catalog(), fresh in contents(),
        with_lookup in any::<bool>(),
    ) {
        let lookup = with_lookup.then(|| Lookup { schema: "pooler".to_owned(), user: "a".to_owned() });
        let databases = [wanted];
        let mut passwords = PasswordState::Differs;
        for pass in 0..6 {
            for name in databases_to_read(&databases, lookup.as_ref(), &live) {
                live.contents.entry(name).or_insert_with(|| fresh.clone());
            }
            let mut found = differences(&roles, &databases, &live, &states(&roles, passwords));
            found.extend(content_differences(&databases, lookup.as_ref(), &live));
            for (statement, because) in &found {
                prop_assert!(!because.is_empty());
                prop_assert_eq!(run(&mut live, statement), Ok(()));
            }
            passwords = PasswordState::Matches;
            prop_assert!(pass < 5 || found.is_empty(), "{:?}", found);
        }
    }
}
