//! Volumes of the pods and where they are mounted.

use matriarch_api::{AdditionalVolume, Tls};
use serde_json::{Map, Value, json};

use super::{Context, put};
use crate::names::{DATA_MOUNT, DATA_VOLUME, POSTGRES_CONTAINER};

/// Files of certificates are readable by their group only.
const CERTIFICATE_MODE: u32 = 0o640;

/// The claim template of the data volume.
pub(super) fn claim_template(context: &Context<'_>) -> Value {
    let volume = &context.cluster.spec.volume;
    let size = crate::quantity::Quantity::parse(&volume.size)
        .map_or_else(|_| volume.size.clone(), |q| q.canonical());
    let mut metadata = json!({"name": DATA_VOLUME, "labels": context.labels()});
    put(&mut metadata, "annotations", json!(context.inherited(Default::default())));
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": size}},
    });
    put(&mut spec, "storageClassName", json!(volume.storage_class));
    put(&mut spec, "selector", volume.selector.clone().unwrap_or_default());
    json!({"metadata": metadata, "spec": spec})
}

/// `volumes` of the pod.
///
/// The memory volume cannot be switched off by a manifest alone: only a manifest that says true
/// counts. That is a defect of the contract which taking it out would restart pods for.
pub(super) fn volumes(context: &Context<'_>) -> Vec<Value> {
    let mut volumes = Vec::new();
    if has_memory_volume(context) {
        volumes.push(json!({"name": "dshm", "emptyDir": {"medium": "Memory"}}));
    }
    if context.settings.share_pgsocket_with_sidecars {
        volumes.push(json!({"name": "postgresql-run", "emptyDir": {"medium": "Memory"}}));
    }
    let secret = &context.settings.additional_secret_mount;
    if !secret.is_empty() {
        volumes.push(json!({"name": secret, "secret": {"secretName": secret}}));
    }
    for volume in additional(context) {
        let mut rendered = json!({"name": volume.name});
        if let (Some(rendered), Value::Object(source)) =
            (rendered.as_object_mut(), with_usual_case(&volume.volume_source))
        {
            rendered.extend(source);
        }
        volumes.push(rendered);
    }
    volumes
}

/// `volumeMounts` of the container `name`, after `own`.
pub(super) fn mounts(context: &Context<'_>, name: &str, own: &[Value]) -> Vec<Value> {
    let mut mounts = own.to_vec();
    mounts.push(data_mount(context));
    if name == POSTGRES_CONTAINER && has_memory_volume(context) {
        mounts.push(json!({"name": "dshm", "mountPath": "/dev/shm"}));
    }
    if context.settings.share_pgsocket_with_sidecars {
        mounts.push(json!({"name": "postgresql-run", "mountPath": "/var/run/postgresql"}));
    }
    let secret = &context.settings.additional_secret_mount;
    if !secret.is_empty() {
        mounts.push(json!({"name": secret, "mountPath": context.settings.additional_secret_mount_path}));
    }
    let here = additional(context).into_iter().filter(|volume| is_target(volume, name));
    mounts.extend(here.map(|volume| {
        let mut mount = json!({"name": volume.name, "mountPath": volume.mount_path});
        put_sub_path(&mut mount, volume.sub_path.as_deref(), volume.is_sub_path_expr);
        mount
    }));
    mounts
}

fn has_memory_volume(context: &Context<'_>) -> bool {
    context.cluster.spec.enable_shm_volume == Some(true) || context.settings.enable_shm_volume
}

fn data_mount(context: &Context<'_>) -> Value {
    let volume = &context.cluster.spec.volume;
    let mut mount = json!({"name": DATA_VOLUME, "mountPath": DATA_MOUNT});
    put_sub_path(&mut mount, volume.sub_path.as_deref(), volume.is_sub_path_expr);
    mount
}

fn put_sub_path(mount: &mut Value, path: Option<&str>, is_expression: Option<bool>) {
    let key = if is_expression == Some(true) { "subPathExpr" } else { "subPath" };
    put(mount, key, json!(path.unwrap_or_default()));
}

