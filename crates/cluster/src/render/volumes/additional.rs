//! The manifest's volumes, then those of certificates: which are accepted, and where each is mounted.

use matriarch_api::{AdditionalVolume, Problem};
use serde_json::{Value, json};

use super::{MEMORY, MEMORY_MOUNT, SOCKET, SOCKET_MOUNT, put_sub_path, source, tls_volumes, volume_name};
use crate::level::Level;
use crate::names::{DATA_MOUNT, DATA_VOLUME, POSTGRES_CONTAINER};
use crate::render::Context;

const ALL: &str = "all";

/// Volumes and mounts of a pod beyond those that every pod has.
#[derive(Default)]
pub(super) struct Placed {
    pub(super) volumes: Vec<Value>,
    mounts: Vec<Mount>,
    notices: Vec<Problem>,
}

struct Mount {
    /// Names of containers, or `all`; a name twice means two mounts.
    targets: Vec<String>,
    body: Value,
}

impl Mount {
    fn reaches(&self, container: &str) -> usize {
        self.targets.iter().filter(|target| *target == ALL || *target == container).count()
    }

    /// Whether `other` would be at the same place of the same container.
    fn meets(&self, other: &Self) -> bool {
        let is_in = |target: &String| target == ALL || other.reaches(target) > 0;
        self.body["mountPath"] == other.body["mountPath"] && self.targets.iter().any(is_in)
    }
}

impl Placed {
    /// The mounts of one container.
    pub(super) fn mounts_of(&self, container: &str) -> Vec<Value> {
        let times = |mount: &Mount| vec![mount.body.clone(); mount.reaches(container)];
        self.mounts.iter().flat_map(times).collect()
    }
}

/// What the owner should know about the manifest's volumes.
pub(in crate::render) fn notices(context: &Context<'_>) -> Vec<Problem> {
    place(context).notices
}

pub(super) fn place(context: &Context<'_>) -> Placed {
    let own = context.cluster.spec.additional_volumes.clone().unwrap_or_default();
    let all = own.into_iter().chain(tls_volumes(context)).collect();
    if context.level.repairs(Level::REPAIRED) { repaired(context, all) } else { original(all) }
}

/// As the original does it (D19): a volume whose path is used already is left out, but if it names
/// its containers its mount stays; `all` beside names mounts twice; two volumes may have one name.
/// The API server refuses what comes of it, except for a mount of an earlier volume's name.
fn original(all: Vec<AdditionalVolume>) -> Placed {
    let mut placed = Placed::default();
    let mut paths = vec![DATA_MOUNT.to_owned()];
    for volume in all {
        let left_out = paths.contains(&volume.mount_path);
        let mut targets = volume.target_containers.clone().unwrap_or_default();
        if !left_out {
            if targets.is_empty() {
                targets.push(POSTGRES_CONTAINER.to_owned());
            }
            placed.volumes.push(body(&volume.name, &source::read(&volume.volume_source).0));
            paths.push(volume.mount_path.clone());
        }
        placed.mounts.push(Mount { targets, body: mount(&volume) });
    }
    placed
}

