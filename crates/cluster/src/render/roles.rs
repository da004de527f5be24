//! Roles and databases inside PostgreSQL, and the Secrets with the roles' passwords.

use std::collections::BTreeMap;

use matriarch_sql::{Database, Role, RoleFlags};
use serde_json::json;

use super::Context;
use crate::intent::{CredentialSecret, PasswordSource};
use crate::names;

/// Superuser and replication user first, then the users of the manifest by name.
///
/// A user of the manifest that cannot log in has a Secret too: the contract makes one.
pub(super) fn render(context: &Context<'_>) -> (Vec<CredentialSecret>, Vec<Role>) {
    let settings = context.settings;
    let system = [&settings.super_username, &settings.replication_username];
    let mut secrets = Vec::new();
    let mut roles = Vec::new();
    for name in system {
        secrets.push(secret(context, name));
        // Patroni makes both when a cluster begins. One that was stopped in that moment never has them made
        // again, and without REPLICATION no replica can start.
        let flags = RoleFlags { replication: *name == settings.replication_username, ..RoleFlags::default() };
        roles.push(role(context, name, flags, Vec::new()));
    }
    for (name, flags) in &context.cluster.users {
        let owns = context.cluster.spec.databases.iter().flatten().any(|(_, owner)| owner == name);
        let groups = if owns { settings.additional_owner_roles.clone() } else { Vec::new() };
        secrets.push(secret(context, name));
        roles.push(role(context, name, *flags, groups));
    }
    (secrets, roles)
}

pub(super) fn databases(context: &Context<'_>) -> Vec<Database> {
    let wanted = context.cluster.spec.databases.iter().flatten();
    wanted
        .filter(|(name, owner)| context.cluster.can_make_database(name, owner))
        .map(|(name, owner)| Database { name: name.clone(), owner: owner.clone() })
        .collect()
}

fn role(context: &Context<'_>, name: &str, flags: RoleFlags, member_of: Vec<String>) -> Role {
    Role {
        name: name.to_owned(),
        flags,
        member_of,
        parameters: BTreeMap::new(),
        secret: Some(names::credential_secret(name, context.name(), context.settings)),
    }
}

fn secret(context: &Context<'_>, role: &str) -> CredentialSecret {
    let name = names::credential_secret(role, context.name(), context.settings);
    let mut metadata = context.metadata(&name, context.labels(), context.inherited(BTreeMap::new()));
    if let Some(namespace) = foreign_namespace(context, role) {
        metadata["namespace"] = json!(namespace);
        if let Some(metadata) = metadata.as_object_mut() {
            // An owner in another namespace would get the Secret collected as garbage.
            metadata.remove("ownerReferences");
        }
    }
    CredentialSecret {
        object: context.object("v1", "Secret", metadata, json!({"type": "Opaque"})),
        username: role.to_owned(),
        role: role.to_owned(),
        password: PasswordSource::Generate,
    }
}

/// With `enable_cross_namespace_secret`, what stands before the first dot of a user's name.
fn foreign_namespace(context: &Context<'_>, role: &str) -> Option<String> {
    if !context.settings.enable_cross_namespace_secret || !context.cluster.users.contains_key(role) {
        return None;
    }
    role.split_once('.').map(|(namespace, _)| namespace.to_owned()).filter(|n| n != context.namespace())
}
