//! Maintenance windows and the schedule of logical backups.

use matriarch_api::Problem;

use super::Cluster;
use crate::schedule;
use crate::windows::Window;

pub(super) fn windows(cluster: &Cluster, problems: &mut Vec<Problem>) {
    for (index, window) in cluster.spec.maintenance_windows.iter().flatten().enumerate() {
        if let Err(message) = Window::parse(window) {
            problems.push(Problem::new(
                format!("spec.maintenanceWindows[{index}]"),
                message,
                "write it like 01:00-06:00 or Sat:01:00-06:00, and split a window over midnight in two",
            ));
        }
    }
}

/// A schedule that nothing runs by does not matter.
pub(super) fn schedule(cluster: &Cluster, problems: &mut Vec<Problem>) {
    let schedule = cluster.spec.logical_backup_schedule.as_deref().unwrap_or_default();
    if cluster.spec.enable_logical_backup != Some(true) || schedule.is_empty() {
        return;
    }
    if let Err(message) = schedule::check(schedule) {
        problems.push(Problem::new(
            "spec.logicalBackupSchedule",
            message,
            "write minute, hour, day of the month, month and day of the week, such as 30 0 * * *",
        ));
    }
}
