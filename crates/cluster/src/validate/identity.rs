//! Name, team and version of a cluster.

use matriarch_api::{Problem, rules};
use matriarch_settings::Settings;

use super::Cluster;
use crate::names;

/// Start of the message about a name that does not have the form TEAM-NAME.
pub(super) const TEAM_RULE: &str = "breaks the rule TEAM-NAME";

/// Longest value of a label.
const LONGEST_LABEL_VALUE: usize = 63;
/// Longest name of which the replicas' Service can be made.
const LONGEST_WITH_REPLICA_SERVICE: usize = 58;

/// Whether a Service can have this name.
pub(crate) fn is_service_name(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.iter().copied().all(inside)
        && bytes.last().is_some_and(|last| *last != b'-')
}

/// How a name does not have the form TEAM-NAME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TeamFault {
    TooShort,
    NoTeam,
    OtherTeam,
    TooLong,
    NoServiceName,
}

/// What follows the team and a dash in a cluster's name. The team is compared ignoring case.
pub(crate) fn without_team<'a>(name: &'a str, team: &str) -> Result<&'a str, TeamFault> {
    if name.len() < team.len() + 2 {
        return Err(TeamFault::TooShort);
    }
    if team.is_empty() {
        return Err(TeamFault::NoTeam);
    }
    let (Some(start), Some(rest)) = (name.get(..=team.len()), name.get(team.len() + 1..)) else {
        return Err(TeamFault::OtherTeam);
    };
    if start.to_lowercase() != format!("{}-", team.to_lowercase()) {
        return Err(TeamFault::OtherTeam);
    }
    if name.len() > LONGEST_WITH_REPLICA_SERVICE {
        return Err(TeamFault::TooLong);
    }
    if is_service_name(name) { Ok(rest) } else { Err(TeamFault::NoServiceName) }
}

pub(super) fn name(cluster: &Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    let (name, team) = (&cluster.identity.name, &cluster.identity.team);
    let length = name.len();
    if length > names::LONGEST_CLUSTER_NAME {
        problems.push(Problem::new(
            "metadata.name",
            format!("has {length} characters; its pods' labels add eleven, and Kubernetes allows 63"),
            format!("create the cluster under a name of at most {} characters", names::LONGEST_CLUSTER_NAME),
        ));
    }
    if !is_service_name(name) {
        problems.push(Problem::new(
            "metadata.name",
            format!("{name:?} cannot be the name of a Service"),
            "use lower-case letters, digits and dashes, with a letter first and no dash last",
        ));
    }
    if !settings.enable_team_id_clustername_prefix {
        return;
    }
    if let Err(fault) = without_team(name, team) {
        let what = match fault {
            TeamFault::TooShort => format!("it is too short to start with the team {team:?} and a dash"),
            TeamFault::NoTeam => "there is no team".to_owned(),
            TeamFault::OtherTeam => format!("it does not start with the team {team:?} and a dash"),
            TeamFault::TooLong => "its replicas' Service would have more than 63 characters".to_owned(),
            TeamFault::NoServiceName => "it cannot be the name of a Service".to_owned(),
        };
        problems.push(Problem::new(
            "metadata.name",
            format!("{TEAM_RULE}: {what}"),
            format!("create the cluster as {}-NAME, or correct spec.teamId", team.to_lowercase()),
        ));
    }
}

/// The team is the value of a label.
pub(super) fn team(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let team = &cluster.spec.team_id;
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let ends = [team.bytes().next(), team.bytes().next_back()];
    let valid = team.bytes().all(inside) && ends.iter().flatten().all(u8::is_ascii_alphanumeric);
    if !valid || team.len() > LONGEST_LABEL_VALUE {
        problems.push(Problem::new(
            "spec.teamId",
            format!("{team:?} cannot be the value of a label"),
            "use letters, digits, dashes, dots and underscores, at most 63, a letter or digit first and last",
        ));
    }
}

pub(super) fn version(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let version = cluster.spec.postgresql.version.as_str();
    if !rules::MAJOR_VERSIONS.contains(&version) && !super::has(problems, "spec.postgresql") {
        problems.push(Problem::new(
            "spec.postgresql.version",
            format!("is {version:?}, which is not known"),
            format!("use one of {}", rules::MAJOR_VERSIONS.join(", ")),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_01_3_2_names_and_teams() {
        use TeamFault::{NoServiceName, NoTeam, OtherTeam, TooLong, TooShort};
        let long = "fooobar-fooobarfooobarfooobarfooobarfooobarfooobarfooobarfooobar";
        for (name, team, expected) in [
            ("acid-test", "acid", Ok("test")),
            ("test-my-name", "test", Ok("my-name")),
            ("my-team-another-test", "my-team", Ok("another-test")),
            ("acid-test", "ACID", Ok("test")),
            ("------strange-team-cluster", "-----", Err(NoServiceName)),
            (long, "fooobar", Err(TooLong)),
            ("acid-test", "test", Err(OtherTeam)),
            ("-test", "", Err(NoTeam)),
            ("-test", "-", Err(OtherTeam)),
            ("", "-", Err(TooShort)),
            ("-", "-", Err(TooShort)),
            ("foo-bar", "qwerty", Err(TooShort)),
            ("äcid-test", "acid", Err(OtherTeam)),
            ("aäid-test", "a", Err(OtherTeam)),
        ] {
            assert_eq!(without_team(name, team), expected, "{name:?} {team:?}");
        }
    }
}
