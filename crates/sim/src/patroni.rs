//! Patroni: the leader lock, elections, switchovers, replication, restarts.

use std::collections::BTreeMap;

use matriarch_plan::Outcome;
use serde_json::{Value, json};

use crate::pods::{Announced, Fate, Pod, Postgres, Spoilt};
use crate::world::{LOOP_WAIT, MOST_LAG, TTL, WRITTEN, World};

/// The leader lock.
#[derive(Clone, Copy, Debug)]
pub struct Lock {
    /// Ordinal of the leader.
    pub holder: u32,
    /// When it was renewed last.
    pub renewed: u64,
}

/// One of Patroni's ConfigMaps.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Uid.
    pub uid: String,
    /// `metadata`.
    pub metadata: Value,
}

/// What Patroni keeps.
#[derive(Clone, Debug, Default)]
pub struct Patroni {
    /// The lock; its holder may be silent for long.
    pub lock: Option<Lock>,
    /// Dynamic configuration.
    pub config: Option<Value>,
    /// ConfigMaps by the end of their name.
    pub objects: BTreeMap<&'static str, Kept>,
    /// A switchover to this member ends then.
    pub switching: Option<(u32, u64)>,
    /// An election ends then.
    pub elects_at: Option<u64>,
    /// The last leader ended by something that we did.
    pub ended_by_us: bool,
    /// A database was once made.
    pub initialized: bool,
    /// Changes of the leader so far.
    pub timeline: u64,
    /// End of the log that was acknowledged to clients.
    pub acknowledged: u64,
}

impl Patroni {
    /// Ordinal of the holder of the lock.
    pub fn holder(&self) -> Option<u32> {
        self.lock.map(|lock| lock.holder)
    }

    /// A member has ended in good order.
    pub fn released(&mut self, ordinal: u32) {
        if self.holder() == Some(ordinal) {
            self.lock = None;
        }
    }

    /// Failover is switched off.
    pub fn is_paused(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config["pause"] == json!(true))
    }

    /// Somebody began to make the first database, and has not ended.
    pub fn is_taken(&self) -> bool {
        let config = self.objects.get(CONFIG);
        config.is_some_and(|config| config.metadata["annotations"]["initialize"] == "")
    }

    /// `max_connections` as configured.
    pub fn connections(&self) -> u64 {
        self.config.as_ref().map_or(DEFAULT_CONNECTIONS, connections_of)
    }
}

/// End of the name of the ConfigMap with configuration and the key `initialize`.
const CONFIG: &str = "config";
/// Identifier of the database system.
const SYSTEM: &str = "7713313735200956449";

impl World {
    /// Who was about to make the first database is gone: the key stays, and sometimes what is no database.
    pub(crate) fn cut_off(&mut self, ordinal: u32) {
        let begun = |pod: &Pod| matches!(pod.postgres, Postgres::Starting(_) | Postgres::Running(_));
        let is_first = !self.patroni.initialized && self.patroni.config.is_none();
        if !is_first || self.patroni.is_taken() || !self.pods.get(&ordinal).is_some_and(begun) {
            return;
        }
        if self.seed.chance(50) {
            return;
        }
        let created = self.moment(self.now).to_string();
        let metadata =
            json!({"name": CONFIG, "creationTimestamp": created, "annotations": {"initialize": ""}});
        let uid = self.patroni.objects.get(CONFIG).map_or_else(|| self.store.uid(), |kept| kept.uid.clone());
        self.patroni.objects.insert(CONFIG, Kept { uid, metadata });
        if self.seed.chance(50)
            && let Some(claim) = self.claims.get_mut(&ordinal)
        {
            claim.spoilt = Spoilt::Data;
        }
        self.begin_again();
    }

    /// While there is no database, whoever is up waits for its turn.
    pub(crate) fn begin_again(&mut self) {
        let until = self.soon(2, 8);
        if self.patroni.initialized {
            return;
        }
        for pod in self.pods.values_mut().filter(|pod| pod.postgres != Postgres::Off) {
            pod.postgres = Postgres::Starting(until);
        }
    }

