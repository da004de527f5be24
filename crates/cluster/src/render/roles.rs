//! Roles and databases inside PostgreSQL, and the Secrets with the roles' passwords. Where a name
//! comes from several origins, the higher origin wins (04 §15.1).
//!
//! Passwords are not rotated yet. A Secret that the original rotated names a dated role,
//! `<role><YYMMDD>`: it is accepted as it is, and both roles are kept.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use matriarch_sql::{Database, Lookup, Role, RoleFlags};
use serde_json::json;

use super::{Context, pooler, prepared};
use crate::intent::{CredentialSecret, PasswordSource};
use crate::names;
use crate::references::{InfrastructureRole, Reference};
use crate::users;
use crate::validate::{STREAM_USER, is_database_name};

/// Digits of the date in the name of a rotated role.
const DATE_DIGITS: usize = 6;

/// Everything about roles and databases.
pub(super) struct Rendered {
    pub(super) secrets: Vec<CredentialSecret>,
    pub(super) roles: Vec<Role>,
    pub(super) databases: Vec<Database>,
    pub(super) lookup: Option<Lookup>,
    pub(super) notices: Vec<Problem>,
}

/// Where a role comes from; a higher origin wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Manifest,
    Infrastructure,
    Team,
    System,
    Prepared,
    Pooler,
    Streams,
}

struct User {
    origin: Origin,
    role: Role,
    /// Namespace of its Secret, where that is not the cluster's.
    namespace: Option<String>,
    password: PasswordSource,
}

pub(super) fn render(context: &Context<'_>) -> Rendered {
    let mut all = Collection { context, users: Vec::new(), notices: reference_notices(context) };
    all.system();
    all.infrastructure();
    all.prepared();
    all.manifest();
    all.humans();
    let databases = all.databases();
    let user = pooler::user(context).filter(|_| !context.cluster.is_standby());
    Rendered {
        secrets: all.users.iter().filter_map(|user| secret(context, user)).collect(),
        roles: all.users.iter().flat_map(|user| roles(context, user)).collect(),
        databases,
        lookup: user.map(|user| Lookup { schema: pooler::schema(context), user }),
        notices: all.notices,
    }
}

/// Infrastructure roles that can be made, by name.
pub(super) fn infrastructure<'a>(context: &'a Context<'_>) -> Vec<&'a InfrastructureRole> {
    let known = context.references.infrastructure_roles.as_ref().and_then(Reference::known);
    let roles = known.into_iter().flatten();
    let by_name: BTreeMap<&str, &InfrastructureRole> = roles
        .filter(|role| users::is_valid_name(&role.name) && !is_reserved(context, &role.name))
        .map(|role| (role.name.as_str(), role))
        .collect();
    by_name.into_values().collect()
}

/// Whether they are pointed to and could not be read.
pub(super) fn infrastructure_is_unknown(context: &Context<'_>) -> bool {
    matches!(context.references.infrastructure_roles, Some(Reference::Unknown(_)))
}

/// The role that a role's Secret names: the dated one, if the original rotated its password.
pub(super) fn current_name(context: &Context<'_>, role: &str) -> String {
    let secret = names::credential_secret(role, context.name(), context.settings);
    let found = context.facts.secrets.get(&secret);
    found.filter(|name| is_dated(name, role)).cloned().unwrap_or_else(|| role.to_owned())
}

