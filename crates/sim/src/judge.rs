//! The properties: what must hold at each step, whatever goes wrong (reference 06 §8.8), and what
//! users of a database care about.
//!
//! A planner can only know what it could see. So the facts that other steps of ours brought about
//! always count, and those that befell the world after the sight that a plan rests on do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use matriarch_api::PostgresqlStatus;
use matriarch_cluster::policy::Healing;
use matriarch_plan::difference::template_differences;
use matriarch_plan::{Action, ObjectKey, Outcome, Plan, PodSeen, Risk};
use serde_json::Value;

use crate::goal;
use crate::pods::{Fate, Pod, Postgres, Spoilt};
use crate::variant::{Rendered, Variant};
use crate::world::World;

/// What is kept when the cluster is deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Credentials.
    pub secrets: bool,
    /// Volumes.
    pub claims: bool,
}

/// On what an action rests.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The manifest as the operator knew it.
    pub rendered: &'a Rendered,
    /// When the oldest part of the sight was true.
    pub as_of: u64,
    /// The manifest is being deleted, as the operator knew.
    pub deletes: bool,
    /// The pods, as they were seen.
    pub pods: &'a [PodSeen],
    /// A request of a former leader that was under way.
    pub former: bool,
}

/// What was counted so far.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    /// When the manifest changed last.
    pub edited: u64,
    /// No pod may be touched: a take-over, before anything was changed.
    pub take_over: bool,
    /// An object of ours by name that is somebody else's.
    pub foreign: Option<ObjectKey>,
    /// What a deletion keeps.
    pub keeps: Retention,
    /// Since when Patroni is paused.
    pub patroni_paused: Option<u64>,
    /// Disruptions that took effect.
    pub disruptions: u32,
    /// Any effects.
    pub effects: u32,
    broken: u32,
    /// Members that a bad template costs, and switchovers that count, when the action at hand takes
    /// effect.
    at_stake: (u32, u32),
    switchovers: u32,
    /// The switchover at hand leaves a node: what the rollout did before is undone by it.
    undoes: bool,
    /// When the last switchover took effect.
    switched: u64,
    /// The manifest as it stands.
    variant: Variant,
    templates: Vec<(u64, Arc<Value>)>,
}

/// A container that ended so few seconds ago is not to be relied on.
const STEADY_AFTER: u64 = 60;

type Verdict = Result<(), String>;

fn must(holds: bool, property: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(property()) }
}

impl Judge {
    /// The manifest changed.
    pub fn edit(&mut self, now: u64, variant: Variant) {
        self.edited = now;
        self.variant = variant;
        self.take_over = false;
        self.broken = 0;
        self.switchovers = 0;
    }

    /// What must hold of every plan.
    ///
    /// # Errors
    /// What does not.
    pub fn plan(&self, plan: &Plan) -> Verdict {
        must(plan.disruptive_steps() <= 1, || "P5: at most one disruptive step per plan".to_owned())?;
        for step in &plan.steps {
            let named = step.because.iter().all(|reason| !reason.0.is_empty()) && !step.because.is_empty();
            must(named, || format!("every step has a reason: {}", step.action))?;
        }
        for gate in &plan.gates {
            let told = !gate.until.is_empty() && !gate.because.is_empty();
            must(told, || "every wait says what is awaited and why".to_owned())?;
        }
        Ok(())
    }

