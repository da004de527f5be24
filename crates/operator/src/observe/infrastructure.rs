//! Reads the Secrets and ConfigMaps of infrastructure roles. Passwords stay where they are: a role
//! only tells their place.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use matriarch_cluster::infrastructure::{self, Source};
use matriarch_cluster::{InfrastructureRole, Reference};
use matriarch_settings::Settings;
use tracing::debug;

use super::memory::Memory;
use crate::plain::plain;
use crate::reads::Reads;

/// The roles of all sources, as they were a short time ago or are now.
pub async fn recent_roles(
    reads: &Reads,
    memory: &Memory,
    settings: &Settings,
) -> Option<Reference<Vec<InfrastructureRole>>> {
    let client = reads.client();
    let sources = infrastructure::sources(settings, client.default_namespace());
    if sources.is_empty() {
        return None;
    }
    let ask = async { roles(client, settings).await.unwrap_or(Reference::Missing) };
    Some(memory.infrastructure.or_ask(format!("{sources:?}"), reads.is_live(), ask).await)
}

/// The roles of all sources. One that is missing gives none; one that cannot be read makes the
/// whole unknown, for its roles must not be taken for unwanted ones.
pub async fn roles(client: &Client, settings: &Settings) -> Option<Reference<Vec<InfrastructureRole>>> {
    let sources = infrastructure::sources(settings, client.default_namespace());
    if sources.is_empty() {
        return None;
    }
    let mut all: BTreeMap<String, InfrastructureRole> = BTreeMap::new();
    for source in &sources {
        match read(client, source).await {
            Ok(roles) => all.extend(roles.into_iter().map(|role| (role.name.clone(), role))),
            Err(error) => {
                let why = format!("Secret {}/{}: {}", source.namespace, source.name, plain(&error));
                return Some(Reference::Unknown(why));
            }
        }
    }
    Some(Reference::Known(all.into_values().collect()))
}

async fn read(client: &Client, source: &Source) -> kube::Result<Vec<InfrastructureRole>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &source.namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &source.namespace);
    let Some(secret) = secrets.get_opt(&source.name).await? else {
        debug!("infrastructure roles: there is no Secret {}/{}", source.namespace, source.name);
        return Ok(Vec::new());
    };
    let map = maps.get_opt(&source.name).await?.and_then(|map| map.data);
    let texts = secret.data.unwrap_or_default().into_iter();
    let texts = texts.filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?)));
    let (roles, warnings) = infrastructure::roles(source, &texts.collect(), map.as_ref());
    for warning in warnings {
        debug!("infrastructure roles: {warning}");
    }
    Ok(roles)
}
