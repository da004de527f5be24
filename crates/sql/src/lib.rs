//! Roles and databases: what should exist, what the server's catalog says, and the
//! statements that lead from one to the other. Pure: text and values only; the
//! connection is in `matriarch-postgres`.
//!
//! Nothing here ever takes away: no role is dropped, no flag or password removed, no database
//! dropped, and a membership is revoked only where it stands against the opposite one. Contract: roles and databases as the original
//! operator 2.0.1 keeps them.

mod catalog;
mod content;
mod difference;
mod quote;
mod role;
mod scram;
mod statement;

pub use catalog::{Catalog, CatalogRole};
pub use content::{
    Contents, DefaultPrivilege, Objects, SeenExtension, SeenSchema, content_differences, databases_to_read,
    unavailable_extensions,
};
pub use difference::{PasswordState, differences, missing_groups};
pub use quote::{identifier, literal};
pub use role::{Database, Lookup, Privileges, Role, RoleFlags, Schema};
pub use scram::{
    DEFAULT_ITERATIONS, expected_verifier, is_verifier, password_state, scram_verifier, verifier_matches,
};
pub use statement::{PasswordSource, Statement};
