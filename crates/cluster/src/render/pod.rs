//! The pod template of the StatefulSet.

use matriarch_api::Problem;
use serde_json::{Value, json};

use super::{Context, affinity, containers, put, volumes};

/// Seconds that a pod has to stop when the setting is zero.
const DEFAULT_GRACE_PERIOD: u64 = 300;

/// `template` of the StatefulSet, and what was changed about resources.
pub(super) fn template(context: &Context<'_>) -> (Value, Vec<Problem>) {
    let (postgres, notices) = containers::postgres(context);
    let mut metadata = json!({"namespace": context.namespace(), "labels": context.labels()});
    put(&mut metadata, "annotations", json!(context.pod_annotations()));
    (json!({"metadata": metadata, "spec": spec(context, postgres)}), notices)
}

fn spec(context: &Context<'_>, postgres: Value) -> Value {
    let (manifest, settings) = (&context.cluster.spec, context.settings);
    let priority = manifest.pod_priority_class_name.clone().filter(|name| !name.is_empty());
    let mut all = vec![postgres];
    all.extend(containers::sidecars(context));
    let mut spec = json!({
        "serviceAccountName": settings.pod_service_account_name,
        "terminationGracePeriodSeconds": grace_period(context),
        "securityContext": security(context),
        "tolerations": affinity::tolerations(context),
        "containers": all,
    });
    put(&mut spec, "initContainers", json!(manifest.init_containers));
    put(&mut spec, "affinity", affinity::affinity(context));
    put(&mut spec, "schedulerName", json!(manifest.scheduler_name));
    put(
        &mut spec,
        "priorityClassName",
        json!(priority.unwrap_or_else(|| settings.pod_priority_class_name.clone())),
    );
    put(&mut spec, "topologySpreadConstraints", affinity::topology_spread(context));
    put(&mut spec, "volumes", json!(volumes::volumes(context)));
    spec
}

/// Seconds that a pod has to stop.
pub(super) fn grace_period(context: &Context<'_>) -> u64 {
    match context.settings.pod_terminate_grace_period.as_secs() {
        0 => DEFAULT_GRACE_PERIOD,
        seconds => seconds,
    }
}

/// Ids that the pods' processes run with.
pub(super) fn security(context: &Context<'_>) -> Value {
    let (manifest, settings) = (&context.cluster.spec, context.settings);
    let mut security = json!({});
    put(&mut security, "runAsUser", json!(manifest.spilo_run_as_user.or(settings.spilo_runasuser)));
    put(&mut security, "runAsGroup", json!(manifest.spilo_run_as_group.or(settings.spilo_runasgroup)));
    put(&mut security, "fsGroup", json!(manifest.spilo_fs_group.or(settings.spilo_fsgroup)));
    security
}