    /// Whether a member has no database and makes none.
    pub fn is_at_a_loss(&self, ordinal: u32) -> bool {
        let spoilt = self.claims.get(&ordinal).is_some_and(|claim| claim.spoilt != Spoilt::No);
        let starts = |pod: &Pod| matches!(pod.postgres, Postgres::Starting(until) if until <= self.now);
        let answers = self.pods.get(&ordinal).is_some_and(|pod| pod.answers() && starts(pod));
        answers && !self.patroni.initialized && (self.patroni.is_taken() || spoilt)
    }

    /// Whether the holder of the lock serves.
    pub fn leader_up(&self) -> Option<u32> {
        let holder = self.patroni.holder()?;
        self.pods.get(&holder).is_some_and(Pod::serves).then_some(holder)
    }

    /// Whether the newest data is where nobody can get at it: no member that runs, or may come up, is
    /// near enough to lead.
    pub fn is_stranded(&self) -> bool {
        let may_lead = |(ordinal, pod): (&u32, &Pod)| pod.fate == Fate::Runs && self.is_near(*ordinal);
        self.leader_up().is_none() && !self.pods.iter().any(may_lead)
    }

    /// How much of the log a member has.
    fn log_of(&self, ordinal: u32) -> u64 {
        self.claims.get(&ordinal).map_or(0, |claim| claim.log)
    }

    /// Whether a member is not too far behind to lead.
    fn is_near(&self, ordinal: u32) -> bool {
        self.log_of(ordinal) + MOST_LAG >= self.patroni.acknowledged
    }

    /// Whether the member with the newest data is one that the StatefulSet has removed.
    pub fn newest_is_scaled_away(&self) -> bool {
        let replicas = self.set.as_ref().map_or(0, |set| set.replicas);
        let newest = self.claims.iter().max_by_key(|(_, claim)| claim.log);
        newest.is_some_and(|(ordinal, _)| *ordinal >= replicas)
    }

    /// Somebody has one of the members lead that are left, whatever is lost (`patronictl failover`).
    pub fn accept_the_loss(&mut self) {
        let left = self.pods.keys().filter_map(|ordinal| self.claims.get(ordinal));
        self.patroni.acknowledged = left.map(|claim| claim.log).max().unwrap_or(0);
        self.patroni.ended_by_us = false;
    }

    pub(crate) fn patroni_tick(&mut self) {
        self.finish_switchover();
        self.renew();
        self.elect();
        let ordinals: Vec<u32> = self.pods.keys().copied().collect();
        for ordinal in ordinals {
            self.member(ordinal);
            self.announce(ordinal);
        }
        self.keep_objects();
    }

    fn renew(&mut self) {
        let Some(leader) = self.leader_up() else { return };
        if self.patroni.switching.is_some() {
            return;
        }
        self.patroni.lock = Some(Lock { holder: leader, renewed: self.now });
        if let Some(claim) = self.claims.get_mut(&leader) {
            claim.log += WRITTEN;
            self.patroni.acknowledged = claim.log;
        }
    }

    /// The lock is free, or its holder was silent for too long.
    fn elect(&mut self) {
        let is_free = match self.patroni.lock {
            None => true,
            Some(lock) => lock.renewed + TTL < self.now && self.leader_up().is_none(),
        };
        if !is_free || self.patroni.switching.is_some() {
            self.patroni.elects_at = None;
            return;
        }
        if self.patroni.lock.is_some() && self.patroni.is_paused() {
            return;
        }
        match self.patroni.elects_at {
            None => self.patroni.elects_at = Some(self.soon(1, 3)),
            Some(at) if at > self.now => {}
            Some(_) => {
                if let Some(winner) = self.winner() {
                    self.crown(winner);
                    self.patroni.elects_at = None;
                }
            }
        }
    }

