//! What the server's catalog said when it was read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Contents;
use crate::role::RoleFlags;

/// Roles and databases that exist on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Roles by name (`pg_authid`).
    pub roles: BTreeMap<String, CatalogRole>,
    /// Owner of each database (`pg_database`).
    pub databases: BTreeMap<String, String>,
    /// Databases that accept connections.
    #[serde(default)]
    pub connectable: BTreeSet<String>,
    /// What is inside those databases that were looked into.
    #[serde(default)]
    pub contents: BTreeMap<String, Contents>,
}

/// A role that exists.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogRole {
    /// Attributes as they are.
    pub flags: RoleFlags,
    /// Roles it is a direct member of.
    pub member_of: Vec<String>,
    /// Parameters set for it in all databases, as stored (`setdatabase = 0`).
    pub parameters: BTreeMap<String, String>,
    /// `rolpassword`; `None` when the role has no password. Secret: not shown by `Debug`.
    pub verifier: Option<String>,
}

impl fmt::Debug for CatalogRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogRole")
            .field("flags", &self.flags)
            .field("member_of", &self.member_of)
            .field("parameters", &self.parameters)
            .field("verifier", &self.verifier.as_ref().map(|_| "(redacted)"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_verifier() {
        let role = CatalogRole { verifier: Some("SCRAM-SHA-256$4096:x$y:z".into()), ..Default::default() };
        let shown = format!("{role:?}");
        assert!(shown.contains("(redacted)"), "{shown}");
        assert!(!shown.contains("SCRAM"), "{shown}");
    }
}
