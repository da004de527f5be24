//! What is done to a cluster, and what must be true of it afterwards, wherever the operator was
//! killed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// A manifest is created.
    Create,
    /// One more member, and back.
    Scale,
    /// New resources: every pod is made anew.
    Roll,
    /// The member that leads is the one that a smaller number takes away.
    Switchover,
    /// The manifest is deleted.
    Delete,
}

impl Flow {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Create, Self::Scale, Self::Roll, Self::Switchover, Self::Delete];

    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Scale => "scale",
            Self::Roll => "roll",
            Self::Switchover => "switchover",
            Self::Delete => "delete",
        }
    }

    /// The flow of a word.
    ///
    /// # Errors
    /// With all words.
    pub fn parse(word: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word).join(", ");
        Self::ALL.into_iter().find(|flow| flow.word() == word).ok_or_else(|| format!("one of {words}"))
    }

    /// Whether a cluster is there before it.
    pub fn begins_with_a_cluster(self) -> bool {
        self != Self::Create
    }

    /// The number of members that is wanted in turn `turn` of the same cluster.
    pub fn members(self, turn: usize) -> u32 {
        match self {
            Self::Scale => [3, 2][turn % 2],
            Self::Switchover => [2, 3][turn % 2],
            _ => 2,
        }
    }

    /// Members that the cluster begins with.
    pub fn members_before(self) -> u32 {
        match self {
            Self::Switchover => 3,
            _ => 2,
        }
    }

    /// The change of the manifest in turn `turn`; `runs` is different each time.
    pub fn change(self, turn: usize, runs: usize) -> Value {
        match self {
            Self::Create | Self::Delete => Value::Null,
            Self::Scale | Self::Switchover => json!({"spec": {"numberOfInstances": self.members(turn)}}),
            Self::Roll => {
                let cpu = ["200m", "300m"][runs % 2];
                json!({"spec": {"resources": {"requests": {"cpu": cpu}}}})
            }
        }
    }

    /// How many changes lead back to the beginning.
    pub fn turns(self) -> usize {
        match self {
            Self::Create | Self::Roll | Self::Delete => 1,
            Self::Scale | Self::Switchover => 2,
        }
    }

    /// How many play it beside each other: a rollout waits long for each pod.
    pub fn lanes(self) -> usize {
        if self == Self::Roll { 2 } else { 1 }
    }

    /// Turns whose runs are about what the flow is about; the others lead back.
    pub fn is_measured(self, turn: usize) -> bool {
        self != Self::Switchover || turn.is_multiple_of(2)
    }
}

/// Pods and leader of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives {
    /// Uids of each pod's name, in the order in which they were seen.
    pub pods: BTreeMap<String, Vec<String>>,
    /// Changes of the leader.
    pub transitions: u64,
}

/// What is wrong with the pods after a flow; nothing is good.
pub fn needless(flow: Flow, before: &Lives, after: &Lives, members: u32, turn: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let changes = after.transitions.saturating_sub(before.transitions);
    let leaders = match flow {
        Flow::Create => 1..=1,
        Flow::Scale | Flow::Delete => 0..=0,
        // One switchover and no more, and never a failover beside it.
        Flow::Roll => 1..=1,
        Flow::Switchover if flow.is_measured(turn) => 1..=1,
        Flow::Switchover => 0..=0,
    };
    // When all pods of a deleted cluster go, the lock may move once more.
    if flow != Flow::Delete && !leaders.contains(&changes) {
        wrong.push(format!("the leader changed {changes} times instead of {}", leaders.end()));
    }
    let names: BTreeSet<&String> = before.pods.keys().chain(after.pods.keys()).collect();
    for name in names {
        let count = |lives: &Lives| lives.pods.get(name).map_or(0, Vec::len);
        let ordinal: u32 = name.rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or(u32::MAX);
        let made = count(after).saturating_sub(count(before));
        let expected = match flow {
            Flow::Create => 1,
            Flow::Roll => usize::from(ordinal < members),
            Flow::Delete => 0,
            // The highest ordinal comes in the turn that adds it.
            Flow::Scale | Flow::Switchover => usize::from(members == 3 && ordinal == 2),
        };
        if made != expected {
            wrong.push(format!("{name} was made {made} times instead of {expected}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(pods: &[(&str, usize)], transitions: u64) -> Lives {
        let uids = |count| (0..count).map(|uid: usize| uid.to_string()).collect();
        Lives {
            pods: pods.iter().map(|(name, count)| ((*name).to_owned(), uids(*count))).collect(),
            transitions,
        }
    }

    #[test]
    fn needless_restarts_are_found() {
        let two = lives(&[("c-0", 1), ("c-1", 1)], 1);
        assert!(needless(Flow::Create, &Lives::default(), &two, 2, 0).is_empty());
        let twice = lives(&[("c-0", 1), ("c-1", 2)], 1);
        assert_eq!(
            needless(Flow::Create, &Lives::default(), &twice, 2, 0),
            ["c-1 was made 2 times instead of 1"]
        );
        let three = lives(&[("c-0", 1), ("c-1", 1), ("c-2", 1)], 1);
        assert!(needless(Flow::Scale, &two, &three, 3, 0).is_empty());
        assert!(needless(Flow::Scale, &three, &three, 2, 1).is_empty());
        assert!(!needless(Flow::Roll, &two, &two, 2, 0).is_empty(), "nothing was rolled");
        let rolled = lives(&[("c-0", 2), ("c-1", 2)], 2);
        assert!(needless(Flow::Roll, &two, &rolled, 2, 0).is_empty());
        let moved = lives(&[("c-0", 1), ("c-1", 1), ("c-2", 1)], 3);
        assert_eq!(
            needless(Flow::Switchover, &three, &moved, 2, 0),
            ["the leader changed 2 times instead of 1"]
        );
    }

    #[test]
    fn words_are_read() {
        for flow in Flow::ALL {
            assert_eq!(Flow::parse(flow.word()), Ok(flow));
        }
        assert!(Flow::parse("x").is_err_and(|error| error.contains("switchover")));
    }
}
