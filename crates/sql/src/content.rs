//! What should be inside databases: schemas, privileges, extensions, the poolers' lookup function.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::role::{Database, Lookup, Privileges};
use crate::statement::Statement;

/// What is inside a database, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Schemas by name.
    pub schemas: BTreeMap<String, SeenSchema>,
    /// Installed extensions by name.
    pub extensions: BTreeMap<String, SeenExtension>,
    /// Extensions that could be installed.
    pub available: BTreeSet<String>,
    /// Privileges on what will be made.
    pub default_privileges: BTreeSet<DefaultPrivilege>,
    /// Schemas with a lookup function as ours → who may call it, besides its owner.
    pub lookups: BTreeMap<String, BTreeSet<String>>,
}

/// A schema that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenSchema {
    /// Its owner.
    pub owner: String,
    /// Roles with USAGE.
    pub usage: BTreeSet<String>,
}

/// An extension that is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenExtension {
    /// Its schema.
    pub schema: String,
    /// Whether it can be given another one.
    pub relocatable: bool,
}

/// One entry of a default access control list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DefaultPrivilege {
    /// Whose objects.
    pub owner: String,
    /// In which schema; `None` means in all.
    pub schema: Option<String>,
    /// Which objects.
    pub objects: Objects,
    /// `SELECT`, `USAGE`, ...
    pub privilege: String,
    /// Who gets it.
    pub grantee: String,
}

/// Kinds of objects that have default privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Objects {
    /// Schemas.
    Schemas,
    /// Tables and views.
    Tables,
    /// Sequences.
    Sequences,
    /// Functions and procedures.
    Functions,
    /// Types.
    Types,
}

impl Objects {
    /// The keyword.
    pub fn word(self) -> &'static str {
        match self {
            Self::Schemas => "SCHEMAS",
            Self::Tables => "TABLES",
            Self::Sequences => "SEQUENCES",
            Self::Functions => "FUNCTIONS",
            Self::Types => "TYPES",
        }
    }

    /// The kind of a letter of `pg_default_acl.defaclobjtype`.
    pub fn from_letter(letter: &str) -> Option<Self> {
        match letter {
            "n" => Some(Self::Schemas),
            "r" => Some(Self::Tables),
            "S" => Some(Self::Sequences),
            "f" => Some(Self::Functions),
            "T" => Some(Self::Types),
            _ => None,
        }
    }
}

/// What readers and writers get (04 §14.1): objects, privileges, for readers, for writers.
const GRANTS: [(Objects, &[&str], bool, bool); 7] = [
    (Objects::Schemas, &["USAGE"], true, true),
    (Objects::Tables, &["SELECT"], true, false),
    (Objects::Sequences, &["SELECT"], true, false),
    (Objects::Tables, &["INSERT", "UPDATE", "DELETE"], false, true),
    (Objects::Sequences, &["USAGE", "UPDATE"], false, true),
    (Objects::Functions, &["EXECUTE"], true, true),
    (Objects::Types, &["USAGE"], true, true),
];

/// Databases whose contents have to be read before [`content_differences`] can tell anything about
/// them: prepared ones, and with poolers all that accept connections.
pub fn databases_to_read(
    databases: &[Database],
    lookup: Option<&Lookup>,
    catalog: &Catalog,
) -> BTreeSet<String> {
    let open = |name: &&String| catalog.connectable.contains(*name);
    let prepared = databases.iter().filter(|database| database.has_contents()).map(|database| &database.name);
    let all = catalog.databases.keys().filter(|name| lookup.is_some() && !is_template(name));
    prepared.chain(all).filter(open).cloned().collect()
}

fn is_template(name: &str) -> bool {
    matches!(name, "template0" | "template1")
}

/// The statements that lead to what should be inside the databases whose contents were read, each
/// with the reason for it. Nothing refers to a role or schema that does not exist yet: that follows
/// in the next pass.
pub fn content_differences(
    databases: &[Database],
    lookup: Option<&Lookup>,
    catalog: &Catalog,
) -> Vec<(Statement, String)> {
    let mut found = Vec::new();
    for database in databases {
        if let Some(live) = catalog.contents.get(&database.name) {
            let place = Place { database: &database.name, live, catalog };
            place.schemas(database, &mut found);
            place.usage(database, &mut found);
            database.privileges.iter().for_each(|wanted| place.privileges(wanted, &mut found));
            place.extensions(database, &mut found);
        }
    }
    for (name, live) in catalog.contents.iter().filter(|(name, _)| !is_template(name)) {
        let place = Place { database: name, live, catalog };
        if let Some(lookup) = lookup {
            place.lookup(lookup, &mut found);
        }
    }
    found
}

/// Extensions that are asked for and cannot be had: what, and why not.
pub fn unavailable_extensions(databases: &[Database], catalog: &Catalog) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for database in databases {
        let Some(live) = catalog.contents.get(&database.name) else { continue };
        for (extension, schema) in &database.extensions {
            let what = format!("extension {extension} of database {}", database.name);
            match live.extensions.get(extension) {
                None if !live.available.contains(extension) => {
                    found.push((what, "the image has no such extension: use one that has it".to_owned()));
                }
                Some(seen) if seen.schema != *schema && !seen.relocatable => {
                    let because = format!("it is in schema {} and cannot be moved to {schema}", seen.schema);
                    found.push((what, because));
                }
                _ => {}
            }
        }
    }
    found
}

