//! Sources of volumes as manifests write them. The original reads their keys in any case and
//! passes over those it does not know; existing manifests rely on both (01 §3.10).

use k8s_openapi::api::core::v1::Volume;
use serde_json::{Map, Value, json};

/// `value` in Kubernetes' spelling, without the keys that Kubernetes does not know, and the paths of
/// those. What has a wrong type is left as it is: the API server says so better.
pub(super) fn read(value: &Value) -> (Value, Vec<String>) {
    let usual = with_usual_case(value);
    let mut volume = usual.clone();
    if let Some(volume) = volume.as_object_mut() {
        volume.insert("name".to_owned(), json!("any"));
    }
    let known = serde_json::from_value::<Volume>(volume).and_then(serde_json::to_value);
    let Ok(known) = known else { return (usual, Vec::new()) };
    let mut unknown = Vec::new();
    (without_unknown(&usual, &known, "", &mut unknown), unknown)
}

/// What of `value` is in `known` too. Types of Kubernetes write no empty field, so an empty value
/// is kept.
fn without_unknown(value: &Value, known: &Value, path: &str, unknown: &mut Vec<String>) -> Value {
    match (value, known) {
        (Value::Object(value), Value::Object(known)) => {
            let mut kept = Map::new();
            for (key, value) in value {
                let path = format!("{path}.{key}");
                match known.get(key) {
                    Some(known) => {
                        kept.insert(key.clone(), without_unknown(value, known, &path, unknown));
                    }
                    None if is_empty(value) => {
                        kept.insert(key.clone(), value.clone());
                    }
                    None => unknown.push(path.trim_start_matches('.').to_owned()),
                }
            }
            Value::Object(kept)
        }
        (Value::Array(values), Value::Array(known)) if values.len() == known.len() => {
            let pairs = values.iter().zip(known).enumerate();
            pairs.map(|(i, (v, k))| without_unknown(v, k, &format!("{path}[{i}]"), unknown)).collect()
        }
        _ => value.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn with_usual_case(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| one_with_usual_case(key, value)).collect(),
        Value::Array(items) => items.iter().map(with_usual_case).collect(),
        other => other.clone(),
    }
}

fn one_with_usual_case(key: &str, value: &Value) -> (String, Value) {
    let key = usual_key(key);
    // Below these, keys are the user's own.
    let opaque = MAPS.contains(&key.as_str());
    (key, if opaque { value.clone() } else { with_usual_case(value) })
}

fn usual_key(key: &str) -> String {
    let usual = KEYS.iter().chain(&MAPS).find(|usual| usual.eq_ignore_ascii_case(key));
    usual.map_or_else(|| key.to_owned(), |usual| (*usual).to_owned())
}

/// Fields that are maps with free keys.
const MAPS: [&str; 8] = [
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "options",
    "requests",
    "userAnnotations",
    "volumeAttributes",
];

/// Fields of volume sources, in Kubernetes' spelling.
const KEYS: [&str; 131] = [
    "accessModes",
    "apiGroup",
    "apiVersion",
    "audience",
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cachingMode",
    "cephfs",
    "certificateChainPath",
    "chapAuthDiscovery",
    "chapAuthSession",
    "cinder",
    "claimName",
    "clusterTrustBundle",
    "configMap",
    "containerName",
    "credentialBundlePath",
    "csi",
    "datasetName",
    "datasetUUID",
    "dataSource",
    "dataSourceRef",
    "defaultMode",
    "directory",
    "diskName",
    "diskURI",
    "divisor",
    "downwardAPI",
    "driver",
    "emptyDir",
    "endpoints",
    "ephemeral",
    "expirationSeconds",
    "fc",
    "fieldPath",
    "fieldRef",
    "flexVolume",
    "flocker",
    "fsType",
    "gateway",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "group",
    "hostPath",
    "image",
    "initiatorName",
    "iqn",
    "iscsi",
    "iscsiInterface",
    "items",
    "key",
    "keyPath",
    "keyring",
    "keyType",
    "kind",
    "labelSelector",
    "lun",
    "matchExpressions",
    "maxExpirationSeconds",
    "medium",
    "metadata",
    "mode",
    "monitors",
    "name",
    "namespace",
    "nfs",
    "nodePublishSecretRef",
    "operator",
    "optional",
    "partition",
    "path",
    "pdID",
    "pdName",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "podCertificate",
    "pool",
    "portals",
    "portworxVolume",
    "projected",
    "protectionDomain",
    "pullPolicy",
    "quobyte",
    "rbd",
    "readOnly",
    "reference",
    "registry",
    "repository",
    "resource",
    "resourceFieldRef",
    "resources",
    "revision",
    "scaleIO",
    "secret",
    "secretFile",
    "secretName",
    "secretRef",
    "selector",
    "server",
    "serviceAccountToken",
    "shareName",
    "signerName",
    "sizeLimit",
    "sources",
    "spec",
    "sslEnabled",
    "storageClassName",
    "storageMode",
    "storageos",
    "storagePolicyID",
    "storagePolicyName",
    "storagePool",
    "system",
    "targetPortal",
    "targetWWNs",
    "tenant",
    "type",
    "user",
    "values",
    "volume",
    "volumeAttributesClassName",
    "volumeClaimTemplate",
    "volumeID",
    "volumeMode",
    "volumeName",
    "volumeNamespace",
    "volumePath",
    "vsphereVolume",
    "wwids",
];