    /// The reachable member with the most of the log, if it is not too far behind.
    fn winner(&self) -> Option<u32> {
        let runs = |pod: &Pod| {
            pod.answers()
                && pod.deleting.is_none()
                && matches!(pod.postgres, Postgres::Running(_) | Postgres::Streaming)
        };
        if !self.patroni.initialized && self.patroni.is_taken() {
            return None;
        }
        let fits = |ordinal: &u32| !self.patroni.initialized || self.is_near(*ordinal);
        let running = self.pods.iter().filter(|(_, pod)| runs(pod)).map(|(ordinal, _)| *ordinal);
        let sound = |ordinal: &u32| self.claims.get(ordinal).is_some_and(|claim| claim.spoilt == Spoilt::No);
        running.filter(fits).filter(sound).max_by_key(|ordinal| (self.log_of(*ordinal), u32::MAX - ordinal))
    }

    fn crown(&mut self, winner: u32) {
        let before = self.patroni.holder();
        let held = self.log_of(winner);
        self.patroni.timeline += 1;
        let harmed = self.patroni.ended_by_us && !self.manifest.deleting;
        if held < self.patroni.acknowledged && harmed {
            let lost = self.patroni.acknowledged - held;
            self.harm = Some(format!("{lost} acknowledged bytes are lost by what we did to the primary"));
        }
        self.patroni.acknowledged = held.max(1);
        self.patroni.initialized = true;
        if let Some(kept) = self.patroni.objects.get_mut(CONFIG) {
            kept.metadata["annotations"]["initialize"] = json!(SYSTEM);
            kept.metadata["annotations"]["config"] = json!("{}");
        }
        self.patroni.lock = Some(Lock { holder: winner, renewed: self.now });
        let connections = self.patroni.connections();
        if let Some(claim) = self.claims.get_mut(&winner) {
            claim.log = held.max(1);
        }
        let template = self.pods.get_mut(&winner).map(|pod| {
            pod.postgres = Postgres::Streaming;
            pod.connections = if pod.connections == 0 { connections } else { pod.connections };
            pod.template.clone()
        });
        if self.patroni.config.is_none()
            && let Some(template) = template
        {
            self.patroni.config = Some(dynamic_configuration(&template));
            let connections = self.patroni.connections();
            if let Some(pod) = self.pods.get_mut(&winner) {
                pod.connections = connections;
            }
        }
        if before != Some(winner) && !self.patroni.ended_by_us {
            self.blow();
        }
        self.patroni.ended_by_us = false;
        self.changed();
    }

    /// PostgreSQL of one member starts, connects, follows.
    fn member(&mut self, ordinal: u32) {
        let leader = self.leader_up();
        let leads = self.patroni.holder() == Some(ordinal);
        let is_slow = self.slow.get(&ordinal).is_some_and(|until| *until > self.now);
        // Before the first leader there is only what the template says.
        let wanted = match (&self.patroni.config, self.pods.get(&ordinal)) {
            (None, Some(pod)) => connections_of(&dynamic_configuration(&pod.template)),
            _ => self.patroni.connections(),
        };
        let of_leader = leader.and_then(|leader| self.pods.get(&leader)).map(|pod| pod.connections);
        let end = leader.and_then(|leader| self.claims.get(&leader)).map(|claim| claim.log);
        let joins_at = self.soon(1, 3);
        let (now, initialized) = (self.now, self.patroni.initialized);
        let waits = self.is_at_a_loss(ordinal);
        let (Some(pod), Some(claim)) = (self.pods.get_mut(&ordinal), self.claims.get_mut(&ordinal)) else {
            return;
        };
        if pod.unreachable || pod.deleting.is_some() {
            return;
        }
        match pod.postgres {
            Postgres::Off => {}
            Postgres::Starting(until) if until > now || waits => {}
            Postgres::Starting(_) => {
                let is_copy = initialized && claim.log == 0;
                if is_copy {
                    let Some(end) = end else { return };
                    claim.log = end;
                }
                // A standby may not have less than its primary.
                pod.connections = if leads { wanted } else { wanted.max(of_leader.unwrap_or(0)) };
                pod.postgres = if leads { Postgres::Streaming } else { Postgres::Running(joins_at) };
            }
            Postgres::Running(until) if until > now => {}
            Postgres::Running(_) => {
                if leads || (leader.is_some() && claim.spoilt == Spoilt::No) {
                    pod.postgres = Postgres::Streaming;
                }
            }
            Postgres::Streaming if leads => {}
            Postgres::Streaming => match end {
                None => pod.postgres = Postgres::Running(joins_at),
                Some(_) if is_slow => {}
                Some(end) => claim.log = end,
            },
        }
    }