/// Each place of each container is used once, and a volume of one name is there once, mounted as
/// often as the manifest asks for.
fn repaired(context: &Context<'_>, all: Vec<AdditionalVolume>) -> Placed {
    let own = context.cluster.spec.additional_volumes.iter().flatten().count();
    let taken = operators(context);
    let mut placed = Placed::default();
    for (index, mut volume) in all.into_iter().enumerate() {
        let of_certificates = index >= own;
        let field =
            if of_certificates { "spec.tls".to_owned() } else { format!("spec.additionalVolumes[{index}]") };
        let mut mount =
            Mount { targets: targets(&field, &volume, &mut placed.notices), body: mount(&volume) };
        if taken.iter().chain(&placed.mounts).any(|other| other.meets(&mount)) {
            placed.notices.push(left_out(&field, "mountPath", &volume.mount_path, "path"));
            continue;
        }
        let (source, unknown) = source::read(&volume.volume_source);
        placed.notices.extend(unknown.iter().map(|key| unknown_key(&field, key)));
        let is_other = |name: &str| {
            let rendered = body(name, &source);
            let twin = placed.volumes.iter().find(|volume| volume["name"] == rendered["name"]);
            twin.map_or_else(|| operators_names(context).contains(&name.to_owned()), |twin| *twin != rendered)
        };
        if is_other(&volume.name) {
            if !of_certificates {
                placed.notices.push(left_out(&field, "name", &volume.name, "name"));
                continue;
            }
            volume.name = format!("{:.59}-tls", volume.name);
            mount.body["name"] = json!(volume.name);
        }
        let rendered = body(&volume.name, &source);
        if !placed.volumes.contains(&rendered) {
            placed.volumes.push(rendered);
        }
        placed.mounts.push(mount);
    }
    placed
}

fn left_out(field: &str, key: &str, value: &str, noun: &str) -> Problem {
    Problem::new(
        format!("{field}.{key}"),
        format!("{value} is already used, so this volume is left out"),
        format!("choose another {noun}"),
    )
}

fn unknown_key(field: &str, key: &str) -> Problem {
    Problem::new(
        format!("{field}.volumeSource.{key}"),
        "is no field of a volume, so it has no effect",
        "remove it or correct its spelling",
    )
}

/// `all` beside names means all.
fn targets(field: &str, volume: &AdditionalVolume, notices: &mut Vec<Problem>) -> Vec<String> {
    let mut targets = volume.target_containers.clone().unwrap_or_default();
    if targets.is_empty() {
        return vec![POSTGRES_CONTAINER.to_owned()];
    }
    if targets.len() > 1 && targets.iter().any(|target| target == ALL) {
        notices.push(Problem::new(
            format!("{field}.targetContainers"),
            "has all beside other names, which is the same as all",
            "leave all out, or the other names",
        ));
        return vec![ALL.to_owned()];
    }
    targets.sort();
    targets.dedup();
    targets
}

/// Places that every pod uses.
fn operators(context: &Context<'_>) -> Vec<Mount> {
    let at = |path: &str, target: &str| Mount {
        targets: vec![target.to_owned()],
        body: json!({"mountPath": path}),
    };
    let settings = context.settings;
    let mut places = vec![at(DATA_MOUNT, ALL)];
    if super::has_memory_volume(context) {
        places.push(at(MEMORY_MOUNT, POSTGRES_CONTAINER));
    }
    if settings.share_pgsocket_with_sidecars {
        places.push(at(SOCKET_MOUNT, ALL));
    }
    if !settings.additional_secret_mount.is_empty() {
        places.push(at(&settings.additional_secret_mount_path, ALL));
    }
    places
}

/// Names of volumes that every pod has.
fn operators_names(context: &Context<'_>) -> Vec<String> {
    let settings = context.settings;
    let secret = &settings.additional_secret_mount;
    let names = [
        (true, DATA_VOLUME.to_owned()),
        (super::has_memory_volume(context), MEMORY.to_owned()),
        (settings.share_pgsocket_with_sidecars, SOCKET.to_owned()),
        (!secret.is_empty(), volume_name(context, secret)),
    ];
    names.into_iter().filter(|(used, _)| *used).map(|(_, name)| name).collect()
}

fn body(name: &str, source: &Value) -> Value {
    let mut rendered = json!({"name": name});
    if let (Some(rendered), Value::Object(source)) = (rendered.as_object_mut(), source) {
        rendered.extend(source.clone());
    }
    rendered
}

fn mount(volume: &AdditionalVolume) -> Value {
    let mut mount = json!({"name": volume.name, "mountPath": volume.mount_path});
    put_sub_path(&mut mount, volume.sub_path.as_deref(), volume.is_sub_path_expr);
    mount
}
