//! The StatefulSet.

use matriarch_api::Problem;
use serde_json::{Value, json};

use super::{Context, pod, volumes};
use crate::intent::Object;
use crate::names;

/// The StatefulSet, and what was changed about resources.
pub(super) fn render(context: &Context<'_>) -> (Object, Vec<Problem>) {
    let (template, notices) = pod::template(context);
    let metadata = context.metadata(context.name(), context.labels(), context.downscaler());
    let spec = json!({
        "replicas": context.cluster.instances(context.settings),
        // Not headless, and it cannot be changed any more.
        "serviceName": names::primary_service(context.name()),
        "podManagementPolicy": context.settings.pod_management_policy.as_str(),
        // Pods are replaced by the operator, one at a time.
        "updateStrategy": {"type": "OnDelete"},
        "persistentVolumeClaimRetentionPolicy": retention(context),
        "selector": {"matchLabels": context.selector()},
        "template": template,
        "volumeClaimTemplates": [volumes::claim_template(context)],
    });
    (context.object("apps/v1", "StatefulSet", metadata, json!({"spec": spec})), notices)
}

fn retention(context: &Context<'_>) -> Value {
    let policy = |key: &str| {
        let value = context.settings.persistent_volume_claim_retention_policy.get(key);
        if value.is_some_and(|value| value == "delete") { "Delete" } else { "Retain" }
    };
    json!({"whenDeleted": policy("when_deleted"), "whenScaled": policy("when_scaled")})
}
