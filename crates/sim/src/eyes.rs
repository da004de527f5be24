//! What the operator sees: caches that lag behind and lose nothing for ever, and sources that
//! sometimes do not answer.

use std::collections::{BTreeMap, BTreeSet};

use matriarch_plan::{
    ClaimSeen, ContainerEnd, Member, NodeSeen, ObjectKey, ObjectSeen, Observation, PatroniObject,
    PatroniSeen, PodSeen, Seen, bootstrap,
};
use matriarch_sql::PasswordState;
use serde_json::json;

use crate::pods::{Fate, Phase, Pod};
use crate::seed::Seed;
use crate::variant::Rendered;
use crate::world::World;

/// Where parts of an observation come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The StatefulSet and the revisions of templates.
    Set,
    /// Other objects.
    Objects,
    /// Credentials.
    Secrets,
    /// Pods.
    Pods,
    /// Claims.
    Claims,
    /// Patroni's objects, with the leader lock.
    Lock,
    /// Nodes.
    Nodes,
    /// Patroni's own answer; never from a cache.
    Patroni,
    /// The database; never from a cache.
    Catalog,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Set,
        Self::Objects,
        Self::Secrets,
        Self::Pods,
        Self::Claims,
        Self::Lock,
        Self::Nodes,
        Self::Patroni,
        Self::Catalog,
    ];

    fn is_cached(self) -> bool {
        !matches!(self, Self::Patroni | Self::Catalog)
    }
}

/// Of the times at which a source does not answer, those at which it goes on for a while, in percent.
const LONG_SILENCES: u64 = 50;

/// Of the times at which a cache lags behind, those at which its watch hangs, in percent.
const LONG_LAGS: u64 = 20;
/// For so many seconds a watch hangs at most.
const LONG_LAG: u64 = 60;

/// Stands for all Secrets that could not be listed.
const ALL_SECRETS: &str = "(all)";

/// How much goes wrong, in percent of looks at each source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// A source does not answer.
    pub silent: u64,
    /// A cache begins to lag.
    pub lags: u64,
}

/// The operator's caches.
#[derive(Clone, Debug, Default)]
pub struct Eyes {
    /// What is seen; parts that did not change are kept from look to look.
    pub sight: Observation,
    versions: BTreeMap<ObjectKey, u64>,
    lags_until: BTreeMap<Source, u64>,
    silent_until: BTreeMap<Source, u64>,
    as_of: BTreeMap<Source, u64>,
    filled: BTreeSet<Source>,
    catalog_version: u64,
}

impl Eyes {
    /// How old the oldest part is by which pods are judged.
    pub fn as_of(&self) -> u64 {
        let judged =
            [Source::Set, Source::Pods, Source::Lock, Source::Patroni, Source::Claims, Source::Nodes];
        judged.iter().map(|source| self.as_of.get(source).copied().unwrap_or(0)).min().unwrap_or(0)
    }

    /// Looks at everything. `all` adds what only a deletion looks at.
    pub fn look(&mut self, world: &World, rendered: &Rendered, seed: &mut Seed, trouble: Trouble, all: bool) {
        self.sight.has_finalizer = world.manifest.finalizer;
        self.sight.now = world.moment(world.now);
        self.sight.status.clone_from(&world.status);
        self.sight.manifest_created = Some(world.moment(0));
        for source in Source::ALL {
            if trouble.lags > 0 && source.is_cached() && seed.chance(trouble.lags) {
                let most = if seed.chance(LONG_LAGS) { LONG_LAG } else { 8 };
                self.lags_until.insert(source, world.now + 1 + seed.below(most));
            }
            let begins = trouble.silent > 0 && seed.chance(trouble.silent);
            if begins && seed.chance(LONG_SILENCES) {
                let until = world.now + 5 + seed.below(30);
                self.silent_until.insert(source, until);
                // What shows the leader is often lost together.
                if matches!(source, Source::Lock | Source::Patroni) {
                    self.silent_until.extend([(Source::Lock, until), (Source::Patroni, until)]);
                }
            }
            let lasts = self.silent_until.get(&source).is_some_and(|until| *until > world.now);
            let silent = begins || (lasts && trouble.silent > 0);
            if silent {
                self.silence(source);
                self.as_of.insert(source, world.now);
                continue;
            }
            let lags =
                trouble.lags > 0 && self.lags_until.get(&source).is_some_and(|until| *until > world.now);
            // A cache that has nothing yet must be filled before anything is decided.
            if lags && self.filled.contains(&source) {
                continue;
            }
            self.filled.insert(source);
            self.as_of.insert(source, world.now);
            self.refresh(source, world, rendered, all);
        }
        let since = self.sight.nobody_begins_since.unwrap_or(self.sight.now);
        self.sight.nobody_begins_since = bootstrap::nobody_begins(&self.sight).then_some(since);
    }

