//! Scheduler, kubelets, drains and the loss of nodes.

use crate::pods::{Fate, Phase, Postgres};
use crate::world::World;

/// Seconds from one start of a container that ends at once to the next.
const PAUSE_OF_CRASHING: u64 = 20;

impl World {
    pub(crate) fn kubelets(&mut self) {
        let ordinals: Vec<u32> = self.pods.keys().copied().collect();
        for ordinal in ordinals {
            self.kubelet(ordinal);
        }
    }

    fn kubelet(&mut self, ordinal: u32) {
        let now = self.now;
        let Some(pod) = self.pods.get(&ordinal) else { return };
        if pod.unreachable {
            return;
        }
        if pod.deleting.is_some_and(|at| at <= now) {
            self.pods.remove(&ordinal);
            self.patroni.released(ordinal);
            self.changed();
            return;
        }
        match pod.phase {
            Phase::Pending if pod.fate != Fate::TooLarge => self.schedule(ordinal),
            Phase::Creating(until) if until <= now => self.start(ordinal),
            Phase::Pending | Phase::Creating(_) | Phase::Running => {}
        }
        self.containers(ordinal);
    }

    /// A container that ends after each start is started again with pauses.
    fn containers(&mut self, ordinal: u32) {
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        if pod.fate == Fate::Crashes && pod.phase == Phase::Running {
            let age = now - pod.started;
            let runs = age % PAUSE_OF_CRASHING < 2;
            if pod.others_run && !runs {
                let times = pod.ended.map_or(0, |(_, times)| times) + 1;
                pod.ended = Some((now, times));
            }
            pod.others_run = runs;
        }
        let ready = pod.is_ready();
        if ready == pod.ready_since.is_some() {
            return;
        }
        pod.ready_since = ready.then_some(now);
        self.changed();
    }

    fn schedule(&mut self, ordinal: u32) {
        let load = |node: usize| self.pods.values().filter(|pod| pod.node == Some(node)).count();
        let open = |node: &usize| !self.nodes[*node].cordoned && self.nodes[*node].lost_until.is_none();
        let Some(node) = (0..self.nodes.len()).filter(open).min_by_key(|node| load(*node)) else { return };
        let until = self.soon(1, 4);
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.node = Some(node);
            pod.phase = Phase::Creating(until);
        }
        self.changed();
    }

    fn start(&mut self, ordinal: u32) {
        let until = self.soon(2, 4);
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.phase = Phase::Running;
            pod.started = self.now;
            if matches!(pod.fate, Fate::Runs | Fate::Crashes) {
                pod.postgres = Postgres::Starting(until);
            }
        }
        self.changed();
    }

    /// Nodes come back, and drains go on.
    pub(crate) fn node_tick(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].lost_until.is_some_and(|until| until <= self.now) {
                self.nodes[node].lost_until = None;
                self.reach(node, true);
            }
            if self.nodes[node].draining && self.seed.chance(30) {
                self.evict_one(node);
            }
        }
    }

    /// The node may be used again.
    pub fn uncordon(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        if node.cordoned {
            node.uncordoned = Some(self.now);
        }
        (node.cordoned, node.draining) = (false, false);
        self.changed();
    }

    /// The node is cut off until then.
    pub fn lose_node(&mut self, node: usize, until: u64) {
        self.nodes[node].lost_until = Some(until);
        self.reach(node, false);
        if self
            .patroni
            .holder()
            .and_then(|holder| self.pods.get(&holder))
            .is_some_and(|pod| pod.node == Some(node))
        {
            self.patroni.ended_by_us = false;
        }
        self.blow();
    }

    fn reach(&mut self, node: usize, reachable: bool) {
        let until = self.soon(2, 4);
        for pod in self.pods.values_mut().filter(|pod| pod.node == Some(node)) {
            pod.unreachable = !reachable;
            // PostgreSQL that could not renew its lock has stopped serving.
            if reachable && pod.phase == Phase::Running && pod.fate != Fate::NoImage {
                pod.postgres = Postgres::Starting(until);
            }
        }
        self.changed();
    }

    /// The eviction API honours the budget of the primary.
    fn evict_one(&mut self, node: usize) {
        let budgeted = self.store.objects.keys().any(|key| key.kind == "PodDisruptionBudget");
        let holder = self.patroni.holder();
        let victim = self
            .pods
            .iter()
            .find(|(ordinal, pod)| {
                let protected = budgeted && holder == Some(**ordinal) && pod.is_ready();
                pod.node == Some(node) && pod.deleting.is_none() && !protected
            })
            .map(|(ordinal, _)| *ordinal);
        if let Some(ordinal) = victim {
            self.terminate(ordinal, false);
        }
    }
}