    /// What must hold before an action takes effect.
    ///
    /// # Errors
    /// What does not.
    pub fn before(&mut self, world: &World, action: &Action, ground: Ground<'_>) -> Verdict {
        self.note_template(world);
        self.undoes = false;
        must(!ground.rendered.intent.policy.paused || ground.deletes, || {
            format!("P10: a paused cluster is left alone: {action}")
        })?;
        if self.is_writing(action) {
            must(world.manifest.finalizer || ground.deletes, || {
                format!("nothing is made before the finalizer is set: {action}")
            })?;
        }
        match action {
            Action::DeletePod { name, uid, .. } => self.pod(world, name, uid, ground),
            Action::Reinitialize { name } => self.healing(world, name, ground),
            Action::DeleteClaim { name, uid } => self.claim(world, name, uid, ground),
            Action::RestartMember { name } => self.restart(world, name, ground),
            Action::Switchover { from, to } => self.switchover(world, from, to, ground),
            Action::Apply { object, .. } => {
                self.own(&ObjectKey::new(&object.kind, &object.name), action)?;
                if object.kind != "StatefulSet" {
                    return Ok(());
                }
                volumes(world, &object.body, ground)?;
                self.scale(world, &object.body, ground)
            }
            Action::ReplaceStatefulSet { object, .. } => {
                volumes(world, &object.body, ground)?;
                self.own(&ObjectKey::new(&object.kind, &object.name), action)
            }
            Action::Replace { object, .. } => self.own(&ObjectKey::new(&object.kind, &object.name), action),
            Action::Delete { key, .. } => {
                self.own(key, action)?;
                if ground.deletes { self.removal(world, key, ground) } else { unwanted(key, ground) }
            }
            Action::RemoveFinalizer => self.last(world, ground),
            _ => Ok(()),
        }
    }

    fn is_writing(&self, action: &Action) -> bool {
        !matches!(action, Action::AddFinalizer | Action::RemoveFinalizer)
    }

    fn note_template(&mut self, world: &World) {
        let Some(set) = &world.set else { return };
        if self.templates.last().is_none_or(|(_, known)| !Arc::ptr_eq(known, &set.template)) {
            self.templates.push((world.now, Arc::clone(&set.template)));
        }
    }

    /// P7.
    fn own(&self, key: &ObjectKey, action: &Action) -> Verdict {
        must(self.foreign.as_ref() != Some(key), || {
            format!("P7: somebody else's object is touched: {action}")
        })
    }

    /// The deletion of a pod.
    fn pod(&mut self, world: &World, name: &str, uid: &str, ground: Ground<'_>) -> Verdict {
        let Some(ordinal) = world.ordinal(name) else { return Ok(()) };
        let Some(pod) = world.pods.get(&ordinal).filter(|pod| pod.uid == uid && pod.deleting.is_none())
        else {
            return Ok(());
        };
        must(!self.take_over, || format!("a take-over restarts nobody: {name} is deleted"))?;
        let goes = world.claims.get(&ordinal).is_some_and(|claim| claim.deleting);
        must(goes || self.is_outdated(world, pod, ground), || {
            format!("{name} is deleted, and nothing is wrong with it")
        })?;
        let paused = self.patroni_paused.is_some_and(|since| since < ground.as_of);
        let runs = pod.is_up();
        must(!paused || !runs, || format!("{name} is deleted while Patroni is paused"))?;
        if world.last_blow < ground.as_of && pod.serves() {
            let leads = world.patroni.holder() == Some(ordinal);
            let heir = world.pods.iter().any(|(other, pod)| *other != ordinal && pod.is_up());
            must(!leads || !heir, || {
                format!("P12: the primary {name} is deleted while a replica could take over")
            })?;
        }
        self.approved(world, ordinal, ground)?;
        if !runs {
            return Ok(());
        }
        self.disruptions += 1;
        self.others_up(world, ordinal, ground, "deleted")?;
        if world.set.as_ref().is_some_and(|set| Fate::of(&set.template) != Fate::Runs) {
            must(self.broken == 0, || {
                format!("a bad template costs at most one member: {name} is one more")
            })?;
            // One that goes anyway costs nothing.
            self.at_stake = (u32::from(ordinal < self.variant.instances), 0);
        }
        Ok(())
    }