    /// Who is silent is silent for everybody who asks.
    pub fn hear_of_silences(&mut self, other: &Self) {
        for (source, until) in &other.silent_until {
            let known = self.silent_until.entry(*source).or_default();
            *known = (*known).max(*until);
        }
    }

    /// The source does not answer: what it told before is unknown now.
    pub fn silence(&mut self, source: Source) {
        let why = || format!("simulated silence of {source:?}");
        // What is unknown must be read again.
        self.filled.remove(&source);
        match source {
            Source::Set | Source::Objects => {
                for (key, seen) in &mut self.sight.objects {
                    if (key.kind == "StatefulSet") == (source == Source::Set) {
                        *seen = Seen::Unknown(why());
                        self.versions.remove(key);
                    }
                }
                if source == Source::Set {
                    self.sight.revisions.values_mut().for_each(|seen| *seen = Seen::Unknown(why()));
                }
            }
            Source::Secrets => {
                // The list could not be read: nobody knows what is in it.
                self.sight.secrets.insert(ALL_SECRETS.to_owned(), Seen::Unknown(why()));
                self.sight.secrets.values_mut().for_each(|seen| *seen = Seen::Unknown(why()));
                self.sight.passwords.values_mut().for_each(|state| *state = PasswordState::Unknown);
            }
            Source::Pods => self.sight.pods = Seen::Unknown(why()),
            Source::Claims => self.sight.claims = Seen::Unknown(why()),
            Source::Lock => {
                self.sight.patroni_objects = Seen::Unknown(why());
                self.sight.leader = Seen::Unknown(why());
            }
            Source::Nodes => self.sight.nodes.values_mut().for_each(|node| *node = Seen::Unknown(why())),
            Source::Patroni => self.sight.patroni = Seen::Unknown(why()),
            Source::Catalog => {
                self.sight.catalog = Seen::Unknown(why());
                self.catalog_version = 0;
            }
        }
    }

