//! One change on a server, its sentence for people and its text for the server.

use std::fmt;

use serde::Serialize;

use crate::content::Objects;
use crate::quote::{identifier, identifiers, literal, parameter};
use crate::role::RoleFlags;

/// Where the password of a new role comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum PasswordSource {
    /// The Secret of this name, in the cluster's namespace.
    Secret(String),
}

/// One change; each runs on its own, outside a transaction block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Statement {
    /// Create a role with its flags; memberships and parameters follow as own statements.
    CreateRole {
        /// Name of the role.
        role: String,
        /// All its flags.
        flags: RoleFlags,
        /// `None` creates it without a password.
        password: Option<PasswordSource>,
        /// Role that may hand it on.
        admin: Option<String>,
    },
    /// Add flags that a role lacks.
    AlterRoleFlags {
        /// Name of the role.
        role: String,
        /// Only the flags to add are set.
        add: RoleFlags,
    },
    /// Set the password of a role from a Secret.
    SetPassword {
        /// Name of the role.
        role: String,
        /// Name of the Secret.
        secret: String,
    },
    /// Make a role a member of others.
    GrantMembership {
        /// The role that becomes a member.
        role: String,
        /// The roles it becomes a member of; not empty.
        of: Vec<String>,
    },
    /// Take a role out of another one, so that the opposite membership becomes possible.
    RevokeMembership {
        /// The role that is a member.
        role: String,
        /// The role it is a member of.
        of: String,
    },
    /// Set a configuration parameter of a role.
    SetParameter {
        /// Name of the role.
        role: String,
        /// Name of the parameter.
        name: String,
        /// Its value, as in the manifest.
        value: String,
    },
    /// Create a database.
    CreateDatabase {
        /// Name of the database.
        name: String,
        /// Its owner.
        owner: String,
    },
    /// Give a database to another owner.
    AlterDatabaseOwner {
        /// Name of the database.
        name: String,
        /// The new owner.
        owner: String,
    },
    /// Create a schema.
    CreateSchema {
        /// The database it is in.
        database: String,
        /// Its name.
        schema: String,
        /// Its owner.
        owner: String,
    },
    /// Let roles use a schema.
    GrantUsage {
        /// The database it is in.
        database: String,
        /// The schema.
        schema: String,
        /// The roles; not empty.
        to: Vec<String>,
    },
    /// Give privileges on what a role will make.
    GrantDefault {
        /// The database.
        database: String,
        /// Whose objects.
        owner: String,
        /// In which schema; `None` means in all.
        schema: Option<String>,
        /// Which objects.
        objects: Objects,
        /// Which privileges; not empty.
        privileges: Vec<String>,
        /// The roles that get them; not empty.
        to: Vec<String>,
    },
    /// Install an extension.
    CreateExtension {
        /// The database.
        database: String,
        /// The extension.
        extension: String,
        /// Its schema.
        schema: String,
    },
    /// Give an extension another schema.
    MoveExtension {
        /// The database.
        database: String,
        /// The extension.
        extension: String,
        /// The new schema.
        schema: String,
    },
    /// Make the function with which poolers look up passwords.
    InstallLookup {
        /// The database.
        database: String,
        /// The schema of the function.
        schema: String,
        /// The only role that may call it.
        user: String,
    },
}

impl Statement {
    /// The database it has to run in; `None` means any.
    pub fn database(&self) -> Option<&str> {
        match self {
            Self::CreateSchema { database, .. }
            | Self::GrantUsage { database, .. }
            | Self::GrantDefault { database, .. }
            | Self::CreateExtension { database, .. }
            | Self::MoveExtension { database, .. }
            | Self::InstallLookup { database, .. } => Some(database),
            _ => None,
        }
    }

