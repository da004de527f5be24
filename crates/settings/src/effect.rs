//! What a changed option touches on clusters that run (02 §1.2).

use std::fmt;

/// One thing that a changed option touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing at all.
    Nothing,
    /// How the operator works.
    Operator,
    /// Database pods, which are replaced one after the other.
    Pods,
    /// The StatefulSet; its pods keep running.
    Template,
    /// Other objects: Services, budgets, CronJobs, poolers, Secrets, the service account.
    Objects,
    /// Roles and databases.
    Sql,
    /// Patroni's dynamic configuration.
    Patroni,
    /// Only objects that are made after the change.
    NewOnly,
    /// Objects that exist are no longer found: not to be changed while clusters run.
    Breaks,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Operator => "the operator only",
            Self::Pods => "pods roll",
            Self::Template => "StatefulSet, pods keep running",
            Self::Objects => "other objects",
            Self::Sql => "roles and databases",
            Self::Patroni => "Patroni's configuration",
            Self::NewOnly => "new objects only",
            Self::Breaks => "breaks running clusters",
        })
    }
}

/// The effects in a line.
pub(crate) fn line(effects: &[Effect]) -> String {
    effects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
