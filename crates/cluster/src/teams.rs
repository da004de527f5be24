//! Which people may log in to the clusters of a team: `PostgresTeam` objects merged into one map,
//! and the people that follow from it. Pure: members that a Teams API names are an argument.

use std::collections::{BTreeMap, BTreeSet};

use matriarch_api::PostgresTeamSpec;
use matriarch_settings::Settings;

use crate::references::Human;

/// What the `PostgresTeam` objects add to teams, all objects together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teams {
    superuser_teams: Lists,
    additional_teams: Lists,
    members: Lists,
}

type Lists = BTreeMap<String, BTreeSet<String>>;

impl Teams {
    /// Merges objects: lists of the same team are united, in whatever order the objects come.
    pub fn merge<'a>(objects: impl IntoIterator<Item = &'a PostgresTeamSpec>) -> Self {
        let mut teams = Self::default();
        for object in objects {
            add(&mut teams.superuser_teams, object.additional_superuser_teams.as_ref());
            add(&mut teams.additional_teams, object.additional_teams.as_ref());
            add(&mut teams.members, object.additional_members.as_ref());
        }
        teams
    }

    /// Every team that is named as a key.
    pub fn names(&self) -> BTreeSet<&str> {
        let lists = [&self.superuser_teams, &self.additional_teams, &self.members];
        lists.into_iter().flat_map(|lists| lists.keys().map(String::as_str)).collect()
    }

    /// Teams whose members are superusers in clusters of `team`, without following their own lists.
    pub fn superuser_teams(&self, team: &str) -> BTreeSet<String> {
        self.superuser_teams.get(team).cloned().unwrap_or_default()
    }

    /// The same, with the superuser teams of those teams, and so on. Never `team` itself.
    pub fn all_superuser_teams(&self, team: &str) -> BTreeSet<String> {
        reachable(&self.superuser_teams, team)
    }

    /// Teams whose members are ordinary members in clusters of `team`, without following their own
    /// lists.
    pub fn additional_teams(&self, team: &str) -> BTreeSet<String> {
        self.additional_teams.get(team).cloned().unwrap_or_default()
    }

    /// The same, with the additional teams of those teams, and so on. Never `team` itself.
    pub fn all_additional_teams(&self, team: &str) -> BTreeSet<String> {
        reachable(&self.additional_teams, team)
    }

    /// Further members of `team`.
    pub fn members(&self, team: &str) -> BTreeSet<String> {
        self.members.get(team).cloned().unwrap_or_default()
    }
}

fn add(into: &mut Lists, from: Option<&BTreeMap<String, Vec<String>>>) {
    for (team, list) in from.into_iter().flatten() {
        into.entry(team.clone()).or_default().extend(list.iter().cloned());
    }
}

