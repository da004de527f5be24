//! Rows with no effect of their own, each with its reason, and capabilities that are still to come.

const ROTATION: &str = "password rotation";
const VOLUMES: &str = "volumes of running clusters";
const UPGRADES: &str = "major version upgrades";
const DRAINS: &str = "drained nodes";
const HISTORY: &str = "history in the HTTP API";
const LEAVERS: &str = "people who left a team";
const WAITS: &str =
    "Nothing waits within a pass: what is awaited is a gate of the plan, looked at again in later passes.";

/// A place (or the start of several, with `*` at the end), why it has no effect, and which
/// capability acts on it later. One of the two may be empty.
type Entry = (&'static str, &'static str, &'static str);

/// Fields of the manifest.
pub const FIELDS: &[Entry] = &[
    ("usersIgnoringSecretRotation.[]", "", ROTATION),
    ("usersWithInPlaceSecretRotation.[]", "", ROTATION),
    ("usersWithSecretRotation.[]", "", ROTATION),
    ("volume.iops", "", VOLUMES),
    ("volume.throughput", "", VOLUMES),
    ("volume.type", "", VOLUMES),
];

/// Options of the settings.
pub const OPTIONS: &[Entry] = &[
    ("enable_password_rotation", "", ROTATION),
    ("password_rotation_*", "", ROTATION),
    ("major_version_upgrade_team_allow_list", "", UPGRADES),
    ("storage_resize_mode", "", VOLUMES),
    ("aws_region", "", VOLUMES),
    ("master_pod_move_timeout", "", DRAINS),
    ("ring_log_lines", "", HISTORY),
    ("cluster_history_entries", "", HISTORY),
    ("role_deletion_suffix", "", LEAVERS),
    ("enable_team_member_deprecation", "", LEAVERS),
    ("ready_wait_*", "Nothing reads it in the original either.", ""),
    (
        "enable_load_balancer",
        "Removed from the contract; it is taken so that old ConfigMaps can be read.",
        "",
    ),
    ("cluster_domain", "Pods are reached by their addresses, which need no DNS.", ""),
    ("ignored_annotations", "Annotations of others are never compared and never written.", ""),
    ("resource_check_*", WAITS, ""),
    ("pod_label_wait_timeout", WAITS, ""),
    ("pod_deletion_wait_timeout", WAITS, ""),
    ("patroni_api_check_*", WAITS, ""),
];

/// Option, what it decides, the file that reads it, and the test of that as `FILE::FUNCTION`.
type Elsewhere = (&'static str, &'static str, &'static str, &'static str);

/// Options that the running operator reads and nothing that is rendered shows.
pub const ELSEWHERE: &[Elsewhere] = &[
    (
        "teams_api_url",
        "where the members of teams are asked for",
        "crates/operator/src/observe/people.rs",
        "crates/operator/src/observe/people.rs::the_teams_api_and_its_token_follow_the_settings",
    ),
    (
        "oauth_token_secret_name",
        "which Secret holds the token for that",
        "crates/operator/src/observe/people.rs",
        "crates/operator/src/observe/people.rs::the_teams_api_and_its_token_follow_the_settings",
    ),
    (
        "enable_crd_registration",
        "which definitions are applied at start",
        "crates/operator/src/registration.rs",
        "crates/operator/src/registration.rs::what_is_registered_follows_the_settings",
    ),
    (
        "crd_categories",
        "the categories in the definition of `postgresql`",
        "crates/operator/src/registration.rs",
        "crates/operator/src/registration.rs::what_is_registered_follows_the_settings",
    ),
    (
        "workers",
        "how many passes run at once",
        "crates/operator/src/controller/start.rs",
        "crates/operator/src/controller/start.rs::there_are_as_many_desks_as_workers",
    ),
    (
        "resync_period",
        "when a cluster is looked at again without a reason",
        "crates/operator/src/queue.rs",
        "crates/operator/src/queue.rs::the_pace_follows_the_settings",
    ),
    (
        "repair_period",
        "when a cluster that is not in order is looked at again at the latest",
        "crates/operator/src/queue.rs",
        "crates/operator/src/queue.rs::the_pace_follows_the_settings",
    ),
    (
        "watched_namespace",
        "which namespaces are watched",
        "crates/operator/src/reads.rs",
        "crates/operator/src/namespaces.rs::vectors_02_3_3_watched_namespaces",
    ),
    (
        "debug_logging",
        "how much is logged",
        "crates/operator/src/controller/start.rs",
        "crates/operator/src/logging.rs::debug_logging_shows_details",
    ),
    (
        "api_port",
        "the port of the HTTP API",
        "crates/operator/src/controller/start.rs",
        "crates/operator/src/controller/start.rs::the_port_follows_api_port",
    ),
];

/// Reason and capability of `name`.
pub fn of(name: &str, list: &'static [Entry]) -> (Option<&'static str>, &'static str) {
    let entry = list.iter().find(|(place, ..)| matches(place, name));
    entry
        .map_or((None, ""), |(_, reason, awaits)| (Some(*reason).filter(|reason| !reason.is_empty()), awaits))
}

fn matches(place: &str, name: &str) -> bool {
    place.strip_suffix('*').map_or(place == name, |start| name.starts_with(start))
}

/// Entries that belong to nothing.
pub fn unused(names: &[&str], list: &[Entry]) -> Vec<String> {
    let unused = list.iter().filter(|(place, ..)| !names.iter().any(|name| matches(place, name)));
    unused.map(|(place, ..)| format!("{place}: is on a list, but there is nothing of that name")).collect()
}