    /// P5: never fewer than N−1 members because of us.
    fn others_up(&self, world: &World, ordinal: u32, ground: Ground<'_>, what: &str) -> Verdict {
        // A request under way cannot know what the next leader has begun.
        if world.last_blow >= ground.as_of || (ground.former && self.switched >= ground.as_of) {
            return Ok(());
        }
        let wanted = ground.rendered.intent.instances;
        let down: Vec<String> = (0..wanted)
            .filter(|other| *other != ordinal && !world.is_up(*other))
            .filter(|other| {
                world.pods.contains_key(other) || world.set.as_ref().is_some_and(|set| set.replicas > *other)
            })
            .map(|other| world.pod_name(other))
            .collect();
        must(down.is_empty(), || {
            format!("P5: {} is {what} while {} is down", world.pod_name(ordinal), down.join(", "))
        })
    }

    /// Whether a pod is of another template than one that was in force when it was looked at.
    fn is_outdated(&self, world: &World, pod: &Pod, ground: Ground<'_>) -> bool {
        let stored =
            world.store.objects.get(&world.set_key()).map(|stored| &stored.seen.body["spec"]["template"]);
        let after = self.templates.iter().rposition(|(since, _)| *since <= ground.as_of).unwrap_or(0);
        let in_force = self.templates[after..].iter().map(|(_, template)| &**template);
        let asked = pod.annotations.contains_key("zalando-postgres-operator-rolling-update-required");
        asked
            || in_force.chain(stored).any(|template| {
                !std::ptr::eq(template, &*pod.template)
                    && !template_differences(template, &pod.template).is_empty()
            })
    }

    fn restart(&mut self, world: &World, name: &str, ground: Ground<'_>) -> Verdict {
        let Some(ordinal) = world.ordinal(name) else { return Ok(()) };
        let Some(pod) = world.pods.get(&ordinal) else { return Ok(()) };
        let wanted = world.patroni.connections();
        let takes_effect = matches!(pod.postgres, Postgres::Running(_) | Postgres::Streaming)
            && pod.connections != wanted
            && pod.answers();
        if !takes_effect {
            return Ok(());
        }
        must(!self.take_over, || format!("a take-over restarts nobody: {name} is restarted"))?;
        let leader = world.leader_up().filter(|leader| *leader != ordinal);
        let of_leader = leader.and_then(|leader| world.pods.get(&leader)).map(|leader| leader.connections);
        if world.last_blow < ground.as_of && self.edited < ground.as_of {
            let fewer = |of_leader: u64| of_leader <= wanted || of_leader < pod.connections;
            must(of_leader.is_none_or(fewer), || {
                format!(
                    "{name} is restarted before its primary, which has more connections: it gets no fewer"
                )
            })?;
        }
        if !pod.is_up() {
            return Ok(());
        }
        self.disruptions += 1;
        self.approved(world, ordinal, ground)?;
        self.others_up(world, ordinal, ground, "restarted")
    }

    /// Where the manifest asks for approval, no rollout touches the primary before it is given.
    fn approved(&self, world: &World, ordinal: u32, ground: Ground<'_>) -> Verdict {
        let asked = ground.rendered.intent.policy.approval.as_deref() == Some("required");
        let leads = world.patroni.holder() == Some(ordinal) && world.last_blow < ground.as_of;
        let serves = world.pods.get(&ordinal).is_some_and(Pod::serves);
        must(!(asked && leads && serves), || {
            format!("the primary {} is touched without approval", world.pod_name(ordinal))
        })
    }

    /// What heals a member may cost nothing but that member.
    fn healing(&self, world: &World, name: &str, ground: Ground<'_>) -> Verdict {
        must(ground.rendered.intent.policy.healing != Healing::Off, || {
            format!("{name} is healed, and nobody allowed it")
        })?;
        let Some(ordinal) = world.ordinal(name) else { return Ok(()) };
        let serves = world.pods.get(&ordinal).is_some_and(Pod::serves);
        let knew = world.last_blow < ground.as_of && ground.as_of == world.now;
        must(!(serves && knew), || format!("{name} loses its data, and it serves"))
    }

