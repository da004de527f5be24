//! The catalog of the simulated server, and the statements that change it.

use matriarch_plan::Outcome;
use matriarch_sql::{CatalogRole, Contents, SeenSchema, Statement};

use crate::inside;
use crate::world::World;

/// Part of every verifier: no printed plan may show it.
pub const SECRET: &str = "s3cr3t";

impl World {
    /// The verifier that fits the password in a Secret.
    pub fn verifier(&self, secret: &str) -> Option<String> {
        self.secrets.get(secret).map(|secret| format!("{SECRET}-{}", secret.seen.uid))
    }

    /// Runs a statement on the primary.
    pub(crate) fn execute(&mut self, statement: &Statement) -> Outcome {
        if self.leader_up().is_none() {
            return Outcome::Failed("connection refused".to_owned());
        }
        self.catalog_version += 1;
        match self.change_catalog(statement) {
            Ok(()) => Outcome::Applied,
            Err(why) => Outcome::Failed(why),
        }
    }

    fn change_catalog(&mut self, statement: &Statement) -> Result<(), String> {
        let verifier = statement.secret().and_then(|secret| self.verifier(secret));
        let catalog = &mut self.catalog;
        match statement {
            Statement::CreateRole { role, flags, password, .. } => {
                let verifier = password.as_ref().and(verifier);
                if catalog.roles.contains_key(role) {
                    return Err(format!("role {role} exists already"));
                }
                let live = CatalogRole { flags: *flags, verifier, ..CatalogRole::default() };
                catalog.roles.insert(role.clone(), live);
            }
            Statement::CreateDatabase { name, .. } if catalog.databases.contains_key(name) => {
                return Err(format!("database {name} exists already"));
            }
            Statement::CreateDatabase { name, owner } | Statement::AlterDatabaseOwner { name, owner } => {
                if !catalog.roles.contains_key(owner) {
                    return Err(format!("role {owner} does not exist"));
                }
                catalog.connectable.insert(name.clone());
                let public = [("public".to_owned(), SeenSchema::default())].into();
                let empty = || Contents { schemas: public, ..Contents::default() };
                catalog.contents.entry(name.clone()).or_insert_with(empty);
                catalog.databases.insert(name.clone(), owner.clone());
            }
            Statement::SetPassword { role, .. } => self.role(role)?.verifier = verifier,
            Statement::AlterRoleFlags { role, add } => {
                let role = self.role(role)?;
                role.flags = role.flags.union(*add);
            }
            Statement::GrantMembership { role, of } => self.role(role)?.member_of.extend(of.iter().cloned()),
            Statement::RevokeMembership { role, of } => {
                self.role(role)?.member_of.retain(|parent| parent != of);
            }
            Statement::SetParameter { role, name, value } => {
                self.role(role)?.parameters.insert(name.clone(), value.clone());
            }
            inside => inside::run(catalog, inside)?,
        }
        Ok(())
    }

    fn role(&mut self, name: &str) -> Result<&mut CatalogRole, String> {
        self.catalog.roles.get_mut(name).ok_or_else(|| format!("role {name} does not exist"))
    }
}