    /// Name of the Secret whose password this statement needs as a verifier.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::CreateRole { password: Some(PasswordSource::Secret(secret)), .. }
            | Self::SetPassword { secret, .. } => Some(secret),
            _ => None,
        }
    }

    /// The statement for the server, without a closing semicolon.
    ///
    /// `verifier` takes the place of the password where [`Self::secret`] names one.
    /// Without it the text carries psql's `:'verifier'`: fit to be shown, and a syntax
    /// error, not an empty password, if it were sent.
    pub fn text(&self, verifier: Option<&str>) -> String {
        let password = || verifier.map_or_else(|| ":'verifier'".to_owned(), literal);
        match self {
            Self::CreateRole { role, flags, password: source, admin } => {
                let secret = match source {
                    Some(_) => format!("ENCRYPTED PASSWORD {}", password()),
                    None => "PASSWORD NULL".to_owned(),
                };
                let flags = flags.all_words().join(" ");
                let admin = admin.as_ref().map(|admin| format!(" ADMIN {}", identifier(admin)));
                format!("CREATE ROLE {} {flags} {secret}{}", identifier(role), admin.unwrap_or_default())
            }
            Self::AlterRoleFlags { role, add } => {
                format!("ALTER ROLE {} {}", identifier(role), add.words().join(" "))
            }
            Self::SetPassword { role, .. } => {
                format!("ALTER ROLE {} ENCRYPTED PASSWORD {}", identifier(role), password())
            }
            Self::GrantMembership { role, of } => {
                format!("GRANT {} TO {}", identifiers(of), identifier(role))
            }
            Self::RevokeMembership { role, of } => {
                format!("REVOKE {} FROM {}", identifier(of), identifier(role))
            }
            Self::CreateSchema { schema, owner, .. } => {
                format!(
                    "CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}",
                    identifier(schema),
                    identifier(owner)
                )
            }
            Self::GrantUsage { schema, to, .. } => {
                format!("GRANT USAGE ON SCHEMA {} TO {}", identifier(schema), identifiers(to))
            }
            Self::GrantDefault { owner, schema, objects, privileges, to, .. } => {
                let schema = schema.as_ref().map(|schema| format!(" IN SCHEMA {}", identifier(schema)));
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {}{} GRANT {} ON {} TO {}",
                    identifier(owner),
                    schema.unwrap_or_default(),
                    privileges.join(", "),
                    objects.word(),
                    identifiers(to)
                )
            }
            Self::CreateExtension { extension, schema, .. } => {
                format!(
                    "CREATE EXTENSION IF NOT EXISTS {} SCHEMA {}",
                    identifier(extension),
                    identifier(schema)
                )
            }
            Self::MoveExtension { extension, schema, .. } => {
                format!("ALTER EXTENSION {} SET SCHEMA {}", identifier(extension), identifier(schema))
            }
            Self::InstallLookup { schema, user, .. } => lookup(schema, user),
            Self::SetParameter { role, name, value } => {
                let value = parameter_value(name, value);
                format!("ALTER ROLE {} SET {} TO {value}", identifier(role), parameter(name))
            }
            Self::CreateDatabase { name, owner } => {
                format!("CREATE DATABASE {} OWNER {}", identifier(name), identifier(owner))
            }
            Self::AlterDatabaseOwner { name, owner } => {
                format!("ALTER DATABASE {} OWNER TO {}", identifier(name), identifier(owner))
            }
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRole { role, flags, password, admin } => {
                write!(f, "Create role {role} with {}", listed(&flags.words()))?;
                match password {
                    Some(PasswordSource::Secret(secret)) => {
                        write!(f, ", password from secret {secret}")?;
                    }
                    None => write!(f, ", without a password")?,
                }
                match admin {
                    Some(admin) => write!(f, ", handed on by {admin}"),
                    None => Ok(()),
                }
            }
            Self::AlterRoleFlags { role, add } => {
                write!(f, "Give role {role} the flags {}", listed(&add.words()))
            }
            Self::SetPassword { role, secret } => {
                write!(f, "Set the password of role {role} from secret {secret}")
            }
            Self::GrantMembership { role, of } => {
                write!(f, "Make role {role} a member of {}", of.join(", "))
            }
            Self::RevokeMembership { role, of } => {
                write!(f, "End the membership of role {role} in {of}")
            }
            Self::CreateSchema { database, schema, owner } => {
                write!(f, "Create schema {schema} of {owner} in database {database}")
            }
            Self::GrantUsage { database, schema, to } => {
                write!(f, "Let {} use schema {schema} of database {database}", to.join(", "))
            }
            Self::GrantDefault { database, owner, schema, objects, privileges, to } => {
                let place = schema.as_ref().map(|schema| format!(" in schema {schema}")).unwrap_or_default();
                write!(
                    f,
                    "Give {} {} on future {} of {owner}{place} of database {database}",
                    to.join(", "),
                    privileges.join(", "),
                    objects.word().to_lowercase()
                )
            }
            Self::CreateExtension { database, extension, schema } => {
                write!(f, "Install extension {extension} in schema {schema} of database {database}")
            }
            Self::MoveExtension { database, extension, schema } => {
                write!(f, "Move extension {extension} to schema {schema} of database {database}")
            }
            Self::InstallLookup { database, schema, user } => {
                write!(f, "Let {user} look up passwords through schema {schema} of database {database}")
            }
            Self::SetParameter { role, name, value } => {
                write!(f, "Set {name} of role {role} to {value}")
            }
            Self::CreateDatabase { name, owner } => {
                write!(f, "Create database {name} owned by {owner}")
            }
            Self::AlterDatabaseOwner { name, owner } => {
                write!(f, "Give database {name} to owner {owner}")
            }
        }
    }
}