    fn refresh(&mut self, source: Source, world: &World, rendered: &Rendered, all: bool) {
        let sight = &mut self.sight;
        match source {
            Source::Set => {
                self.refresh_objects(world, rendered, true);
                self.refresh_revisions(world);
            }
            Source::Objects => self.refresh_objects(world, rendered, false),
            Source::Secrets => {
                // What was unknown and is gone meanwhile is not in the list.
                sight.secrets.clear();
                for name in &rendered.secrets {
                    let live = world.secrets.get(name).map(|secret| secret.seen.clone());
                    sight.secrets.insert(name.clone(), live.map_or(Seen::Absent, Seen::Present));
                }
                if all {
                    let live = world.secrets.iter();
                    let live = live.map(|(name, secret)| (name.clone(), Seen::Present(secret.seen.clone())));
                    sight.secrets.extend(live);
                }
                sight.passwords = passwords(world, rendered);
                sight.user_lists = rendered
                    .intent
                    .poolers
                    .iter()
                    .map(|pooler| user_list(world, &pooler.user_list.name))
                    .collect();
            }
            Source::Pods => {
                sight.pods = Seen::Present(pods_seen(world));
                sight.creation_refused.clone_from(&world.creation_refused);
                self.refresh_revisions(world);
            }
            Source::Claims => sight.claims = Seen::Present(claims(world)),
            Source::Lock => {
                sight.patroni_objects = Seen::Present(patroni_objects(world));
                let holder = world.patroni.objects.get("leader").and(world.patroni.holder());
                sight.leader = holder.map_or(Seen::Absent, |holder| Seen::Present(world.pod_name(holder)));
                sight.streams = Seen::Absent;
            }
            Source::Nodes => sight.nodes = nodes(world),
            Source::Patroni => sight.patroni = patroni(world),
            Source::Catalog => {
                if world.leader_up().is_none() {
                    sight.catalog = Seen::Absent;
                    self.catalog_version = 0;
                } else if self.catalog_version != world.catalog_version {
                    sight.catalog = Seen::Present(world.catalog.clone());
                    self.catalog_version = world.catalog_version;
                }
                if sight.secrets.values().all(|secret| secret.unknown().is_none()) {
                    sight.passwords = passwords(world, rendered);
                }
            }
        }
    }

    fn refresh_objects(&mut self, world: &World, rendered: &Rendered, sets: bool) {
        for key in rendered.keys.iter().filter(|key| (key.kind == "StatefulSet") == sets) {
            let live = world.store.objects.get(key);
            let credentials = || world.secrets.get(&key.name).filter(|_| key.kind == "Secret");
            match (live, credentials()) {
                (Some(live), _) => {
                    if self.versions.get(key) != Some(&live.version) {
                        self.versions.insert(key.clone(), live.version);
                        self.sight.objects.insert(key.clone(), Seen::Present(live.seen.clone()));
                    }
                }
                (None, Some(secret)) => {
                    self.versions.remove(key);
                    let seen = ObjectSeen { uid: secret.seen.uid.clone(), body: secret.body.clone() };
                    self.sight.objects.insert(key.clone(), Seen::Present(seen));
                }
                (None, None) => {
                    self.versions.remove(key);
                    self.sight.objects.insert(key.clone(), Seen::Absent);
                }
            }
        }
    }

    /// Templates of the revisions that the pods which are seen were made from.
    fn refresh_revisions(&mut self, world: &World) {
        let Seen::Present(pods) = &self.sight.pods else { return };
        let wanted: Vec<String> = pods.iter().map(|pod| pod.revision.clone()).collect();
        self.sight.revisions.retain(|name, seen| wanted.contains(name) && seen.present().is_some());
        for name in wanted {
            let live = world.revisions.get(&name);
            self.sight
                .revisions
                .entry(name)
                .or_insert_with(|| live.map_or(Seen::Absent, |template| Seen::Present((**template).clone())));
        }
    }
}

fn user_list(world: &World, name: &str) -> (String, Seen<bool>) {
    let there = world.store.objects.contains_key(&ObjectKey::new("Secret", name));
    (name.to_owned(), if there { Seen::Present(true) } else { Seen::Absent })
}

fn passwords(world: &World, rendered: &Rendered) -> BTreeMap<String, PasswordState> {
    let state = |secret: &String, role: &str| {
        let Some(fitting) = world.verifier(secret) else { return PasswordState::Unknown };
        let verifier = world.catalog.roles.get(role).and_then(|role| role.verifier.as_ref());
        if verifier == Some(&fitting) { PasswordState::Matches } else { PasswordState::Differs }
    };
    let roles = rendered.intent.roles.iter();
    roles
        .filter_map(|role| role.secret.as_ref().map(|secret| (secret.clone(), state(secret, &role.name))))
        .collect()
}

/// The pods as the API server shows them.
pub fn pods_seen(world: &World) -> Vec<PodSeen> {
    world.pods.iter().map(|(ordinal, pod)| pod_seen(world, *ordinal, pod)).collect()
}