    fn claim(&self, world: &World, name: &str, uid: &str, ground: Ground<'_>) -> Verdict {
        let Some(pod) = name.strip_prefix("pgdata-") else { return Ok(()) };
        let claim = world.ordinal(pod).and_then(|ordinal| world.claims.get(&ordinal));
        let Some(claim) = claim.filter(|claim| claim.uid == uid) else { return Ok(()) };
        // What a bootstrap left that was cut off is no database.
        if claim.log == 0 && claim.spoilt != Spoilt::No {
            return Ok(());
        }
        let allowed = ground.rendered.intent.policy.healing == Healing::RecreateVolume;
        must(allowed, || format!("claim {name} is deleted, and nobody allowed it"))?;
        must(world.leader_up().is_some() || world.last_blow >= ground.as_of, || {
            format!("claim {name} is deleted while there is no primary")
        })?;
        self.healing(world, pod, ground)
    }

    /// The status tells the truth.
    ///
    /// # Errors
    /// Where it does not.
    pub fn status(&self, world: &World, rendered: &Rendered, status: &PostgresqlStatus) -> Verdict {
        let up = world.pods.values().filter(|pod| pod.serves()).count();
        let wanted = rendered.intent.instances as usize;
        let says = status.postgres_cluster_status == "Running";
        must(!says || up >= wanted, || {
            format!("the status says Running, and {up} of {wanted} members stream")
        })
    }

    fn switchover(&mut self, world: &World, from: &str, to: &str, ground: Ground<'_>) -> Verdict {
        let (Some(from), Some(to)) = (world.ordinal(from), world.ordinal(to)) else { return Ok(()) };
        let takes_effect = world.patroni.holder() == Some(from)
            && world.patroni.switching.is_none()
            && world.is_up(from)
            && world.is_up(to);
        if !takes_effect {
            return Ok(());
        }
        must(!self.take_over, || "a take-over restarts nobody: there is a switchover".to_owned())?;
        let leaves = |ordinal: u32| {
            let node = world.pods.get(&ordinal).and_then(|pod| pod.node);
            node.is_some_and(|node| {
                let node = &world.nodes[node];
                // One that may be used again, which the operator could not know yet.
                node.cordoned || node.uncordoned.is_some_and(|since| since >= ground.as_of)
            })
        };
        let shrinks = from >= ground.rendered.intent.instances;
        if !leaves(from) && !shrinks {
            self.approved(world, from, ground)?;
        }
        let first = self.switchovers == 0;
        // Off a node that goes, out of a pod that nobody reaches or that goes itself, is a matter of its own.
        let crashed = world.pods.get(&from).is_some_and(|pod| {
            let unsteady = |(at, _)| at + STEADY_AFTER > ground.as_of;
            pod.ended.is_some_and(unsteady)
        });
        // What the manifest before this one asked for does not count for this one.
        let is_newest = ground.rendered.variant == self.variant;
        let counts = world.is_up(from) && !crashed && !leaves(from) && !shrinks && is_newest;
        if counts && world.last_blow < self.edited && self.edited < ground.as_of {
            let count = self.switchovers + 1;
            must(first, || format!("one change takes one switchover; this is number {count}"))?;
        }
        self.at_stake = (0, u32::from(counts));
        self.undoes = leaves(from);
        if ground.as_of == world.now {
            let lag = |ordinal: u32| {
                let pod = world.pods.get(&ordinal).filter(|pod| pod.is_up());
                pod.and_then(|pod| pod.announced.as_ref()).map(|announced| announced.lag)
            };
            let newest = |ordinal: u32| {
                let pod = world.pods.get(&ordinal);
                pod.is_some_and(|pod| !self.is_outdated(world, pod, ground))
            };
            let mut others =
                (0..ground.rendered.intent.instances).filter(|other| *other != from && *other != to);
            let better = others.find(|other| {
                !leaves(*other) && newest(*other) && lag(*other).is_some() && lag(*other) < lag(to)
            });
            must(better.is_none(), || {
                let better = better.map(|better| world.pod_name(better)).unwrap_or_default();
                format!("the candidate {} is {:?} bytes behind, {better} is not", world.pod_name(to), lag(to))
            })?;
        }
        Ok(())
    }

