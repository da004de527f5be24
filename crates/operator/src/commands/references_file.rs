//! References from a file: the ConfigMaps and Secrets that settings name. Values of Secrets are not
//! kept; of infrastructure roles the names are.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Secret;
use matriarch_cluster::infrastructure::{self, Source};
use matriarch_cluster::{Identity, InfrastructureRole, Reference, References};
use matriarch_settings::Settings;
use serde_json::Value;

/// Why something is not known without a cluster.
const CURE: &str = "add it to the file that --references names";

/// What the settings point to, as far as the file holds it. Without a file nothing is known. A source
/// of infrastructure roles that is missing is an error.
pub fn read(path: Option<&Path>, identity: &Identity, settings: &Settings) -> anyhow::Result<References> {
    let objects = path.map(objects).transpose()?.unwrap_or_default();
    let map = wanted(&settings.pod_environment_configmap).map(|name| {
        let found = find_map(&objects, name, &identity.namespace);
        found.map_or_else(|| unknown("ConfigMap"), |object| Reference::Known(texts(object)))
    });
    let secret = |name: &str| {
        let found = wanted(name).map(|name| find(&objects, "Secret", name, Some(&identity.namespace)));
        found.map(|found| found.map_or_else(|| unknown("Secret"), |object| Reference::Known(keys(object))))
    };
    Ok(References {
        environment_config_map: map,
        environment_secret: secret(&settings.pod_environment_secret),
        backup_secret: secret(&settings.logical_backup_cronjob_environment_secret),
        infrastructure_roles: infrastructure_roles(&objects, identity, settings)?,
        ..References::default()
    })
}

/// Infrastructure roles have Secrets of their own, so without their sources objects would be
/// missing. A source without a namespace is in the operator's, which is any one here.
fn infrastructure_roles(
    objects: &[Value],
    identity: &Identity,
    settings: &Settings,
) -> anyhow::Result<Option<Reference<Vec<InfrastructureRole>>>> {
    let sources = infrastructure::sources(settings, &identity.namespace);
    let mut all = BTreeMap::new();
    for source in &sources {
        let Source { namespace, name, .. } = source;
        let Some(secret) = find(objects, "Secret", name, Some(namespace)) else {
            bail!("infrastructure roles: no Secret {namespace}/{name} was given; {CURE}");
        };
        let map = find(objects, "ConfigMap", name, Some(namespace)).map(texts);
        let (roles, warnings) = infrastructure::roles(source, &secret_texts(secret)?, map.as_ref());
        for warning in warnings {
            eprintln!("infrastructure roles: {warning}");
        }
        all.extend(roles.into_iter().map(|role| (role.name.clone(), role)));
    }
    Ok((!sources.is_empty()).then(|| Reference::Known(all.into_values().collect())))
}

/// Names of roles stand in the values of Secrets; passwords beside them are not kept.
fn secret_texts(object: &Value) -> anyhow::Result<BTreeMap<String, String>> {
    let secret: Secret = serde_json::from_value(object.clone()).with_context(|| {
        format!("Secret {} cannot be read: data is in base64", object["metadata"]["name"])
    })?;
    let data = secret.data.unwrap_or_default().into_iter();
    let texts = data.filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?)));
    Ok(texts.chain(secret.string_data.unwrap_or_default()).collect())
}

fn wanted(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_empty())
}

fn unknown<T>(kind: &str) -> Reference<T> {
    Reference::Unknown(format!("no such {kind} was given; {CURE}"))
}

/// Every document of the file.
fn objects(path: &Path) -> anyhow::Result<Vec<Value>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {shown}: give a file with --references"))?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)
        .with_context(|| format!("{shown} is not YAML: give ConfigMaps and Secrets, separated by ---"))?;
    let objects: Vec<Value> = objects.into_iter().filter(|object| !object.is_null()).collect();
    for object in &objects {
        if !matches!(object["kind"].as_str(), Some("ConfigMap" | "Secret")) {
            bail!("{shown} holds a {}: give only ConfigMaps and Secrets", object["kind"]);
        }
    }
    Ok(objects)
}

/// `name` or `namespace/name`: in its namespace, else in the cluster's (03 §4.3). The operator's own
/// namespace, which a bare name means, is any one here.
fn find_map<'a>(objects: &'a [Value], name: &str, namespace: &str) -> Option<&'a Value> {
    let (first, bare) = match name.split_once('/') {
        Some((first, bare)) => (Some(first), bare),
        None => (None, name),
    };
    let found = find(objects, "ConfigMap", bare, first);
    found.or_else(|| find(objects, "ConfigMap", bare, Some(namespace)))
}

/// An object of that name; one without a namespace is in every namespace.
fn find<'a>(objects: &'a [Value], kind: &str, name: &str, namespace: Option<&str>) -> Option<&'a Value> {
    objects.iter().find(|object| {
        let place = object["metadata"]["namespace"].as_str();
        object["kind"] == kind
            && object["metadata"]["name"] == name
            && place.is_none_or(|place| namespace.is_none_or(|namespace| place == namespace))
    })
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    let data = object["data"].as_object().into_iter().flatten();
    data.map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}

fn keys(object: &Value) -> Vec<String> {
    let of = |field: &str| object[field].as_object().into_iter().flatten().map(|(key, _)| key.clone());
    let mut keys: Vec<String> = of("data").chain(of("stringData")).collect();
    keys.sort();
    keys.dedup();
    keys
}