fn pod_seen(world: &World, ordinal: u32, pod: &Pod) -> PodSeen {
    let ready = pod.is_ready();
    PodSeen {
        ordinal,
        uid: pod.uid.clone(),
        role_label: pod
            .announced
            .as_ref()
            .map(|announced| if announced.leads { "master" } else { "replica" }.to_owned()),
        ready,
        deleting: pod.deleting.is_some(),
        revision: pod.revision.clone(),
        ip: pod.node.map(|node| format!("10.0.{node}.{ordinal}")),
        age_seconds: world.now - pod.created,
        annotations: pod.annotations.clone(),
        waiting: if ready { None } else { pod.waiting() },
        node: pod.node.map(|node| format!("node-{node}")),
        name: world.pod_name(ordinal),
        ready_since: pod.ready_since.map(|since| world.moment(since)),
        restarted: pod.ended.map(|(at, times)| ContainerEnd {
            container: if pod.fate == Fate::Crashes { "extra" } else { "postgres" }.to_owned(),
            at: world.moment(at),
            why: "Error: exit code 1".to_owned(),
            times,
        }),
        database_runs: pod.phase == Phase::Running && pod.fate != Fate::NoImage,
    }
}

fn nodes(world: &World) -> BTreeMap<String, Seen<NodeSeen>> {
    let used = world.pods.values().filter_map(|pod| pod.node);
    let seen = |number: usize| NodeSeen {
        name: format!("node-{number}"),
        unschedulable: world.nodes[number].cordoned,
        ready: world.nodes[number].lost_until.is_none(),
        ..NodeSeen::default()
    };
    used.map(|number| (format!("node-{number}"), Seen::Present(seen(number)))).collect()
}

fn claims(world: &World) -> Vec<ClaimSeen> {
    let project = |(ordinal, claim): (&u32, &crate::pods::Claim)| ClaimSeen {
        name: world.claim_name(*ordinal),
        uid: claim.uid.clone(),
        deleting: claim.deleting,
        created: Some(world.moment(claim.created)),
    };
    world.claims.iter().map(project).collect()
}

fn patroni_objects(world: &World) -> Vec<PatroniObject> {
    let objects = world.patroni.objects.iter();
    objects
        .map(|(suffix, kept)| PatroniObject {
            key: ObjectKey::new("ConfigMap", &format!("{}-{suffix}", world.cluster)),
            uid: kept.uid.clone(),
            metadata: kept.metadata.clone(),
        })
        .collect()
}

/// `GET /cluster` and `GET /config` of any member that answers.
fn patroni(world: &World) -> Seen<PatroniSeen> {
    if !world.pods.values().any(Pod::answers) {
        return Seen::Absent;
    }
    let members = world.pods.iter().filter_map(|(ordinal, pod)| {
        let announced = pod.announced.as_ref()?;
        let leads = world.patroni.holder() == Some(*ordinal);
        let pending = announced.pending.map(|(old, new)| {
            BTreeMap::from([("max_connections".to_owned(), (old.to_string(), new.to_string()))])
        });
        Some(Member {
            name: world.pod_name(*ordinal),
            role: if leads { "leader" } else { "replica" }.to_owned(),
            state: announced.state.clone(),
            lag_bytes: Some(announced.lag),
            pending_restart: pending,
            timeline: Some(world.patroni.timeline),
            ..Member::default()
        })
    });
    let config = world.patroni.config.clone().map_or(Seen::Absent, Seen::Present);
    let paused = world.patroni.config.as_ref().is_some_and(|config| config["pause"] == json!(true));
    let without_database = match world.patroni.holder() {
        Some(_) => BTreeSet::new(),
        None => {
            let waiting = world.pods.keys().filter(|ordinal| world.is_at_a_loss(**ordinal));
            waiting.map(|ordinal| world.pod_name(*ordinal)).collect()
        }
    };
    Seen::Present(PatroniSeen { members: members.collect(), paused, config, without_database })
}
