//! What the operator sees of the simulated world, with sources that sometimes fail.

use std::collections::BTreeMap;

use matriarch_cluster::Intent;
use matriarch_plan::{
    ClaimSeen, Member, ObjectKey, ObjectSeen, Observation, PatroniObject, PatroniSeen, PodSeen, Seen,
};
use matriarch_sql::PasswordState;
use serde_json::{Value, json};

use crate::seed::Seed;
use crate::world::{World, revision_of};

/// Observes; each source fails in `fault_percent` of cases.
pub fn observe(world: &World, intent: &Intent, seed: &mut Seed, fault_percent: u64) -> Observation {
    let mut fails = || seed.chance(fault_percent);
    let credentials: Vec<&str> = intent.secrets.iter().map(|secret| secret.object.name.as_str()).collect();
    let rendered = intent.objects().filter(|object| !credentials.contains(&object.name.as_str()));
    let keys = rendered.map(|object| ObjectKey::new(&object.kind, &object.name));
    let unwanted = intent.unwanted.iter().map(|unwanted| ObjectKey::new(&unwanted.kind, &unwanted.name));
    let objects = keys.chain(unwanted).map(|key| {
        let live = world.objects.get(&key).cloned().map(with_status);
        let seen = source(fails(), live);
        (key, seen)
    });
    let objects: BTreeMap<_, _> = objects.collect();
    let secrets = intent.secrets.iter().map(|secret| {
        let name = secret.object.name.clone();
        let live = world.secrets.get(&name).cloned();
        (name, source(fails(), live))
    });
    let secrets: BTreeMap<_, _> = secrets.collect();
    let leader_up = world.leader.clone().is_some_and(|leader| world.is_up(&leader));
    let catalog = if leader_up { source(fails(), Some(world.catalog.clone())) } else { Seen::Absent };
    let passwords = intent.roles.iter().filter_map(|role| {
        let secret = role.secret.clone()?;
        if !world.secrets.contains_key(&secret) {
            return Some((secret, PasswordState::Unknown));
        }
        let set = world.catalog.roles.get(&role.name).is_some_and(|role| role.verifier.is_some());
        Some((secret, if set { PasswordState::Matches } else { PasswordState::Differs }))
    });
    Observation {
        has_finalizer: world.finalizer,
        objects,
        secrets,
        pods: source(fails(), Some(pods(world))),
        revisions: revisions(world, &mut fails),
        claims: source(fails(), Some(claims(world))),
        patroni_objects: source(fails(), Some(patroni_objects(world))),
        user_lists: world.user_lists.iter().map(|name| (name.clone(), source(fails(), Some(true)))).collect(),
        streams: Seen::Absent,
        leader: source(fails(), world.leader.clone()),
        patroni: source(fails(), patroni(world)),
        catalog,
        passwords: passwords.collect(),
        ..Observation::default()
    }
}

fn source<T>(fails: bool, value: Option<T>) -> Seen<T> {
    match (fails, value) {
        (true, _) => Seen::Unknown("simulated outage".to_owned()),
        (false, Some(value)) => Seen::Present(value),
        (false, None) => Seen::Absent,
    }
}

/// What the StatefulSet controller writes into the status.
fn with_status(mut live: ObjectSeen) -> ObjectSeen {
    if live.body["kind"] == "StatefulSet" {
        live.body["metadata"]["generation"] = json!(1);
        let revision = revision_of(&live.body["spec"]["template"]);
        live.body["status"] = json!({"observedGeneration": 1, "updateRevision": revision});
    }
    live
}

fn revisions(world: &World, fails: &mut impl FnMut() -> bool) -> BTreeMap<String, Seen<Value>> {
    let of_pods = world.pods.values().map(|pod| (pod.revision.clone(), pod.template.clone()));
    let templates: BTreeMap<_, _> = of_pods.collect();
    templates.into_iter().map(|(name, template)| (name, source(fails(), Some(template)))).collect()
}

fn pods(world: &World) -> Vec<PodSeen> {
    let project = |(ordinal, pod): (&u32, &crate::world::Pod)| {
        let name = world.pod_name(*ordinal);
        let role = if world.leader.as_ref() == Some(&name) { "master" } else { "replica" };
        PodSeen {
            ordinal: *ordinal,
            uid: pod.uid.clone(),
            role_label: pod.is_up().then(|| role.to_owned()),
            ready: pod.is_up(),
            deleting: pod.terminating.is_some(),
            revision: pod.revision.clone(),
            ip: Some("10.0.0.1".to_owned()),
            age_seconds: 60,
            annotations: BTreeMap::new(),
            waiting: pod.is_broken().then(|| "ImagePullBackOff: no such image".to_owned()),
            name,
            ..PodSeen::default()
        }
    };
    world.pods.iter().map(project).collect()
}

fn claims(world: &World) -> Vec<ClaimSeen> {
    let project =
        |(name, uid): (&String, &String)| ClaimSeen { name: name.clone(), uid: uid.clone(), deleting: false };
    world.claims.iter().map(project).collect()
}

fn patroni_objects(world: &World) -> Vec<PatroniObject> {
    let object = |suffix: &str| PatroniObject {
        key: ObjectKey::new("ConfigMap", &format!("{}-{suffix}", world.cluster)),
        ..PatroniObject::default()
    };
    let leader = world.leader.is_some().then(|| object("leader"));
    let config = world.config.is_some().then(|| object("config"));
    leader.into_iter().chain(config).collect()
}

fn patroni(world: &World) -> Option<PatroniSeen> {
    let members: Vec<Member> = world
        .pods
        .iter()
        .filter(|(_, pod)| pod.is_up())
        .map(|(ordinal, _)| {
            let name = world.pod_name(*ordinal);
            let leads = world.leader.as_ref() == Some(&name);
            Member {
                role: if leads { "leader" } else { "replica" }.to_owned(),
                state: if leads { "running" } else { "streaming" }.to_owned(),
                lag_bytes: Some(0),
                name,
                ..Member::default()
            }
        })
        .collect();
    if members.is_empty() {
        return None;
    }
    let config = world.config.clone().map_or(Seen::Absent, Seen::Present);
    Some(PatroniSeen { members, paused: false, config })
}
