//! Where a cluster gets its data from: another cluster once, or another cluster for good.

use matriarch_api::Problem;

use super::{Cluster, identity};

/// Longest name of a Service.
const LONGEST_SERVICE_NAME: usize = 63;

/// The source of a base backup is reached through its Service.
pub(super) fn clone(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let Some(clone) = &cluster.spec.clone else { return };
    let live = clone.timestamp.as_deref().unwrap_or_default().is_empty();
    let source = &clone.cluster;
    if !live || source.is_empty() {
        return;
    }
    let wrong = if !identity::is_service_name(source) {
        format!("{source:?} cannot be the name of a cluster")
    } else if source.len() > LONGEST_SERVICE_NAME {
        format!("has {} characters, more than the {LONGEST_SERVICE_NAME} of a Service", source.len())
    } else {
        return;
    };
    problems.push(Problem::new(
        "spec.clone.cluster",
        wrong,
        "name a running cluster of the same namespace, or add a timestamp to restore from the archive",
    ));
}

/// Something should be followed, and one archive at most.
pub(super) fn standby(cluster: &mut Cluster) {
    let Some(standby) = &cluster.spec.standby else { return };
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let (s3, gs) = (given(&standby.s3_wal_path), given(&standby.gs_wal_path));
    if s3 && gs {
        cluster.notices.push(Problem::new(
            "spec.standby.gs_wal_path",
            "has no effect beside s3_wal_path",
            "remove one of the two",
        ));
    }
    if !s3 && !gs && !given(&standby.standby_host) {
        cluster.notices.push(Problem::new(
            "spec.standby",
            "names nothing to follow",
            "add standby_host, s3_wal_path or gs_wal_path, or remove the section",
        ));
    }
}