struct Place<'a> {
    database: &'a str,
    live: &'a Contents,
    catalog: &'a Catalog,
}

impl Place<'_> {
    fn has_role(&self, role: &str) -> bool {
        self.catalog.roles.contains_key(role)
    }

    fn schemas(&self, wanted: &Database, found: &mut Vec<(Statement, String)>) {
        for schema in &wanted.schemas {
            if !self.live.schemas.contains_key(&schema.name) && self.has_role(&schema.owner) {
                found.push((
                    Statement::CreateSchema {
                        database: self.database.to_owned(),
                        schema: schema.name.clone(),
                        owner: schema.owner.clone(),
                    },
                    format!("database {} has no schema {}", self.database, schema.name),
                ));
            }
        }
    }

    fn usage(&self, wanted: &Database, found: &mut Vec<(Statement, String)>) {
        for schema in &wanted.schemas {
            let Some(live) = self.live.schemas.get(&schema.name) else { continue };
            let of_schema = wanted.privileges.iter().filter(|one| one.schema.as_ref() == Some(&schema.name));
            let to: BTreeSet<String> = of_schema
                .flat_map(|one| [&one.reader, &one.writer])
                .filter(|role| self.has_role(role) && !live.usage.contains(*role))
                .cloned()
                .collect();
            if !to.is_empty() {
                let to: Vec<String> = to.into_iter().collect();
                let because = format!("{} may not use schema {}", to.join(", "), schema.name);
                let (database, schema) = (self.database.to_owned(), schema.name.clone());
                found.push((Statement::GrantUsage { database, schema, to }, because));
            }
        }
    }

    fn privileges(&self, wanted: &Privileges, found: &mut Vec<(Statement, String)>) {
        let in_schema = wanted.schema.as_ref();
        if !self.has_role(&wanted.owner) || in_schema.is_some_and(|s| !self.live.schemas.contains_key(s)) {
            return;
        }
        for (objects, privileges, readers, writers) in GRANTS {
            if in_schema.is_some() && objects == Objects::Schemas {
                continue;
            }
            let grantees = [(readers, &wanted.reader), (writers, &wanted.writer)];
            let grantees = grantees.into_iter().filter(|(on, role)| *on && self.has_role(role));
            let to: Vec<String> = grantees
                .map(|(_, role)| role.clone())
                .filter(|role| privileges.iter().any(|one| !self.has_default(wanted, objects, one, role)))
                .collect();
            if !to.is_empty() {
                let because = format!(
                    "{} would not get {} on {} of {}",
                    to.join(", "),
                    privileges.join(", "),
                    objects.word().to_lowercase(),
                    wanted.owner
                );
                found.push((
                    Statement::GrantDefault {
                        database: self.database.to_owned(),
                        owner: wanted.owner.clone(),
                        schema: wanted.schema.clone(),
                        objects,
                        privileges: privileges.iter().map(|one| (*one).to_owned()).collect(),
                        to,
                    },
                    because,
                ));
            }
        }
    }

    fn has_default(&self, wanted: &Privileges, objects: Objects, privilege: &str, grantee: &str) -> bool {
        let entry = |schema: Option<String>| DefaultPrivilege {
            owner: wanted.owner.clone(),
            schema,
            objects,
            privilege: privilege.to_owned(),
            grantee: grantee.to_owned(),
        };
        self.live.default_privileges.contains(&entry(wanted.schema.clone()))
    }

    fn extensions(&self, wanted: &Database, found: &mut Vec<(Statement, String)>) {
        for (extension, schema) in &wanted.extensions {
            if !self.live.schemas.contains_key(schema) {
                continue;
            }
            let (database, extension, schema) = (self.database.to_owned(), extension.clone(), schema.clone());
            match self.live.extensions.get(&extension) {
                None if self.live.available.contains(&extension) => {
                    let because = format!("database {database} has no extension {extension}");
                    found.push((Statement::CreateExtension { database, extension, schema }, because));
                }
                Some(seen) if seen.schema != schema && seen.relocatable => {
                    let because = format!("extension {extension} is in schema {}", seen.schema);
                    found.push((Statement::MoveExtension { database, extension, schema }, because));
                }
                _ => {}
            }
        }
    }

    fn lookup(&self, wanted: &Lookup, found: &mut Vec<(Statement, String)>) {
        let callers = self.live.lookups.get(&wanted.schema);
        let schema = self.live.schemas.get(&wanted.schema);
        let callable = callers.is_some_and(|callers| callers.contains(&wanted.user))
            && schema.is_some_and(|schema| schema.usage.contains(&wanted.user));
        if !callable && self.has_role(&wanted.user) {
            found.push((
                Statement::InstallLookup {
                    database: self.database.to_owned(),
                    schema: wanted.schema.clone(),
                    user: wanted.user.clone(),
                },
                format!("{} cannot look up users in database {}", wanted.user, self.database),
            ));
        }
    }
}
