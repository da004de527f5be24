//! Volumes of the pods and where they are mounted.

use matriarch_api::{AdditionalVolume, Tls};
use serde_json::{Value, json};

use super::{Context, put};
use crate::level::Level;
use crate::names::{DATA_MOUNT, DATA_VOLUME, POSTGRES_CONTAINER};

mod additional;
mod source;

pub(super) use additional::notices;

/// Volume of shared memory, in the container `postgres`.
const MEMORY: &str = "dshm";
const MEMORY_MOUNT: &str = "/dev/shm";
/// Volume with the socket of PostgreSQL, in all containers.
const SOCKET: &str = "postgresql-run";
const SOCKET_MOUNT: &str = "/var/run/postgresql";

/// Files of certificates are readable by their group only.
const CERTIFICATE_MODE: u32 = 0o640;

/// A volume's source in Kubernetes' spelling.
pub(crate) fn volume_source(written: &Value) -> Value {
    source::read(written).0
}

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
pub(super) fn volumes(context: &Context<'_>) -> Vec<Value> {
    let mut volumes = Vec::new();
    if has_memory_volume(context) {
        volumes.push(json!({"name": MEMORY, "emptyDir": {"medium": "Memory"}}));
    }
    if context.settings.share_pgsocket_with_sidecars {
        volumes.push(json!({"name": SOCKET, "emptyDir": {"medium": "Memory"}}));
    }
    let secret = &context.settings.additional_secret_mount;
    if !secret.is_empty() {
        volumes.push(json!({"name": volume_name(context, secret), "secret": {"secretName": secret}}));
    }
    volumes.extend(additional::place(context).volumes);
    volumes
}

/// `volumeMounts` of the container `name`, after `own`.
pub(super) fn mounts(context: &Context<'_>, name: &str, own: &[Value]) -> Vec<Value> {
    let mut mounts = own.to_vec();
    mounts.push(data_mount(context));
    if name == POSTGRES_CONTAINER && has_memory_volume(context) {
        mounts.push(json!({"name": MEMORY, "mountPath": MEMORY_MOUNT}));
    }
    if context.settings.share_pgsocket_with_sidecars {
        mounts.push(json!({"name": SOCKET, "mountPath": SOCKET_MOUNT}));
    }
    let secret = &context.settings.additional_secret_mount;
    if !secret.is_empty() {
        mounts.push(json!({
            "name": volume_name(context, secret),
            "mountPath": context.settings.additional_secret_mount_path,
        }));
    }
    mounts.extend(additional::place(context).mounts_of(name));
    mounts
}

/// The original mounts the memory volume even if the manifest says false (D18).
pub(super) fn has_memory_volume(context: &Context<'_>) -> bool {
    let (own, setting) = (context.cluster.spec.enable_shm_volume, context.settings.enable_shm_volume);
    if context.level.repairs(Level::REPAIRED) { own.unwrap_or(setting) } else { own == Some(true) || setting }
}

/// Name of the volume of a Secret: the Secret's, which may have dots and be longer than a volume's
/// name can be (D2). The original uses it as it is, and the API server refuses the pods.
pub(super) fn volume_name(context: &Context<'_>, secret: &str) -> String {
    const LONGEST: usize = 63;
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = secret.len() <= LONGEST
        && secret.chars().all(inside)
        && !secret.starts_with('-')
        && !secret.ends_with('-');
    if fits || !context.level.repairs(Level::REPAIRED) {
        return secret.to_owned();
    }
    // The hash keeps names apart that become the same.
    let hash = format!("{:08x}", crate::names::hash(secret));
    let readable: String = secret.chars().map(|c| if inside(c) { c } else { '-' }).collect();
    let readable: String = readable.trim_matches('-').chars().take(LONGEST - hash.len() - 1).collect();
    format!("{readable}-{hash}")
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

fn tls<'a>(context: &'a Context<'_>) -> Option<&'a Tls> {
    context.cluster.spec.tls.as_ref().filter(|tls| !tls.secret_name.is_empty())
}

/// Volumes with the certificates that `spec.tls` names.
pub(super) fn tls_volumes(context: &Context<'_>) -> Vec<AdditionalVolume> {
    let Some(tls) = tls(context) else { return Vec::new() };
    let mut volumes = vec![certificates(context, &tls.secret_name, "/tls")];
    if let (Some(_), Some(secret)) = (given(&tls.ca_file), given(&tls.ca_secret_name)) {
        volumes.push(certificates(context, secret, "/tlsca"));
    }
    volumes
}

fn certificates(context: &Context<'_>, secret: &str, mount_path: &str) -> AdditionalVolume {
    AdditionalVolume {
        name: volume_name(context, secret),
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
