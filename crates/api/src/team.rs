//! `PostgresTeam`: who else works on the clusters of a team.

use std::collections::BTreeMap;

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Additions to the membership of teams. Team ids and user names are compared exactly.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "acid.zalan.do",
    version = "v1",
    kind = "PostgresTeam",
    plural = "postgresteams",
    singular = "postgresteam",
    shortname = "pgteam",
    category = "all",
    namespaced,
    crates(kube_core = "::kube_core")
)]
#[serde(rename_all = "camelCase")]
pub struct PostgresTeamSpec {
    /// Team id → teams whose members become superusers in the clusters of that team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_superuser_teams: Option<BTreeMap<String, Vec<String>>>,
    /// Team id → teams whose members become ordinary members in the clusters of that team.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_teams: Option<BTreeMap<String, Vec<String>>>,
    /// Team id → further members of that team, wherever the team is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_members: Option<BTreeMap<String, Vec<String>>>,
}
