//! The Endpoints that exist before Patroni or the image's callbacks fill them.

use std::collections::BTreeMap;

use serde_json::json;

use super::Context;
use crate::intent::Object;
use crate::names;

/// With Endpoints as Patroni's store one of each role, with etcd the primary's, else none.
///
/// Addresses are never rendered: Patroni, or the endpoint controller, owns them, and Patroni's
/// lock stands in annotations of the primary's. So nothing of theirs is ever taken away (D29).
pub(super) fn render(context: &Context<'_>) -> Vec<Object> {
    let settings = context.settings;
    if !settings.etcd_host.is_empty() {
        return vec![endpoints(context, names::PRIMARY)];
    }
    if settings.kubernetes_use_configmaps {
        return Vec::new();
    }
    [names::PRIMARY, names::REPLICA].map(|role| endpoints(context, role)).to_vec()
}

fn endpoints(context: &Context<'_>, role: &str) -> Object {
    let name = match role {
        names::REPLICA => names::replica_service(context.name()),
        _ => names::primary_service(context.name()),
    };
    let metadata = context.metadata(&name, context.role_labels(role), context.inherited(BTreeMap::new()));
    context.object("v1", "Endpoints", metadata, json!({}))
}
