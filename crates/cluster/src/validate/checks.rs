//! The checks, in order. Each file beside this one has one subject.

use matriarch_api::Problem;
use matriarch_settings::Settings;

use super::{Cluster, amounts, containers, fragments, identity, network, roles, sources, spellings, times};

/// Runs every check.
pub(super) fn all(cluster: &mut Cluster, settings: &Settings, problems: &mut Vec<Problem>) {
    spellings::old(cluster);
    identity::name(cluster, settings, problems);
    identity::team(cluster, problems);
    identity::version(cluster, problems);
    amounts::size(cluster, problems);
    amounts::resources(cluster, problems);
    sources::clone(cluster, problems);
    sources::standby(cluster);
    network::source_ranges(cluster, problems);
    network::node_ports(cluster, problems);
    containers::containers(cluster, settings, problems);
    containers::volumes(cluster, problems);
    fragments::check(cluster, problems);
    times::windows(cluster, problems);
    times::schedule(cluster, problems);
    roles::users(cluster, settings, problems);
    roles::pooler(cluster, settings);
    roles::databases(cluster, settings);
    roles::prepared_databases(cluster, problems);
    definitions(settings, problems);
}

/// Objects that settings define.
fn definitions(settings: &Settings, problems: &mut Vec<Problem>) {
    for (option, text, kind) in [
        ("pod_service_account_definition", &settings.pod_service_account_definition, "ServiceAccount"),
        (
            "pod_service_account_role_binding_definition",
            &settings.pod_service_account_role_binding_definition,
            "RoleBinding",
        ),
    ] {
        if let Err(message) = crate::render::definition(text, kind) {
            problems.push(Problem::new(
                option,
                message,
                format!("correct the setting of the operator: JSON or YAML of a {kind}, or nothing"),
            ));
        }
    }
}

/// The problem of a field that is not there.
pub(super) fn missing(field: &str) -> Problem {
    Problem::new(field, "is missing", "add it, it has no default")
}
