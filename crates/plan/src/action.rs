//! The closed list of effects, and the steps that carry them.

use std::fmt;

use matriarch_cluster::{CredentialSecret, Object, PasswordSource, Pooler};
use matriarch_sql::Statement;
use serde::Serialize;
use serde_json::Value;

use crate::consequence::Consequence;
use crate::observation::ObjectKey;
use crate::trial::Trial;

/// Why: names the field or fact. The same text appears in the plan, the event, the
/// condition and the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason(pub String);

impl Reason {
    /// A reason from any text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// An annotation gets this value; with null it goes.
    pub fn annotation(name: &str, value: &Value) -> Self {
        match value {
            Value::Null => Self(format!("metadata.annotations.{name} is no longer wanted")),
            value => Self(format!("metadata.annotations.{name} → {value}")),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lanes run in this order; a failure stops its own lane only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Lane {
    /// Kubernetes objects.
    Objects,
    /// Patroni's dynamic configuration.
    Config,
    /// Pods: rolling updates, switchovers, restarts.
    Pods,
    /// Roles and databases.
    Sql,
    /// Removal of a deleted cluster.
    Cleanup,
}

impl Lane {
    /// The word printed in front of a step.
    pub fn word(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Config => "config",
            Self::Pods => "pods",
            Self::Sql => "sql",
            Self::Cleanup => "cleanup",
        }
    }
}

/// What a step may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Risk {
    /// Nobody notices.
    Safe,
    /// Connections break, or one member is gone for a while.
    Disruptive,
    /// Something is removed for good.
    Destructive,
}

/// Where an object is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectPlace {
    /// Kind: `Service`.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectPlace {
    /// The place of a rendered object.
    pub fn of(object: &Object) -> Self {
        Self { kind: object.kind.clone(), namespace: object.namespace.clone(), name: object.name.clone() }
    }
}

/// One effect on the world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Action {
    /// Put our finalizer into the manifest.
    AddFinalizer,
    /// Take our finalizer out of the manifest: the deletion is complete.
    RemoveFinalizer,
    /// Server-side apply, creating or correcting the object.
    Apply {
        /// The whole object.
        object: Object,
        /// It does not exist yet.
        creates: bool,
        /// Top-level lists of `spec` that are set as a whole first: a server-side apply
        /// merges such a list by key and would keep items that others put there.
        whole_lists: Vec<String>,
    },
    /// Make fields of the object ours that an earlier operator wrote, so that leaving one out
    /// removes it. Changes nothing else of the object.
    AdoptFields {
        /// Which object.
        object: ObjectPlace,
        /// Its resourceVersion as it was seen: the precondition.
        resource_version: String,
        /// Whose fields they were.
        managers: Vec<String>,
        /// The `managedFields` that it gets.
        managed_fields: Value,
    },
    /// Delete the StatefulSet without its pods; the next pass makes the new one, which takes the
    /// pods over. The new one is tried first without being kept.
    ReplaceStatefulSet {
        /// The new one.
        object: Object,
        /// Precondition.
        uid: String,
    },
    /// Delete an object whose immutable fields differ; the next pass makes it anew.
    Replace {
        /// Which.
        object: ObjectPlace,
        /// Precondition.
        uid: String,
    },
    /// Merge into the metadata of an object that somebody else writes too.
    PatchMetadata {
        /// Which object.
        object: ObjectPlace,
        /// Precondition.
        uid: String,
        /// What is merged into `metadata`.
        metadata: Value,
    },
    /// Remove the empty key `initialize` from Patroni's object, so that a member begins to make the first
    /// database.
    FreeInitializeKey {
        /// Patroni's ConfigMap or Endpoints.
        object: ObjectPlace,
        /// Precondition.
        uid: String,
        /// Precondition: Patroni has not written since.
        resource_version: String,
    },
    /// Create it unless it exists; an existing one is left alone.
    CreateOnce(Object),
    /// Write a pooler's user list; `act` reads the passwords.
    WriteUserList {
        /// The pooler whose `user_list` it is.
        pooler: Box<Pooler>,
        /// It does not exist yet.
        creates: bool,
    },
    /// Copy the password into a credentials Secret from where it comes.
    CopyPassword(CredentialSecret),
    /// Create a credentials Secret; `act` generates the password.
    CreateSecret(CredentialSecret),
    /// Delete an object, if it is still the one that was seen.
    Delete {
        /// Which.
        key: ObjectKey,
        /// Precondition.
        uid: String,
    },
    /// Delete a pod so that its StatefulSet makes a new one.
    DeletePod {
        /// Pod name.
        name: String,
        /// Precondition.
        uid: String,
        /// What must be accepted before, without being kept: the template's first pod.
        trial: Option<Box<Trial>>,
    },
    /// Let Patroni copy the data of a member anew from the leader.
    Reinitialize {
        /// Member name.
        name: String,
    },
    /// Delete the volume claim of a member that is no use, so that its next pod gets a new one.
    DeleteClaim {
        /// Which claim.
        name: String,
        /// Precondition.
        uid: String,
    },
    /// Hand the primary role over.
    Switchover {
        /// The primary of now.
        from: String,
        /// The healthiest replica.
        to: String,
    },
    /// Merge into Patroni's dynamic configuration.
    PatchPatroniConfig(Value),
    /// Restart PostgreSQL in a member, if a restart is still pending there.
    RestartMember {
        /// Member name.
        name: String,
    },
    /// Run a statement on the primary.
    Sql(Statement),
}

