//! Which major version pods are told to run.

use matriarch_api::Problem;

use super::Context;
use crate::intent::Unresolved;

/// How the notice of a version that waits ends.
const UNTIL: &str = "until a maintenance window begins";

/// The version for the pods where `wanted` is asked for, and why it is another one.
///
/// A running cluster keeps its version outside of its maintenance windows, and never gets a lower
/// one: data directories cannot go back. What runs is read from the StatefulSet, so a restart of the
/// operator forgets nothing (01 §2.2).
pub(super) fn of_pods(context: &Context<'_>, wanted: &str) -> (String, Option<Problem>) {
    let running = context.facts.running_version.as_deref().filter(|running| *running != wanted);
    let Some(running) = running else { return (wanted.to_owned(), None) };
    let (Ok(now), Ok(next)) = (running.parse::<u32>(), wanted.parse::<u32>()) else {
        return (wanted.to_owned(), None);
    };
    let notice = |message: String, cure: &str| {
        (running.to_owned(), Some(Problem::new("spec.postgresql.version", message, cure)))
    };
    if next < now {
        return notice(
            format!("is {wanted}, lower than {running}, which runs; pods keep {running}"),
            "write the version that runs; to go back, make a new cluster and copy the data",
        );
    }
    if is_outside_of_windows(context) {
        return notice(
            format!("is {wanted}; pods keep {running} {UNTIL}"),
            "wait for the window, or change spec.maintenanceWindows",
        );
    }
    (wanted.to_owned(), None)
}

/// What the owner should know about the version.
pub(super) fn notices(context: &Context<'_>) -> Vec<Problem> {
    of_pods(context, &context.cluster.wanted_version(context.settings)).1.into_iter().collect()
}

/// The version, where it waits for a window.
pub(super) fn waits_for_window(context: &Context<'_>) -> Vec<Unresolved> {
    let later = of_pods(context, &context.cluster.wanted_version(context.settings)).1;
    let later = later.filter(|problem| is_outside_of_windows(context) && problem.message.contains(UNTIL));
    later.map(|problem| Unresolved { field: problem.field, why: problem.message }).into_iter().collect()
}

/// Without windows, or with windows switched off, every moment is inside.
fn is_outside_of_windows(context: &Context<'_>) -> bool {
    let (spec, settings) = (&context.cluster.spec, context.settings);
    let own = spec.maintenance_windows.iter().flatten().next().is_some();
    let exist = own || !settings.maintenance_windows.is_empty();
    exist && settings.enable_maintenance_windows && !context.facts.in_maintenance_window
}
