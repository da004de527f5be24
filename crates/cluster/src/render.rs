//! From a [`Cluster`] to an [`Intent`]: one file per object or per part of the pod template.
//!
//! Defects of the original's pod template (D1 to D45 of the contract) are rendered at its level and
//! repaired from [`Level::REPAIRED`] on; each such place names the defect.

use matriarch_settings::Settings;
use serde_json::{Value, json};

use crate::intent::{CredentialSecret, Intent, Object, Unwanted};
use crate::level::Level;
use crate::policy::Policy;
use crate::references::{Facts, References};
use crate::validate::Cluster;
use crate::windows::Windows;

mod account;
mod affinity;
mod budgets;
mod containers;
mod endpoints;
mod environment;
mod logical_backup;
mod metadata;
mod patroni;
mod pod;
mod pooler;
mod prepared;
mod resources;
mod roles;
mod services;
mod spilo;
mod stateful_set;
mod streams;
mod version;
mod volumes;

#[cfg(test)]
mod tests;

pub(crate) use account::definition;
pub(crate) use volumes::volume_source;

/// Renders everything that should exist for `cluster`, without references and facts.
pub fn render(cluster: &Cluster, settings: &Settings) -> Intent {
    render_with(cluster, settings, &References::default(), &Facts::default())
}

/// Renders everything that should exist for `cluster`. The StatefulSet is rendered at every level;
/// the planner takes the one in force.
pub fn render_with(cluster: &Cluster, settings: &Settings, references: &References, facts: &Facts) -> Intent {
    let at = |level| Context { cluster, settings, references, facts, level };
    let context = at(Level::NEWEST);
    let (stateful_set, raised) = stateful_set::render(&context);
    let (policy, misunderstood) = Policy::of(&cluster.annotations);
    let notices = [
        raised,
        misunderstood,
        context.label_notices(),
        environment::notices(&context),
        version::notices(&context),
        volumes::notices(&context),
        pooler::notices(&context),
        logical_backup::notices(&context),
        streams::notices(&context),
    ]
    .concat();
    let older = Level::all().filter(|level| *level < Level::NEWEST);
    let roles = roles::render(&context);
    // Without access to databases nothing inside them is intended.
    let inside = settings.enable_database_access;
    let unwanted = [pooler::unwanted(&context), logical_backup::unwanted(&context)].concat();
    Intent {
        identity: cluster.identity.clone(),
        pod_service_account: account::service_account(&context),
        pod_role_binding: account::role_binding(&context),
        unwanted: unwanted.into_iter().filter(|one| !is_secret_of(one, &roles.secrets)).collect(),
        secrets: roles.secrets,
        services: services::render(&context),
        disruption_budgets: budgets::render(&context),
        original_disruption_budgets: budgets::render(&at(Level::ORIGINAL)),
        stateful_set,
        older_stateful_sets: older.map(|level| stateful_set::render(&at(level)).0).collect(),
        endpoints: endpoints::render(&context),
        poolers: pooler::render(&context),
        logical_backup: logical_backup::render(&context),
        original_logical_backup: logical_backup::render(&at(Level::ORIGINAL)),
        streams: streams::render(&context),
        roles: if inside { roles.roles } else { Vec::new() },
        databases: if inside { roles.databases } else { Vec::new() },
        lookup: roles.lookup.filter(|_| inside),
        patroni: patroni::dynamic(&context),
        lazy_image: settings.enable_lazy_spilo_upgrade,
        instances: cluster.instances(settings),
        // Unless somebody says so, no deletion is to go unseen.
        finalizer: settings.enable_finalizers != Some(false),
        windows: Windows::of(cluster, settings),
        waits_for_window: version::waits_for_window(&context),
        policy,
        selector: context.selector(),
        unresolved: environment::unresolved(&context),
        notices: [cluster.notices.clone(), notices, roles.notices].concat(),
    }
}

/// The user of a pooler that was switched off may be a user of the manifest.
fn is_secret_of(unwanted: &Unwanted, secrets: &[CredentialSecret]) -> bool {
    unwanted.kind == "Secret" && secrets.iter().any(|secret| secret.object.name == unwanted.name)
}

/// What every part of the rendering reads.
pub(crate) struct Context<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) settings: &'a Settings,
    pub(crate) references: &'a References,
    pub(crate) facts: &'a Facts,
    pub(crate) level: Level,
}

impl Context<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.cluster.identity.name
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.cluster.identity.namespace
    }

    /// An object of the cluster's namespace; `rest` holds what stands beside its metadata.
    fn object(&self, api_version: &str, kind: &str, metadata: Value, rest: Value) -> Object {
        let mut body = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        if let (Some(body), Value::Object(rest)) = (body.as_object_mut(), rest) {
            body.extend(rest);
        }
        let text = |key: &str| body["metadata"][key].as_str().unwrap_or_default().to_owned();
        Object {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: text("namespace"),
            name: text("name"),
            body,
        }
    }
}

/// Puts `value` at `key` unless it is null or empty: what the contract leaves out is not sent.
fn put(object: &mut Value, key: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if !empty {
        object[key] = value;
    }
}