    /// The primary is never scaled away.
    fn scale(&self, world: &World, body: &Value, ground: Ground<'_>) -> Verdict {
        let Some(live) = world.store.objects.get(&world.set_key()) else { return Ok(()) };
        let number = |body: &Value| body["spec"]["replicas"].as_u64().unwrap_or(0);
        let (from, to) = (number(&live.seen.body), number(body));
        let leads_beyond = world.patroni.holder().is_some_and(|holder| u64::from(holder) >= to);
        let knew = world.last_blow < ground.as_of && world.patroni.switching.is_none();
        let leaderless = world.patroni.initialized && world.patroni.holder().is_none();
        must(!(to > 0 && to < from && leaderless && knew), || {
            format!("the StatefulSet shrinks from {from} to {to} while nobody leads")
        })?;
        must(!(to > 0 && to < from && leads_beyond && knew), || {
            format!("the StatefulSet shrinks from {from} to {to}, and the primary goes with it")
        })
    }

    /// What may be removed with the cluster.
    fn removal(&self, world: &World, key: &ObjectKey, ground: Ground<'_>) -> Verdict {
        match key.kind.as_str() {
            "Secret" if ground.rendered.secrets.contains(&key.name) => {
                must(!self.keeps.secrets, || format!("Secret {} is deleted although it is kept", key.name))
            }
            "PersistentVolumeClaim" => {
                must(!self.keeps.claims, || format!("claim {} is deleted although it is kept", key.name))
            }
            "ConfigMap" => must(world.pods.is_empty(), || {
                format!("ConfigMap {} is deleted while a Patroni lives that makes it again", key.name)
            }),
            _ => Ok(()),
        }
    }

    /// The finalizer goes last.
    fn last(&self, world: &World, ground: Ground<'_>) -> Verdict {
        must(ground.deletes && world.manifest.deleting, || {
            "the finalizer is removed from a manifest that stands".to_owned()
        })?;
        let set = world.store.objects.contains_key(&world.set_key());
        let rest = set
            || !world.pods.is_empty()
            || (!self.keeps.claims && !world.claims.is_empty())
            || (!self.keeps.secrets && !world.secrets.is_empty());
        must(!rest, || "the finalizer is removed before the rest is gone".to_owned())
    }

    /// Counts an effect.
    pub fn after(&mut self, now: u64, action: &Action, outcome: &Outcome) {
        if *outcome != Outcome::Applied {
            self.at_stake = (0, 0);
            return;
        }
        self.effects += 1;
        let (broken, switchovers) = std::mem::take(&mut self.at_stake);
        self.broken += broken;
        self.switchovers += switchovers;
        if matches!(action, Action::Switchover { .. }) {
            self.disruptions += 1;
            self.switched = now;
            if self.undoes {
                self.switchovers = 0;
            }
        }
    }
}

/// P8: what was refused never becomes a step. A request under way may be from before the refusal.
fn volumes(world: &World, body: &Value, ground: Ground<'_>) -> Verdict {
    let Some(live) = world.store.objects.get(&world.set_key()) else { return Ok(()) };
    let (from, to) = (goal::gibibytes(&live.seen.body), goal::gibibytes(body));
    must(to >= from || ground.former, || format!("P8: volumes of {from} GiB are to have {to}"))
}

/// While the manifest stands nothing goes but what was switched off.
fn unwanted(key: &ObjectKey, ground: Ground<'_>) -> Verdict {
    let intent = &ground.rendered.intent;
    let is_unwanted =
        intent.unwanted.iter().any(|unwanted| unwanted.kind == key.kind && unwanted.name == key.name);
    must(is_unwanted, || format!("{} {} is deleted while the manifest stands", key.kind, key.name))
}

/// The disruptive and the destructive steps of a plan.
pub fn dangerous(plan: &Plan) -> BTreeSet<String> {
    let dangerous = plan.steps.iter().filter(|step| step.action.risk() != Risk::Safe);
    dangerous.map(|step| step.action.to_string()).collect()
}