/// The manifest's volumes, then those of certificates; none whose place is already taken.
fn additional(context: &Context<'_>) -> Vec<AdditionalVolume> {
    let mut accepted: Vec<AdditionalVolume> = Vec::new();
    let own = context.cluster.spec.additional_volumes.clone().unwrap_or_default();
    for volume in own.into_iter().chain(tls_volumes(context)) {
        let taken = accepted.iter().any(|other| other.mount_path == volume.mount_path);
        if !taken && volume.mount_path != DATA_MOUNT {
            accepted.push(volume);
        }
    }
    accepted
}

fn is_target(volume: &AdditionalVolume, container: &str) -> bool {
    let targets = volume.target_containers.as_deref().unwrap_or_default();
    if targets.is_empty() {
        return container == POSTGRES_CONTAINER;
    }
    targets.iter().any(|target| target == "all" || target == container)
}

fn tls<'a>(context: &'a Context<'_>) -> Option<&'a Tls> {
    context.cluster.spec.tls.as_ref().filter(|tls| !tls.secret_name.is_empty())
}

fn tls_volumes(context: &Context<'_>) -> Vec<AdditionalVolume> {
    let Some(tls) = tls(context) else { return Vec::new() };
    let mut volumes = vec![certificates(&tls.secret_name, "/tls")];
    if let (Some(_), Some(secret)) = (given(&tls.ca_file), given(&tls.ca_secret_name)) {
        volumes.push(certificates(secret, "/tlsca"));
    }
    volumes
}

fn certificates(secret: &str, mount_path: &str) -> AdditionalVolume {
    AdditionalVolume {
        name: secret.to_owned(),
        mount_path: mount_path.to_owned(),
        volume_source: json!({"secret": {"secretName": secret, "defaultMode": CERTIFICATE_MODE}}),
        ..AdditionalVolume::default()
    }
}

/// Where PostgreSQL finds its certificates.
pub(super) fn tls_variables(context: &Context<'_>) -> Vec<(&'static str, String)> {
    let Some(tls) = tls(context) else { return Vec::new() };
    let mut variables = vec![
        ("SSL_CERTIFICATE_FILE", below("/tls", given(&tls.certificate_file).unwrap_or("tls.crt"))),
        ("SSL_PRIVATE_KEY_FILE", below("/tls", given(&tls.private_key_file).unwrap_or("tls.key"))),
    ];
    if let Some(file) = given(&tls.ca_file) {
        let directory = if given(&tls.ca_secret_name).is_some() { "/tlsca" } else { "/tls" };
        variables.push(("SSL_CA_FILE", below(directory, file)));
    }
    variables
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn below(directory: &str, file: &str) -> String {
    if file.starts_with('/') { file.to_owned() } else { format!("{directory}/{file}") }
}

/// Keys of a volume source in Kubernetes' spelling: existing manifests write them in any case.
fn with_usual_case(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, value)| (usual_key(key), with_usual_case(value))).collect::<Map<_, _>>(),
        ),
        Value::Array(items) => items.iter().map(with_usual_case).collect(),
        other => other.clone(),
    }
}

fn usual_key(key: &str) -> String {
    KEYS.iter()
        .find(|usual| usual.eq_ignore_ascii_case(key))
        .map_or_else(|| key.to_owned(), |usual| (*usual).to_owned())
}

/// Keys of the volume sources that manifests use.
const KEYS: [&str; 44] = [
    "awsElasticBlockStore",
    "volumeID",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "driver",
    "volumeAttributes",
    "nodePublishSecretRef",
    "downwardAPI",
    "emptyDir",
    "medium",
    "sizeLimit",
    "ephemeral",
    "volumeClaimTemplate",
    "fc",
    "flexVolume",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "path",
    "type",
    "image",
    "iscsi",
    "nfs",
    "server",
    "persistentVolumeClaim",
    "claimName",
    "readOnly",
    "projected",
    "sources",
    "secret",
    "secretName",
    "defaultMode",
    "optional",
    "items",
    "key",
    "mode",
    "name",
    "serviceAccountToken",
    "fsType",
];
