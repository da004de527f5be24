//! What is inside the databases of the simulated server.

use std::collections::BTreeSet;

use matriarch_sql::{Catalog, DefaultPrivilege, SeenExtension, SeenSchema, Statement};

/// Runs a statement inside a database, which has to be there.
///
/// # Errors
/// What a server would say: something that the statement refers to does not exist.
pub fn run(catalog: &mut Catalog, statement: &Statement) -> Result<(), String> {
    let roles: BTreeSet<String> = catalog.roles.keys().cloned().collect();
    let known = |role: &String| {
        if roles.contains(role) { Ok(()) } else { Err(format!("{statement}: role {role} does not exist")) }
    };
    let database = statement.database().unwrap_or_default();
    let live = catalog.contents.get_mut(database).ok_or_else(|| format!("{statement}: no such database"))?;
    match statement.clone() {
        Statement::CreateSchema { schema, owner, .. } => {
            known(&owner)?;
            live.schemas.entry(schema).or_insert(SeenSchema { usage: [owner.clone()].into(), owner });
        }
        Statement::GrantUsage { schema, to, .. } => {
            to.iter().try_for_each(known)?;
            let schema = live.schemas.get_mut(&schema).ok_or_else(|| format!("{statement}: no schema"))?;
            schema.usage.extend(to);
        }
        Statement::GrantDefault { owner, schema, objects, privileges, to, .. } => {
            known(&owner)?;
            to.iter().try_for_each(known)?;
            if schema.as_ref().is_some_and(|schema| !live.schemas.contains_key(schema)) {
                return Err(format!("{statement}: no schema"));
            }
            for (privilege, grantee) in
                privileges.iter().flat_map(|privilege| to.iter().map(move |grantee| (privilege, grantee)))
            {
                live.default_privileges.insert(DefaultPrivilege {
                    owner: owner.clone(),
                    schema: schema.clone(),
                    objects,
                    privilege: privilege.clone(),
                    grantee: grantee.clone(),
                });
            }
        }
        Statement::CreateExtension { extension, schema, .. } => {
            if !live.available.contains(&extension) || !live.schemas.contains_key(&schema) {
                return Err(format!("{statement}: cannot be installed"));
            }
            live.extensions.insert(extension, SeenExtension { schema, relocatable: true });
        }
        Statement::MoveExtension { extension, schema, .. } => {
            let seen = live.extensions.get_mut(&extension).ok_or_else(|| format!("{statement}: missing"))?;
            if !seen.relocatable {
                return Err(format!("{statement}: not relocatable"));
            }
            seen.schema = schema;
        }
        Statement::InstallLookup { schema, user, .. } => {
            known(&user)?;
            live.schemas.entry(schema.clone()).or_default().usage.insert(user.clone());
            live.lookups.entry(schema).or_default().insert(user);
        }
        other => return Err(format!("{other} is not one inside a database")),
    }
    Ok(())
}
