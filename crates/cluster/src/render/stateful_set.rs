//! The StatefulSet.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use serde_json::{Value, json};

use super::{Context, pod, volumes};
use crate::intent::Object;
use crate::level::{LEVEL_ANNOTATION, Level};
use crate::names;

/// The StatefulSet, and what was changed about resources.
pub(super) fn render(context: &Context<'_>) -> (Object, Vec<Problem>) {
    let (template, notices) = pod::template(context);
    let metadata = context.metadata(context.name(), context.labels(), annotations(context));
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

/// The level stands beside the template, not in it: it restarts nobody. The original writes none.
fn annotations(context: &Context<'_>) -> BTreeMap<String, String> {
    let mut annotations = context.downscaler();
    annotations.remove(LEVEL_ANNOTATION);
    if context.level > Level::ORIGINAL {
        annotations.insert(LEVEL_ANNOTATION.to_owned(), context.level.number().to_string());
    }
    annotations
}

fn retention(context: &Context<'_>) -> Value {
    let policy = |key: &str| {
        let value = context.settings.persistent_volume_claim_retention_policy.get(key);
        if value.is_some_and(|value| value == "delete") { "Delete" } else { "Retain" }
    };
    json!({"whenDeleted": policy("when_deleted"), "whenScaled": policy("when_scaled")})
}
