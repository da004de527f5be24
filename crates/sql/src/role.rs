//! What should exist: roles and databases as the manifest asks for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Attributes of a role. `Default` is what `CREATE USER` gives: login and inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleFlags {
    /// May log in.
    pub login: bool,
    /// Bypasses every permission check.
    pub superuser: bool,
    /// May create databases.
    pub createdb: bool,
    /// May create roles.
    pub createrole: bool,
    /// May start replication and take base backups.
    pub replication: bool,
    /// Bypasses row level security.
    pub bypassrls: bool,
    /// Uses the privileges of the roles it is a member of.
    pub inherit: bool,
}

impl Default for RoleFlags {
    fn default() -> Self {
        Self { login: true, inherit: true, ..Self::none() }
    }
}

impl RoleFlags {
    /// No flag at all.
    pub const fn none() -> Self {
        Self {
            login: false,
            superuser: false,
            createdb: false,
            createrole: false,
            replication: false,
            bypassrls: false,
            inherit: false,
        }
    }

    /// The flags that `self` has and `live` lacks: what would have to be added.
    pub fn missing_in(self, live: Self) -> Self {
        Self {
            login: self.login && !live.login,
            superuser: self.superuser && !live.superuser,
            createdb: self.createdb && !live.createdb,
            createrole: self.createrole && !live.createrole,
            replication: self.replication && !live.replication,
            bypassrls: self.bypassrls && !live.bypassrls,
            inherit: self.inherit && !live.inherit,
        }
    }

    /// The flags that one of the two has.
    pub fn union(self, other: Self) -> Self {
        Self {
            login: self.login || other.login,
            superuser: self.superuser || other.superuser,
            createdb: self.createdb || other.createdb,
            createrole: self.createrole || other.createrole,
            replication: self.replication || other.replication,
            bypassrls: self.bypassrls || other.bypassrls,
            inherit: self.inherit || other.inherit,
        }
    }

    /// The keywords of the flags that are set, in the order of the contract.
    pub fn words(self) -> Vec<&'static str> {
        self.pairs().into_iter().filter(|(_, on, _)| *on).map(|(word, _, _)| word).collect()
    }

    /// Every flag as a keyword, `NO…` when it is not set; for `CREATE ROLE`.
    pub fn all_words(self) -> Vec<&'static str> {
        self.pairs().into_iter().map(|(word, on, off)| if on { word } else { off }).collect()
    }

    fn pairs(self) -> [(&'static str, bool, &'static str); 7] {
        [
            ("SUPERUSER", self.superuser, "NOSUPERUSER"),
            ("INHERIT", self.inherit, "NOINHERIT"),
            ("CREATEROLE", self.createrole, "NOCREATEROLE"),
            ("CREATEDB", self.createdb, "NOCREATEDB"),
            ("LOGIN", self.login, "NOLOGIN"),
            ("REPLICATION", self.replication, "NOREPLICATION"),
            ("BYPASSRLS", self.bypassrls, "NOBYPASSRLS"),
        ]
    }
}

/// A role that should exist.
///
/// The superuser and the replication user are made by the instance image: give them with
/// default flags, no memberships and no parameters, so that only their password is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Name, unquoted.
    pub name: String,
    /// Attributes; those missing on the server are added, none is taken away.
    pub flags: RoleFlags,
    /// Roles that this one is a member of.
    pub member_of: Vec<String>,
    /// Configuration parameters set for the role; others on the server stay.
    pub parameters: BTreeMap<String, String>,
    /// Role that may hand this one on, where it exists; heeded only when this one is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// Name of the credential Secret; `None` means that we keep no password for it.
    pub secret: Option<String>,
}

/// A database that should exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Name, unquoted.
    pub name: String,
    /// The role that owns it.
    pub owner: String,
    /// An existing database keeps the owner that it has.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keeps_owner: bool,
    /// Schemas that should be in it; existing ones keep their owners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<Schema>,
    /// Extension → schema.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, String>,
    /// Privileges on what will be made in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub privileges: Vec<Privileges>,
}

impl Database {
    /// Whether something should be inside.
    pub fn has_contents(&self) -> bool {
        !self.schemas.is_empty() || !self.extensions.is_empty() || !self.privileges.is_empty()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // what serde asks for
fn is_false(value: &bool) -> bool {
    !value
}

/// A schema that should exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Name, unquoted.
    pub name: String,
    /// The role that owns it.
    pub owner: String,
}

/// Readers read and writers write what an owner will make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    /// Whose objects.
    pub owner: String,
    /// In which schema, which both may use then; `None` means in all, schemas included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The role that reads.
    pub reader: String,
    /// The role that writes.
    pub writer: String,
}

/// The function with which poolers look up passwords, wanted in every database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Its schema, made if missing.
    pub schema: String,
    /// The only role that may call it.
    pub user: String,
}