impl Action {
    /// What it may cost: that of its lane.
    pub fn risk(&self) -> Risk {
        match self.lane() {
            Lane::Objects | Lane::Config | Lane::Sql => Risk::Safe,
            Lane::Pods => Risk::Disruptive,
            Lane::Cleanup => Risk::Destructive,
        }
    }

    /// The lane it runs in.
    pub fn lane(&self) -> Lane {
        match self {
            Self::AddFinalizer
            | Self::Apply { .. }
            | Self::AdoptFields { .. }
            | Self::ReplaceStatefulSet { .. }
            | Self::Replace { .. }
            | Self::PatchMetadata { .. }
            | Self::FreeInitializeKey { .. }
            | Self::CreateOnce(_)
            | Self::CreateSecret(_)
            | Self::WriteUserList { .. }
            | Self::CopyPassword(_) => Lane::Objects,
            Self::PatchPatroniConfig(_) => Lane::Config,
            Self::DeletePod { .. }
            | Self::Switchover { .. }
            | Self::RestartMember { .. }
            | Self::Reinitialize { .. }
            | Self::DeleteClaim { .. } => Lane::Pods,
            Self::Sql(_) => Lane::Sql,
            Self::Delete { .. } | Self::RemoveFinalizer => Lane::Cleanup,
        }
    }

