//! What a manifest's annotations ask of the operator itself. They are ours, not the contract's, and
//! reach no object of the cluster unless the settings inherit them by name.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use serde::{Deserialize, Serialize};

/// `"true"`: plans are made and published, and nothing is done.
pub const PAUSED_ANNOTATION: &str = "acid.zalan.do/paused";
/// `"required"`, or the value that the operator asked for: the primary is touched by a rollout or a
/// restart only after somebody approved that one.
pub const APPROVAL_ANNOTATION: &str = "acid.zalan.do/approve-primary";
/// What may be done to a member that does not stream for long: see [`Healing`].
pub const HEALING_ANNOTATION: &str = "acid.zalan.do/self-healing";
/// `"allow"`: a drain may evict the only pod of a cluster of one instance.
pub const SINGLE_DRAIN_ANNOTATION: &str = "acid.zalan.do/single-instance-drain";

/// What may be done to a member that does not stream while a leader is healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Healing {
    /// It is said, and left.
    #[default]
    Off,
    /// Patroni copies its data anew.
    Reinitialize,
    /// And where that does not help, its volume is made anew.
    RecreateVolume,
}

/// The policy of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Nothing is done.
    pub paused: bool,
    /// `None`: the primary may be touched; otherwise the annotation's value, which approves the
    /// rollout that has this value and no other.
    pub approval: Option<String>,
    /// What may be done to a member that does not stream.
    pub healing: Healing,
    /// A drain may evict the only pod.
    pub single_instance_may_be_drained: bool,
}

impl Policy {
    /// The policy that these annotations of a manifest ask for, and what cannot be understood in
    /// them. A value that cannot be understood counts as the careful one.
    pub fn of(annotations: &BTreeMap<String, String>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut refuse = |key: &str, value: &str, counts_as: &str, known: &str| {
            problems.push(Problem::new(
                format!("metadata.annotations.{key}"),
                format!("has the value {value:?}, which counts as {counts_as}"),
                format!("write {known}, or remove the annotation"),
            ));
        };
        let value = |key: &str| annotations.get(key).map(String::as_str);
        let paused = match value(PAUSED_ANNOTATION) {
            Some("true") => true,
            None | Some("false") => false,
            Some(other) => {
                refuse(PAUSED_ANNOTATION, other, "\"true\"", "\"true\" or \"false\"");
                true
            }
        };
        let healing = match value(HEALING_ANNOTATION) {
            None | Some("off") => Healing::Off,
            Some("reinitialize") => Healing::Reinitialize,
            Some("recreate-volume") => Healing::RecreateVolume,
            Some(other) => {
                let known = "\"reinitialize\", \"recreate-volume\" or \"off\"";
                refuse(HEALING_ANNOTATION, other, "\"off\"", known);
                Healing::Off
            }
        };
        let single_instance_may_be_drained = match value(SINGLE_DRAIN_ANNOTATION) {
            None | Some("block") => false,
            Some("allow") => true,
            Some(other) => {
                refuse(SINGLE_DRAIN_ANNOTATION, other, "\"block\"", "\"allow\" or \"block\"");
                false
            }
        };
        let approval = value(APPROVAL_ANNOTATION).filter(|value| *value != "false").map(str::to_owned);
        (Self { paused, approval, healing, single_instance_may_be_drained }, problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_and_what_they_mean() {
        let table: [(&str, &str, Policy, usize); 12] = [
            ("other", "x", Policy::default(), 0),
            (PAUSED_ANNOTATION, "true", Policy { paused: true, ..Policy::default() }, 0),
            (PAUSED_ANNOTATION, "false", Policy::default(), 0),
            (PAUSED_ANNOTATION, "yes", Policy { paused: true, ..Policy::default() }, 1),
            (
                APPROVAL_ANNOTATION,
                "required",
                Policy { approval: Some("required".into()), ..Policy::default() },
                0,
            ),
            (
                APPROVAL_ANNOTATION,
                "acid-test-5",
                Policy { approval: Some("acid-test-5".into()), ..Policy::default() },
                0,
            ),
            (APPROVAL_ANNOTATION, "false", Policy::default(), 0),
            (
                HEALING_ANNOTATION,
                "reinitialize",
                Policy { healing: Healing::Reinitialize, ..Policy::default() },
                0,
            ),
            (
                HEALING_ANNOTATION,
                "recreate-volume",
                Policy { healing: Healing::RecreateVolume, ..Policy::default() },
                0,
            ),
            (HEALING_ANNOTATION, "reinitialise", Policy::default(), 1),
            (
                SINGLE_DRAIN_ANNOTATION,
                "allow",
                Policy { single_instance_may_be_drained: true, ..Policy::default() },
                0,
            ),
            (SINGLE_DRAIN_ANNOTATION, "maybe", Policy::default(), 1),
        ];
        for (key, value, expected, problems) in table {
            let annotations = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let (policy, found) = Policy::of(&annotations);
            assert_eq!((policy, found.len()), (expected, problems), "{key}: {value}");
        }
    }
}