    /// A member writes about itself at once when its state changes, and else now and then. The label of
    /// one that led before stays until its next round.
    fn announce(&mut self, ordinal: u32) {
        let leads = self.patroni.holder() == Some(ordinal);
        let end = self.patroni.acknowledged;
        let wanted = self.patroni.connections();
        let log = self.log_of(ordinal);
        let initialized = self.patroni.initialized;
        let waits = self.is_at_a_loss(ordinal);
        let is_time = (self.now + u64::from(ordinal)).is_multiple_of(3);
        let is_round = (self.now + u64::from(ordinal)).is_multiple_of(LOOP_WAIT);
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        if !pod.answers() || pod.deleting.is_some() {
            return;
        }
        let state = match pod.postgres {
            Postgres::Off => return,
            Postgres::Starting(_) if waits => "stopped",
            Postgres::Starting(_) if initialized && log == 0 => "creating replica",
            Postgres::Starting(_) => "starting",
            Postgres::Streaming if leads => "running",
            Postgres::Running(_) => "running",
            Postgres::Streaming => "streaming",
        };
        let runs = matches!(pod.postgres, Postgres::Running(_) | Postgres::Streaming);
        let pending = (runs && pod.connections != wanted).then_some((pod.connections, wanted));
        let same = pod.announced.as_ref().is_some_and(|old| old.state == state && old.pending == pending);
        if !same || is_time {
            let lag = if leads { 0 } else { end.saturating_sub(log) };
            let was_said = pod.announced.as_ref().is_some_and(|old| old.leads);
            let leads = leads || (was_said && !is_round);
            pod.announced = Some(Announced { state: state.to_owned(), lag, pending, leads });
        }
    }

    /// A living Patroni makes its ConfigMaps again.
    fn keep_objects(&mut self) {
        if self.patroni.lock.is_none() || self.leader_up().is_none() {
            return;
        }
        for name in ["leader", CONFIG] {
            if !self.patroni.objects.contains_key(name) {
                let mut metadata = json!({"name": name});
                if name == CONFIG {
                    metadata["annotations"] = json!({"initialize": SYSTEM, "config": "{}"});
                }
                let kept = Kept { uid: self.store.uid(), metadata };
                self.patroni.objects.insert(name, kept);
            }
        }
    }

    /// `POST /switchover`.
    pub fn switch_over(&mut self, from: &str, to: &str) -> Outcome {
        let refused = |why: &str| Outcome::Failed(format!("412 {why}"));
        let (Some(from), Some(to)) = (self.ordinal(from), self.ordinal(to)) else {
            return refused("no such member");
        };
        if self.patroni.holder() != Some(from) || self.patroni.switching.is_some() {
            return refused("leader name does not match");
        }
        let serves = |ordinal: u32| self.pods.get(&ordinal).is_some_and(Pod::serves);
        if !serves(from) || !serves(to) || from == to {
            return refused("no healthy candidate");
        }
        if !self.is_near(to) {
            return refused("the candidate is too far behind");
        }
        if self.seed.chance(10) {
            return Outcome::Failed("503 switchover failed".to_owned());
        }
        let at = self.soon(1, 3);
        let until = at + 1 + self.seed.below(3);
        if let Some(pod) = self.pods.get_mut(&from) {
            pod.stop("stopping", until);
        }
        self.patroni.switching = Some((to, at));
        self.patroni.ended_by_us = true;
        Outcome::Applied
    }

