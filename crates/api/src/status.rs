//! The status of a `postgresql` object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known about a cluster. Contract: reference `PostgresClusterStatus` is the word that
/// existing tools read; the other fields are additions of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresqlStatus {
    /// The status word: empty, `Creating`, `Updating`, `Running`, `Invalid`, `CreateFailed`,
    /// `UpdateFailed` or `SyncFailed`.
    #[serde(rename = "PostgresClusterStatus", default)]
    pub postgres_cluster_status: String,
    /// How many pods the cluster has; what the scale subresource reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_of_instances: Option<i32>,
    /// Selector of the database pods, in the text form that the scale subresource wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// The `metadata.generation` that the last pass worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One entry per aspect (`Ready`, `Valid`, ...), newest state only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// One aspect of a cluster's state, in the usual form of Kubernetes conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect: `Ready`, `Valid`, `Progressing`, ...
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word in upper camel case for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// When `status` changed last, RFC 3339 in UTC.
    pub last_transition_time: String,
    /// The generation that this condition was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