/// Several statements, which run in one transaction. The search path is fixed: whoever calls the
/// function must not choose what its operators mean. A function that was there already becomes
/// the superuser's.
fn lookup(schema: &str, user: &str) -> String {
    let (schema, user) = (identifier(schema), identifier(user));
    let function = format!("{schema}.user_lookup(text)");
    [
        format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        format!(
            "CREATE OR REPLACE FUNCTION {schema}.user_lookup(IN i_username text, OUT uname text, OUT phash text) \
             RETURNS record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS \
             $lookup$BEGIN SELECT usename, passwd FROM pg_catalog.pg_shadow \
             WHERE usename = i_username INTO uname, phash; RETURN; END$lookup$"
        ),
        format!("ALTER FUNCTION {function} OWNER TO CURRENT_USER"),
        format!("REVOKE ALL ON FUNCTION {function} FROM PUBLIC, {user}"),
        format!("GRANT EXECUTE ON FUNCTION {function} TO {user}"),
        format!("GRANT USAGE ON SCHEMA {schema} TO {user}"),
    ]
    .join("; ")
}

fn listed(words: &[&str]) -> String {
    if words.is_empty() { "no flags".to_owned() } else { words.join(" ") }
}

/// Parameters whose value is a list of names: the server quotes every element when it
/// stores them, so a single literal would become one name with commas in it.
const LISTS_OF_NAMES: [&str; 4] =
    ["search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"];

fn is_list_of_names(name: &str) -> bool {
    LISTS_OF_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn parameter_value(name: &str, value: &str) -> String {
    if !is_list_of_names(name) {
        return literal(unquoted(value));
    }
    let elements: Vec<_> = list_elements(value).iter().map(|e| literal(e)).collect();
    elements.join(", ")
}

/// Whether the stored value of a parameter says the same as the wanted one.
pub(crate) fn same_parameter(name: &str, wanted: &str, stored: &str) -> bool {
    if is_list_of_names(name) {
        list_elements(wanted) == list_elements(stored)
    } else {
        unquoted(wanted) == stored
    }
}

/// The contract lets manifests quote a value themselves: one pair of quotes is taken off.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let within = |quote| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(value)
}