    /// `+` creates, `~` changes, `-` removes, `!` disrupts.
    pub fn mark(&self) -> char {
        match self {
            Self::Apply { creates: true, .. }
            | Self::WriteUserList { creates: true, .. }
            | Self::CreateOnce(_)
            | Self::CreateSecret(_) => '+',
            Self::Sql(
                Statement::CreateRole { .. }
                | Statement::CreateDatabase { .. }
                | Statement::CreateSchema { .. }
                | Statement::CreateExtension { .. },
            ) => '+',
            Self::AddFinalizer
            | Self::Apply { .. }
            | Self::AdoptFields { .. }
            | Self::ReplaceStatefulSet { .. }
            | Self::Replace { .. }
            | Self::PatchMetadata { .. }
            | Self::FreeInitializeKey { .. }
            | Self::WriteUserList { .. }
            | Self::CopyPassword(_)
            | Self::PatchPatroniConfig(_)
            | Self::Sql(_) => '~',
            Self::DeletePod { .. }
            | Self::Switchover { .. }
            | Self::RestartMember { .. }
            | Self::Reinitialize { .. }
            | Self::DeleteClaim { .. } => '!',
            Self::Delete { .. } | Self::RemoveFinalizer => '-',
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddFinalizer => f.write_str("add the finalizer to the manifest"),
            Self::RemoveFinalizer => f.write_str("remove the finalizer from the manifest"),
            Self::Apply { object, creates, .. } => {
                let verb = if *creates { "create" } else { "update" };
                write!(f, "{verb} {} {}", object.kind, object.name)
            }
            Self::AdoptFields { object, .. } => {
                write!(f, "adopt the fields of {} {}", object.kind, object.name)
            }
            Self::ReplaceStatefulSet { object, .. } => {
                write!(f, "replace StatefulSet {}, keeping its pods", object.name)
            }
            Self::Replace { object, .. } => write!(f, "replace {} {}", object.kind, object.name),
            Self::PatchMetadata { object, .. } => {
                write!(f, "patch the metadata of {} {}", object.kind, object.name)
            }
            Self::FreeInitializeKey { object, .. } => {
                write!(f, "remove the empty key initialize from {} {}", object.kind, object.name)
            }
            Self::WriteUserList { pooler, creates } => {
                let verb = if *creates { "create" } else { "update" };
                write!(f, "{verb} Secret {} (the pooler's user list)", pooler.user_list.name)
            }
            Self::CopyPassword(secret) => {
                write!(f, "copy the password of role {} into Secret {}", secret.username, secret.object.name)
            }
            Self::CreateOnce(object) => write!(f, "create {} {}", object.kind, object.name),
            Self::CreateSecret(secret) => {
                let source = match &secret.password {
                    PasswordSource::Generate => "generate".to_owned(),
                    PasswordSource::Copy(from) => {
                        format!("copy from Secret {}/{}", from.namespace, from.name)
                    }
                };
                let (name, role) = (&secret.object.name, &secret.username);
                write!(f, "create Secret {name} for role {role} (password: {source})")
            }
            Self::Delete { key, .. } => write!(f, "delete {} {}", key.kind, key.name),
            Self::DeletePod { name, .. } => write!(f, "recreate pod {name}"),
            Self::Switchover { from, to } => write!(f, "switch over from {from} to {to}"),
            Self::PatchPatroniConfig(patch) => write!(f, "patch Patroni's configuration: {patch}"),
            Self::Reinitialize { name } => write!(f, "copy the data of {name} anew"),
            Self::DeleteClaim { name, .. } => write!(f, "make the volume of claim {name} anew"),
            Self::RestartMember { name } => write!(f, "restart PostgreSQL in {name}"),
            Self::Sql(statement) => write!(f, "{statement}"),
        }
    }
}

/// An action with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Why; never empty.
    pub because: Vec<Reason>,
    /// What follows from it beyond the step itself: a changed template recreates pods later.
    pub consequence: Consequence,
}

impl Step {
    /// A step with one reason.
    pub fn new(action: Action, because: impl Into<String>) -> Self {
        Self::because(action, vec![Reason::new(because)])
    }

    /// A step with its reasons.
    pub fn because(action: Action, because: Vec<Reason>) -> Self {
        let consequence = match &action {
            Action::DeletePod { .. } | Action::DeleteClaim { .. } => Consequence::Recreate,
            Action::RestartMember { .. } | Action::Switchover { .. } => Consequence::Restart,
            Action::ReplaceStatefulSet { .. } | Action::Replace { .. } => Consequence::Replace,
            _ => Consequence::None,
        };
        Self { action, because, consequence }
    }

    /// The step with what its differences cost, if that is more.
    pub fn costing(mut self, consequence: Consequence) -> Self {
        self.consequence = self.consequence.max(consequence);
        self
    }

    /// The reasons as one line.
    pub fn reasons(&self) -> String {
        self.because.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}