fn is_dated(name: &str, role: &str) -> bool {
    let date = name.strip_prefix(role);
    date.is_some_and(|date| date.len() == DATE_DIGITS && date.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_reserved(context: &Context<'_>, name: &str) -> bool {
    context.cluster.reserved_names(context.settings).contains(name)
}

fn reference_notices(context: &Context<'_>) -> Vec<Problem> {
    let references = context.references;
    let infrastructure = references.infrastructure_roles.as_ref().map(|found| match found {
        Reference::Known(_) => None,
        Reference::Missing => Some("names Secrets that do not exist".to_owned()),
        Reference::Unknown(why) => Some(format!("names Secrets that could not be read: {why}")),
    });
    let humans = references.humans.as_ref().map(|found| match found {
        Reference::Known(_) => None,
        Reference::Missing => Some("gives no answer: what it asks does not exist".to_owned()),
        Reference::Unknown(why) => Some(format!("gives no answer: {why}")),
    });
    let mut notices = Vec::new();
    if let Some(message) = infrastructure.flatten() {
        notices.push(Problem::new(
            "infrastructure_roles_secrets",
            format!("{message}; roles that exist stay as they are"),
            "correct the setting of the operator, or make the Secrets",
        ));
    }
    if let Some(message) = humans.flatten() {
        notices.push(Problem::new(
            "enable_teams_api",
            format!("{message}; roles of people that exist stay as they are"),
            "correct teams_api_url and oauth_token_secret_name, or set enable_teams_api to false",
        ));
    }
    notices
}

/// Users as they are collected, one origin after the other.
struct Collection<'a> {
    context: &'a Context<'a>,
    users: Vec<User>,
    notices: Vec<Problem>,
}

impl Collection<'_> {
    /// Adds a user, or replaces one of the same name and of no higher origin.
    fn add(&mut self, user: User) {
        match self.users.iter_mut().find(|known| known.role.name == user.role.name) {
            None => self.users.push(user),
            Some(known) if known.origin <= user.origin => *known = user,
            Some(known) => self.notices.push(Problem::new(
                format!("role {}", user.role.name),
                format!(
                    "is defined by {} and by {}, which goes first",
                    user.origin.word(),
                    known.origin.word()
                ),
                "rename one of the two",
            )),
        }
    }

    fn reserved(&mut self, field: String) {
        self.notices.push(Problem::new(
            field,
            "is a reserved name and has no effect",
            "remove it or choose another name",
        ));
    }

    fn system(&mut self) {
        let settings = self.context.settings;
        for name in [&settings.super_username, &settings.replication_username] {
            // Patroni makes both when a cluster begins. One that was stopped in that moment never has them
            // made again, and without REPLICATION no replica can start.
            let replication = *name == settings.replication_username;
            let flags = RoleFlags { replication, ..RoleFlags::default() };
            self.add(self.login(Origin::System, name, flags));
        }
        if let Some(name) = pooler::user(self.context) {
            self.add(self.login(Origin::Pooler, &name, RoleFlags::default()));
        }
        if self.context.cluster.has_streams() {
            let flags = RoleFlags { replication: true, ..RoleFlags::default() };
            self.add(self.login(Origin::Streams, STREAM_USER, flags));
        }
    }

    fn infrastructure(&mut self) {
        let context = self.context;
        let known = context.references.infrastructure_roles.as_ref().and_then(Reference::known);
        for role in known.into_iter().flatten() {
            let field = format!("infrastructure role {}", role.name);
            if is_reserved(context, &role.name) {
                self.reserved(field);
            } else if !users::is_valid_name(&role.name) {
                self.notices.push(Problem::new(
                    field,
                    "is not a valid name of a user, so it is not made",
                    "rename it in its Secret: lower-case letters, digits, dashes and underscores",
                ));
            }
        }
        for role in infrastructure(context) {
            let mut user = self.login(Origin::Infrastructure, &role.name, role.flags);
            user.role.member_of = role.member_of.iter().filter(|name| !name.is_empty()).cloned().collect();
            user.role.parameters = role.parameters.clone();
            match &role.password {
                Some(place) => user.password = PasswordSource::Copy(place.clone()),
                None => user.role.secret = None,
            }
            self.add(user);
        }
    }

    fn prepared(&mut self) {
        let context = self.context;
        for role in prepared::roles(context) {
            let mut user = self.login(Origin::Prepared, &role.name, role.flags());
            user.role.member_of = role.member_of.iter().cloned().collect();
            user.role.admin = Some(role.admin.clone());
            user.role.parameters = [("search_path".to_owned(), role.search_path.clone())].into();
            if role.is_owner {
                user.role.member_of.extend(context.settings.additional_owner_roles.iter().cloned());
            }
            if !role.login {
                user.role.secret = None;
            }
            user.namespace = role.namespace.clone();
            self.add(user);
        }
        self.notices.extend(prepared::notices(context));
    }

    fn manifest(&mut self) {
        let (context, settings) = (self.context, self.context.settings);
        for (name, flags) in &context.cluster.users {
            let mut user = self.login(Origin::Manifest, name, *flags);
            let owns = context.cluster.spec.databases.iter().flatten().any(|(_, owner)| owner == name);
            if owns {
                user.role.member_of = settings.additional_owner_roles.clone();
            }
            if settings.enable_admin_role_for_users && !settings.team_admin_role.is_empty() {
                user.role.admin = Some(settings.team_admin_role.clone());
            }
            user.namespace = foreign_namespace(context, name);
            self.add(user);
        }
    }

    fn humans(&mut self) {
        let (context, settings) = (self.context, self.context.settings);
        for human in context.references.humans.as_ref().and_then(Reference::known).into_iter().flatten() {
            if is_reserved(context, &human.name) {
                self.reserved(format!("team member {}", human.name));
                continue;
            }
            let flags = RoleFlags { superuser: human.superuser, ..RoleFlags::default() };
            let mut user = self.login(Origin::Team, &human.name, flags);
            let mut groups = vec![settings.pam_role_name.clone()];
            if !human.superuser {
                groups.push(settings.team_admin_role.clone());
            }
            groups.retain(|group| !group.is_empty());
            user.role.member_of = groups;
            user.role.parameters = settings.team_api_role_configuration.clone();
            // People log in with tokens.
            user.role.secret = None;
            self.add(user);
        }
    }

    /// A role with a Secret whose password is generated.
    fn login(&self, origin: Origin, name: &str, flags: RoleFlags) -> User {
        User {
            origin,
            role: Role {
                name: name.to_owned(),
                flags,
                secret: Some(names::credential_secret(name, self.context.name(), self.context.settings)),
                ..Role::default()
            },
            namespace: None,
            password: PasswordSource::Generate,
        }
    }

    /// Those of `databases`, then prepared ones that are not among them. A database whose owner
    /// nobody defines is passed over with a notice.
    fn databases(&mut self) -> Vec<Database> {
        let context = self.context;
        let mut prepared: BTreeMap<String, Database> = prepared::databases(context)
            .into_iter()
            .map(|database| (database.name.clone(), database))
            .collect();
        let mut all = Vec::new();
        for (name, owner) in context.cluster.spec.databases.iter().flatten() {
            let known = self.users.iter().any(|user| user.role.name == *owner && user.origin.may_own());
            if !is_database_name(name) {
                continue;
            }
            if !known {
                let field = format!("spec.databases.{name}");
                if context.cluster.notices.iter().any(|notice| notice.field == field) {
                    continue;
                }
                self.notices.push(Problem::new(
                    field,
                    format!("has the owner {owner:?}, whom nothing defines, so it is not made"),
                    format!("add {owner} to spec.users, or name another owner"),
                ));
                continue;
            }
            let contents = prepared.remove(name).unwrap_or_default();
            all.push(Database { name: name.clone(), owner: owner.clone(), keeps_owner: false, ..contents });
        }
        all.extend(prepared.into_values());
        all
    }
}

