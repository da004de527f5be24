//! The last look before a pod is deleted: a plan rests on what was seen, and a cache may lag. Whoever
//! deletes a pod reads the others once more from the API server itself; if one of them is worse off
//! than the plan knew, the pod stays and the next pass looks again.

use crate::observation::PodSeen;

/// What has become worse among the other members since the plan was made; nothing if the pod of this
/// name may go. What has become better is no reason to keep it.
pub fn contradiction(name: &str, planned: &[PodSeen], now: &[PodSeen]) -> Option<String> {
    planned.iter().filter(|pod| pod.name != name).find_map(|before| {
        let other = &before.name;
        let Some(after) = now.iter().find(|pod| pod.name == *other) else {
            return Some(format!("{other} is gone"));
        };
        let restarts = |pod: &PodSeen| pod.restarted.as_ref().map_or(0, |end| end.times);
        if after.uid != before.uid {
            Some(format!("{other} is another pod now"))
        } else if after.deleting && !before.deleting {
            Some(format!("{other} is terminating"))
        } else if before.ready && !after.ready {
            Some(format!("{other} is not ready any more"))
        } else if restarts(after) > restarts(before) {
            Some(format!("a container of {other} was started again"))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::ContainerEnd;

    fn pod(ordinal: u32) -> PodSeen {
        let name = format!("acid-a-{ordinal}");
        PodSeen { uid: format!("uid-{ordinal}"), name, ordinal, ready: true, ..PodSeen::default() }
    }

    /// What the API server says of the other pod, and whether that keeps the first one.
    #[test]
    fn only_a_member_that_is_worse_off_keeps_the_pod() {
        let ended = ContainerEnd { times: 1, ..ContainerEnd::default() };
        let cases: [(&str, Option<PodSeen>, Option<&str>); 8] = [
            ("the same", Some(pod(1)), None),
            ("labelled anew", Some(PodSeen { role_label: Some("replica".into()), ..pod(1) }), None),
            ("older", Some(PodSeen { age_seconds: 9, ..pod(1) }), None),
            ("gone", None, Some("acid-a-1 is gone")),
            ("another", Some(PodSeen { uid: "new".into(), ..pod(1) }), Some("acid-a-1 is another pod now")),
            ("ends", Some(PodSeen { deleting: true, ..pod(1) }), Some("acid-a-1 is terminating")),
            ("unready", Some(PodSeen { ready: false, ..pod(1) }), Some("acid-a-1 is not ready any more")),
            (
                "crashed",
                Some(PodSeen { restarted: Some(ended), ..pod(1) }),
                Some("a container of acid-a-1 was started again"),
            ),
        ];
        let planned = [pod(0), pod(1)];
        for (case, other, expected) in cases {
            let now: Vec<PodSeen> = [Some(pod(0)), other].into_iter().flatten().collect();
            assert_eq!(contradiction("acid-a-0", &planned, &now).as_deref(), expected, "{case}");
        }
    }

    #[test]
    fn the_pod_itself_and_what_became_better_are_no_reason() {
        let planned = [pod(0), PodSeen { ready: false, ..pod(1) }];
        let now = [PodSeen { ready: false, ..pod(0) }, pod(1), pod(2)];
        assert_eq!(contradiction("acid-a-0", &planned, &now), None);
    }
}