/// Every team that can be reached from `start`, each once.
fn reachable(lists: &Lists, start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![start];
    while let Some(team) = open.pop() {
        for next in lists.get(team).into_iter().flatten() {
            if next != start && found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}

/// The teams whose members may log in to clusters of one team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Their members are superusers.
    pub superuser_teams: BTreeSet<String>,
    /// Their members are ordinary members; none of them is also a superuser team.
    pub ordinary_teams: BTreeSet<String>,
}

impl Access {
    /// The teams for clusters of `team`, as the settings allow. A Teams API has to be asked for
    /// the members of all of them.
    pub fn of(team: &str, teams: &Teams, settings: &Settings) -> Self {
        let honoured = settings.enable_postgres_team_crd;
        let mut access = Self::default();
        if honoured && settings.enable_postgres_team_crd_superusers {
            access.superuser_teams = teams.all_superuser_teams(team);
        }
        access.superuser_teams.extend(settings.postgres_superuser_teams.iter().cloned());
        if honoured {
            access.ordinary_teams = teams.all_additional_teams(team);
        }
        if !team.is_empty() {
            access.ordinary_teams.insert(team.to_owned());
        }
        access.ordinary_teams.retain(|other| !access.superuser_teams.contains(other));
        access
    }

    /// All teams.
    pub fn teams(&self) -> impl Iterator<Item = &str> {
        self.superuser_teams.iter().chain(&self.ordinary_teams).map(String::as_str)
    }
}

/// The people who may log in to clusters of `team`, by name. `from_api` holds the members that a
/// Teams API names, by team; it is empty with `enable_teams_api` off.
///
/// Who belongs to several teams is a superuser if one of them says so. Reserved names are still
/// among them: they are passed over where roles are made, as for users of every other origin.
pub fn humans(
    team: &str,
    teams: &Teams,
    from_api: &BTreeMap<String, Vec<String>>,
    settings: &Settings,
) -> Vec<Human> {
    let access = Access::of(team, teams, settings);
    let mut found: BTreeMap<String, bool> = BTreeMap::new();
    for member_team in access.teams() {
        let own = member_team == team && settings.enable_team_superuser;
        let superuser = own || access.superuser_teams.contains(member_team);
        let added =
            if settings.enable_postgres_team_crd { teams.members(member_team) } else { BTreeSet::new() };
        let named = from_api.get(member_team).into_iter().flatten().cloned();
        for name in added.into_iter().chain(named).filter(|name| !name.is_empty()) {
            *found.entry(name).or_default() |= superuser;
        }
    }
    found.into_iter().map(|(name, superuser)| Human { name, superuser }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(superusers: Value, teams: Value, members: Value) -> PostgresTeamSpec {
        serde_json::from_value(json!({
            "additionalSuperuserTeams": superusers, "additionalTeams": teams, "additionalMembers": members,
        }))
        .unwrap()
    }

    fn three_objects() -> Vec<PostgresTeamSpec> {
        vec![
            object(
                json!({"teamA": ["teamB", "team24x7"], "teamB": ["teamA", "teamC", "team24x7"]}),
                json!({"teamA": ["teamC"], "teamB": []}),
                json!({"team24x7": ["optimusprime"], "teamB": ["drno"]}),
            ),
            object(
                json!({"teamC": ["team24x7"]}),
                json!({"teamA": ["teamC"], "teamC": ["teamA", "teamB", "acid"]}),
                json!({"acid": ["batman"]}),
            ),
            object(
                json!({}),
                json!({"teamA": ["teamD"], "teamC": ["teamD"], "teamD": ["teamA", "teamB", "teamC"]}),
                json!({"acid": ["batman"]}),
            ),
        ]
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn vectors_01_4_3_merge() {
        let objects = three_objects();
        type List = &'static [&'static str];
        let expected: [(&str, List, List, List); 6] = [
            ("teamA", &["teamB", "team24x7"], &["teamC", "teamD"], &[]),
            ("teamB", &["teamA", "teamC", "team24x7"], &[], &["drno"]),
            ("teamC", &["team24x7"], &["teamA", "teamB", "teamD", "acid"], &[]),
            ("teamD", &[], &["teamA", "teamB", "teamC"], &[]),
            ("team24x7", &[], &[], &["optimusprime"]),
            ("acid", &[], &[], &["batman"]),
        ];
        // The order of the objects makes no difference.
        for teams in [Teams::merge(&objects), Teams::merge(objects.iter().rev())] {
            assert_eq!(teams.names().len(), expected.len());
            for (team, superusers, additional, members) in expected {
                assert_eq!(teams.superuser_teams(team), set(superusers), "{team}");
                assert_eq!(teams.additional_teams(team), set(additional), "{team}");
                assert_eq!(teams.members(team), set(members), "{team}");
            }
        }
    }

    #[test]
    fn vectors_01_4_4_transitive() {
        let teams = Teams::merge(&three_objects());
        let cases: [(&str, BTreeSet<String>, &[&str]); 6] = [
            ("teams(teamA)", teams.additional_teams("teamA"), &["teamC", "teamD"]),
            (
                "teams(teamA), transitive",
                teams.all_additional_teams("teamA"),
                &["teamC", "teamD", "teamB", "acid"],
            ),
            ("teams(teamB)", teams.additional_teams("teamB"), &[]),
            ("superuserTeams(teamA)", teams.superuser_teams("teamA"), &["teamB", "team24x7"]),
            (
                "superuserTeams(teamA), transitive",
                teams.all_superuser_teams("teamA"),
                &["teamB", "teamC", "team24x7"],
            ),
            ("superuserTeams(team24x7)", teams.all_superuser_teams("team24x7"), &[]),
        ];
        for (query, found, expected) in cases {
            assert_eq!(found, set(expected), "{query}");
        }
    }

    fn api() -> BTreeMap<String, Vec<String>> {
        [
            ("postgres_superusers", "postgres_superuser"),
            ("postgres_admins", "postgres_admin"),
            ("test", "test_user"),
        ]
        .map(|(team, member)| (team.to_owned(), vec![member.to_owned()]))
        .into()
    }

    fn logins(team: &str, teams: &Teams, settings: &Settings) -> Vec<(String, bool)> {
        humans(team, teams, &api(), settings).into_iter().map(|h| (h.name, h.superuser)).collect()
    }

    fn logins_are(found: Vec<(String, bool)>, expected: &[(&str, bool)]) {
        let expected: Vec<_> = expected.iter().map(|(name, on)| (name.to_string(), *on)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn vectors_01_4_5_roles() {
        let settings = Settings {
            postgres_superuser_teams: vec!["postgres_superusers".into(), "postgres_admins".into()],
            ..Settings::default()
        };
        let none = Teams::default();
        let cases: [(&str, &[(&str, bool)]); 3] = [
            ("test", &[("postgres_admin", true), ("postgres_superuser", true), ("test_user", false)]),
            ("postgres_superusers", &[("postgres_admin", true), ("postgres_superuser", true)]),
            // A team that the API does not know has no members of its own.
            ("nobodys", &[("postgres_admin", true), ("postgres_superuser", true)]),
        ];
        for (team, expected) in cases {
            logins_are(logins(team, &none, &settings), expected);
        }
        let alone =
            Settings { postgres_superuser_teams: vec!["postgres_superusers".into()], ..Settings::default() };
        logins_are(logins("postgres_superusers", &none, &alone), &[("postgres_superuser", true)]);
    }

    #[test]
    fn vectors_01_4_2_switches() {
        let teams = Teams::merge(&[object(
            json!({"test": ["postgres_admins"]}),
            json!({"test": ["postgres_superusers", "postgres_admins"]}),
            json!({"test": ["added"]}),
        )]);
        let with = |crd, superusers, own| Settings {
            enable_postgres_team_crd: crd,
            enable_postgres_team_crd_superusers: superusers,
            enable_team_superuser: own,
            postgres_superuser_teams: Vec::new(),
            ..Settings::default()
        };
        let all = |admin, member| {
            [
                ("added", member),
                ("postgres_admin", admin),
                ("postgres_superuser", false),
                ("test_user", member),
            ]
        };
        logins_are(logins("test", &teams, &with(false, false, false)), &[("test_user", false)]);
        logins_are(logins("test", &teams, &with(false, true, true)), &[("test_user", true)]);
        logins_are(logins("test", &teams, &with(true, false, false)), &all(false, false));
        logins_are(logins("test", &teams, &with(true, true, false)), &all(true, false));
        logins_are(logins("test", &teams, &with(true, true, true)), &all(true, true));
        assert_eq!(logins("", &teams, &with(true, true, true)), vec![]);
    }

    #[test]
    fn a_superuser_stays_one_in_a_second_team() {
        let teams =
            Teams::merge(&[object(json!({"test": ["boss"]}), json!({}), json!({"boss": ["test_user"]}))]);
        let settings = Settings {
            enable_postgres_team_crd: true,
            enable_postgres_team_crd_superusers: true,
            postgres_superuser_teams: Vec::new(),
            ..Settings::default()
        };
        logins_are(logins("test", &teams, &settings), &[("test_user", true)]);
    }
}