    fn finish_switchover(&mut self) {
        let Some((to, at)) = self.patroni.switching else { return };
        if at > self.now {
            return;
        }
        self.patroni.switching = None;
        let takes_over = self.pods.get(&to).is_some_and(|pod| {
            pod.answers() && matches!(pod.postgres, Postgres::Running(_) | Postgres::Streaming)
        });
        if !takes_over {
            // The candidate fell meanwhile: what that costs was not done by us.
            self.patroni.ended_by_us = false;
            self.patroni.lock = None;
            self.blow();
            return;
        }
        // The old primary was shut down in good order: the new one has all of its log.
        if let Some(claim) = self.claims.get_mut(&to) {
            claim.log = self.patroni.acknowledged;
        }
        self.crown(to);
    }

    /// `POST /reinitialize`: the data is copied anew from the leader.
    pub fn reinitialize(&mut self, name: &str) -> Outcome {
        let until = self.soon(4, 4);
        let Some(ordinal) = self.ordinal(name) else { return Outcome::Failed("no such member".to_owned()) };
        if self.patroni.holder() == Some(ordinal) {
            return Outcome::Failed("503 I am the leader, can not reinitialize".to_owned());
        }
        let answers = self.pods.get(&ordinal).is_some_and(|pod| pod.answers() && pod.deleting.is_none());
        let (Some(pod), Some(claim), true) =
            (self.pods.get_mut(&ordinal), self.claims.get_mut(&ordinal), answers)
        else {
            return Outcome::Failed(format!("{name} does not answer"));
        };
        claim.log = 0;
        if claim.spoilt == Spoilt::Data {
            claim.spoilt = Spoilt::No;
        }
        pod.stop("creating replica", until);
        Outcome::Applied
    }

    /// `POST /restart` with `restart_pending`.
    pub fn restart(&mut self, name: &str) -> Outcome {
        let until = self.soon(2, 3);
        let wanted = self.patroni.connections();
        let pod = self.ordinal(name).and_then(|ordinal| self.pods.get_mut(&ordinal));
        let Some(pod) = pod.filter(|pod| pod.answers() && pod.deleting.is_none()) else {
            return Outcome::Failed(format!("{name} does not answer"));
        };
        let runs = matches!(pod.postgres, Postgres::Running(_) | Postgres::Streaming);
        if runs && pod.connections != wanted {
            pod.stop("restarting", until);
        }
        Outcome::Applied
    }
}

/// What PostgreSQL takes where nothing is configured.
const DEFAULT_CONNECTIONS: u64 = 100;

fn connections_of(config: &Value) -> u64 {
    let value = &config["postgresql"]["parameters"]["max_connections"];
    value.as_str().and_then(|text| text.parse().ok()).or(value.as_u64()).unwrap_or(DEFAULT_CONNECTIONS)
}

/// `bootstrap.dcs` of the configuration in a template.
fn dynamic_configuration(template: &Value) -> Value {
    let containers = template["spec"]["containers"].as_array().into_iter().flatten();
    let variables = containers.filter_map(|container| container["env"].as_array()).flatten();
    let found = variables.filter(|variable| variable["name"] == "SPILO_CONFIGURATION");
    let parsed = found.filter_map(|variable| serde_json::from_str::<Value>(variable["value"].as_str()?).ok());
    let dcs = parsed.map(|mut all| all["bootstrap"]["dcs"].take()).find(Value::is_object);
    dcs.unwrap_or_else(|| json!({"postgresql": {"parameters": {}}}))
}