impl Origin {
    fn word(self) -> &'static str {
        match self {
            Self::Manifest => "spec.users",
            Self::Infrastructure => "an infrastructure role",
            Self::Team => "a team",
            Self::System => "the operator's own roles",
            Self::Prepared => "spec.preparedDatabases",
            Self::Pooler => "the pooler",
            Self::Streams => "spec.streams",
        }
    }

    fn may_own(self) -> bool {
        matches!(self, Self::Manifest | Self::Infrastructure | Self::Team | Self::Prepared)
    }
}

/// The user's role; with a rotated password the dated role too, which has the password then.
fn roles(context: &Context<'_>, user: &User) -> Vec<Role> {
    let current = current_name(context, &user.role.name);
    if user.role.secret.is_none() || current == user.role.name {
        return vec![user.role.clone()];
    }
    let dated = Role {
        name: current,
        flags: RoleFlags { login: true, ..RoleFlags::default() },
        member_of: vec![user.role.name.clone()],
        parameters: user.role.parameters.clone(),
        admin: None,
        secret: user.role.secret.clone(),
    };
    vec![Role { secret: None, ..user.role.clone() }, dated]
}

fn secret(context: &Context<'_>, user: &User) -> Option<CredentialSecret> {
    let name = user.role.secret.clone()?;
    let role = &user.role.name;
    // What looks for pooler objects by their labels finds the Secret of the pooler, too.
    let labels = match role.as_str() {
        "pooler" => pooler::labels(context, names::PRIMARY, false),
        _ => context.labels(),
    };
    let mut metadata = context.metadata(&name, labels, context.inherited(BTreeMap::new()));
    if let Some(namespace) = &user.namespace {
        metadata["namespace"] = json!(namespace);
        if let Some(metadata) = metadata.as_object_mut() {
            // An owner in another namespace would get the Secret collected as garbage.
            metadata.remove("ownerReferences");
        }
    }
    Some(CredentialSecret {
        object: context.object("v1", "Secret", metadata, json!({"type": "Opaque"})),
        username: current_name(context, role),
        role: role.clone(),
        password: user.password.clone(),
    })
}

/// With `enable_cross_namespace_secret`, what stands before the first dot of a user's name.
fn foreign_namespace(context: &Context<'_>, role: &str) -> Option<String> {
    if !context.settings.enable_cross_namespace_secret {
        return None;
    }
    role.split_once('.').map(|(namespace, _)| namespace.to_owned()).filter(|n| n != context.namespace())
}
