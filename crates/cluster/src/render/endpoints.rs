//! The Endpoints that exist before Patroni or the image's callbacks fill them.

use std::collections::BTreeMap;

use serde_json::json;

use super::Context;
use crate::intent::Object;
use crate::names;

/// The primary's, unless Patroni keeps its state in ConfigMaps. The replicas' follow from the
/// selector of their Service.
///
/// Addresses are never rendered: Patroni, or the endpoint controller, owns them, and Patroni's
/// lock stands in annotations of the primary's. So nothing of theirs is ever taken away (D29).
pub(super) fn render(context: &Context<'_>) -> Vec<Object> {
    let settings = context.settings;
    if settings.etcd_host.is_empty() && settings.kubernetes_use_configmaps {
        return Vec::new();
    }
    let name = names::primary_service(context.name());
    let labels = context.role_labels(names::PRIMARY);
    let metadata = context.metadata(&name, labels, context.inherited(BTreeMap::new()));
    vec![context.object("v1", "Endpoints", metadata, json!({}))]
}
