//! Prepared databases: their roles, schemas, privileges and extensions (01 §3.5).

use std::collections::BTreeMap;

use matriarch_api::{PreparedDatabase, PreparedSchema, Problem};
use matriarch_sql::{Database, Privileges, RoleFlags, Schema};

use super::Context;
use crate::validate::is_database_name;

/// Schema of a database that names none.
const DEFAULT_SCHEMA: &str = "data";
/// Who may hand on the roles of a database's owner. A fixed word of the contract, whatever
/// `team_admin_role` says.
const ADMIN: &str = "admin";

/// A role of a prepared database.
pub(super) struct PreparedRole {
    pub(super) name: String,
    pub(super) login: bool,
    pub(super) member_of: Option<String>,
    pub(super) admin: String,
    pub(super) search_path: String,
    pub(super) is_owner: bool,
    pub(super) namespace: Option<String>,
}

impl PreparedRole {
    pub(super) fn flags(&self) -> RoleFlags {
        RoleFlags { login: self.login, ..RoleFlags::default() }
    }
}

/// Databases by name.
fn wanted(context: &Context<'_>) -> BTreeMap<String, PreparedDatabase> {
    let mut wanted = context.cluster.prepared_databases();
    wanted.retain(|name, _| is_database_name(name));
    wanted
}

/// Schemas by name.
fn schemas(database: &PreparedDatabase) -> BTreeMap<String, PreparedSchema> {
    match &database.schemas {
        Some(schemas) if !schemas.is_empty() => schemas
            .iter()
            .filter(|(name, _)| is_database_name(name))
            .map(|(n, s)| (n.clone(), s.clone()))
            .collect(),
        _ => [(DEFAULT_SCHEMA.to_owned(), PreparedSchema::default())].into(),
    }
}

fn has_roles(schema: &PreparedSchema) -> bool {
    schema.default_roles != Some(false)
}

fn has_users(schema: &PreparedSchema) -> bool {
    has_roles(schema) && schema.default_users == Some(true)
}

/// What is passed over.
pub(super) fn notices(context: &Context<'_>) -> Vec<Problem> {
    let mut notices = Vec::new();
    for (name, database) in wanted(context) {
        let given = database.secret_namespace.is_some_and(|namespace| !namespace.is_empty());
        if given && !context.settings.enable_cross_namespace_secret {
            notices.push(Problem::new(
                format!("spec.preparedDatabases.{name}.secretNamespace"),
                "has no effect: the operator's enable_cross_namespace_secret is false",
                "remove it, or ask for the option to be switched on",
            ));
        }
    }
    notices
}

/// All roles; a role stands after those that may hand it on.
pub(super) fn roles(context: &Context<'_>) -> Vec<PreparedRole> {
    let mut all = Vec::new();
    for (name, database) in wanted(context) {
        let schemas = schemas(&database);
        let own = database.secret_namespace.clone().filter(|namespace| !namespace.is_empty());
        let namespace = own.filter(|namespace| {
            context.settings.enable_cross_namespace_secret && namespace != context.namespace()
        });
        let path = search_path(schemas.keys());
        let set = Set { namespace, prefix: name.clone(), admin: ADMIN.to_owned(), path };
        set.groups(&mut all);
        if database.default_users == Some(true) {
            set.users(&mut all);
        }
        for (schema, options) in schemas.iter().filter(|(_, options)| has_roles(options)) {
            let set = Set {
                prefix: format!("{name}_{schema}"),
                admin: format!("{name}_owner"),
                path: search_path([schema].into_iter()),
                namespace: set.namespace.clone(),
            };
            set.groups(&mut all);
            if has_users(options) {
                set.users(&mut all);
            }
        }
    }
    all
}

fn search_path<'a>(schemas: impl Iterator<Item = &'a String>) -> String {
    let schemas = schemas.map(|schema| format!("\"{schema}\""));
    ["\"$user\"".to_owned()].into_iter().chain(schemas).collect::<Vec<_>>().join(", ")
}

/// The roles of one prefix.
struct Set {
    namespace: Option<String>,
    prefix: String,
    /// Who may hand on the owner.
    admin: String,
    path: String,
}

impl Set {
    fn role(&self, kind: &str, login: bool, member_of: Option<String>) -> PreparedRole {
        let is_owner = kind.starts_with("owner");
        PreparedRole {
            name: format!("{}_{kind}", self.prefix),
            login,
            member_of,
            admin: if is_owner { self.admin.clone() } else { format!("{}_owner", self.prefix) },
            search_path: self.path.clone(),
            is_owner,
            namespace: self.namespace.clone(),
        }
    }

    fn groups(&self, all: &mut Vec<PreparedRole>) {
        let reader = format!("{}_reader", self.prefix);
        all.push(self.role("owner", false, None));
        all.push(self.role("reader", false, None));
        all.push(self.role("writer", false, Some(reader)));
    }

    fn users(&self, all: &mut Vec<PreparedRole>) {
        for kind in ["owner", "reader", "writer"] {
            let group = format!("{}_{kind}", self.prefix);
            all.push(self.role(&format!("{kind}_user"), true, Some(group)));
        }
    }
}

/// The databases with what is in them.
pub(super) fn databases(context: &Context<'_>) -> Vec<Database> {
    wanted(context).iter().map(|(name, database)| prepared(name, database)).collect()
}

fn prepared(name: &str, database: &PreparedDatabase) -> Database {
    let owner = format!("{name}_owner");
    let mut owners = vec![owner.clone()];
    if database.default_users == Some(true) {
        owners.push(format!("{name}_owner_user"));
    }
    let mut privileges: Vec<Privileges> = owners.iter().map(|owner| grants(owner, None, name)).collect();
    let mut made = Vec::new();
    for (schema, options) in schemas(database) {
        let prefix = format!("{name}_{schema}");
        let mut own = Vec::new();
        if has_roles(&options) {
            own.push(format!("{prefix}_owner"));
            if has_users(&options) {
                own.push(format!("{prefix}_owner_user"));
            }
            for owner in owners.iter().chain(&own) {
                privileges.push(grants(owner, Some(&schema), &prefix));
            }
        } else {
            own.clone_from(&owners);
        }
        privileges.extend(own.iter().map(|owner| grants(owner, Some(&schema), name)));
        let owner = own.first().cloned().unwrap_or_else(|| owner.clone());
        made.push(Schema { name: schema, owner });
    }
    Database {
        name: name.to_owned(),
        owner,
        keeps_owner: true,
        schemas: made,
        extensions: database.extensions.clone().unwrap_or_default(),
        privileges,
    }
}

/// What `owner` makes in future can be read and written by the roles of `prefix`.
fn grants(owner: &str, schema: Option<&String>, prefix: &str) -> Privileges {
    Privileges {
        owner: owner.to_owned(),
        schema: schema.cloned(),
        reader: format!("{prefix}_reader"),
        writer: format!("{prefix}_writer"),
    }
}