/// The elements of a list of names: `"$user", data` is `$user` and `data`. Never empty:
/// the empty list is stored as one empty name.
fn list_elements(value: &str) -> Vec<String> {
    let value = value.trim();
    let value = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')).unwrap_or(value);
    let mut elements = Vec::new();
    let mut element = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                element.push('"');
            }
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => push_element(&mut elements, &mut element, &mut was_quoted),
            c if c.is_whitespace() && !quoted => {}
            c if quoted => element.push(c),
            // Unquoted names fold to lower case, as the server does.
            c => element.extend(c.to_lowercase()),
        }
    }
    push_element(&mut elements, &mut element, &mut was_quoted);
    if elements.is_empty() {
        elements.push(String::new());
    }
    elements
}

fn push_element(elements: &mut Vec<String>, element: &mut String, was_quoted: &mut bool) {
    if !element.is_empty() || *was_quoted {
        elements.push(std::mem::take(element));
    }
    *was_quoted = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter_text(name: &str, value: &str) -> String {
        Statement::SetParameter { role: "r".into(), name: name.into(), value: value.into() }.text(None)
    }

    #[test]
    fn texts() {
        let create = Statement::CreateRole {
            role: "foo_user".into(),
            flags: RoleFlags { createdb: true, ..RoleFlags::default() },
            password: Some(PasswordSource::Secret("s".into())),
            admin: None,
        };
        assert_eq!(
            create.text(Some("SCRAM-SHA-256$1")),
            "CREATE ROLE \"foo_user\" NOSUPERUSER INHERIT NOCREATEROLE CREATEDB LOGIN \
             NOREPLICATION NOBYPASSRLS ENCRYPTED PASSWORD 'SCRAM-SHA-256$1'"
        );
        assert_eq!(
            create.to_string(),
            "Create role foo_user with INHERIT CREATEDB LOGIN, password from secret s"
        );
        assert_eq!(create.secret(), Some("s"));

        let password = Statement::SetPassword { role: "a".into(), secret: "s".into() };
        assert_eq!(password.text(None), "ALTER ROLE \"a\" ENCRYPTED PASSWORD :'verifier'");

        let flags = RoleFlags { superuser: true, replication: true, ..RoleFlags::none() };
        let alter = Statement::AlterRoleFlags { role: "a".into(), add: flags };
        assert_eq!(alter.text(None), "ALTER ROLE \"a\" SUPERUSER REPLICATION");

        let grant = Statement::GrantMembership { role: "a".into(), of: vec!["b".into(), "c".into()] };
        assert_eq!(grant.text(None), "GRANT \"b\", \"c\" TO \"a\"");

        let create = Statement::CreateDatabase { name: "foo".into(), owner: "zalando".into() };
        assert_eq!(create.text(None), "CREATE DATABASE \"foo\" OWNER \"zalando\"");
        assert_eq!(create.to_string(), "Create database foo owned by zalando");

        let owner = Statement::AlterDatabaseOwner { name: "foo".into(), owner: "b".into() };
        assert_eq!(owner.text(None), "ALTER DATABASE \"foo\" OWNER TO \"b\"");
    }

    #[test]
    fn parameters() {
        assert_eq!(parameter_text("log_statement", "all"), "ALTER ROLE \"r\" SET \"log_statement\" TO 'all'");
        assert_eq!(
            parameter_text("search_path", "\"$user\", Data"),
            "ALTER ROLE \"r\" SET \"search_path\" TO '$user', 'data'"
        );
        assert_eq!(
            parameter_text("search_path", "'a,b'"),
            "ALTER ROLE \"r\" SET \"search_path\" TO 'a', 'b'"
        );
        assert_eq!(parameter_text("search_path", ""), "ALTER ROLE \"r\" SET \"search_path\" TO ''");
        assert!(same_parameter("search_path", "\"$user\",data", "\"$user\", data"));
        assert!(same_parameter("search_path", "", "\"\""));
        assert!(same_parameter("log_statement", "'all'", "all"));
        assert!(!same_parameter("log_statement", "all", "none"));
    }
}
