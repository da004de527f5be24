//! The StatefulSet controller.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::pods::{Announced, Claim, Fate, Phase, Pod, Postgres, Spoilt};
use crate::world::World;

/// What the API server says to a pod that it refuses.
pub const ADMISSION: &str = "403 admission webhook denied the request: image is not allowed";

/// The StatefulSet as its controller has observed it.
#[derive(Clone, Debug)]
pub struct Controlled {
    uid: String,
    generation: u64,
    /// Wanted pods.
    pub replicas: u32,
    parallel: bool,
    /// Name of the newest revision.
    pub revision: String,
    /// Its template.
    pub template: Arc<Value>,
    fate: Fate,
    size: String,
    observe_at: Option<u64>,
    /// Since when so many pods are wanted.
    since: u64,
}

impl World {
    pub(crate) fn stateful_set_controller(&mut self) {
        let key = self.set_key();
        let Some(stored) = self.store.objects.get(&key) else {
            self.set = None;
            return;
        };
        if stored.gone_at.is_some() {
            return;
        }
        let (uid, generation) = (&stored.seen.uid, &stored.seen.body["metadata"]["generation"]);
        let generation = generation.as_u64().unwrap_or(1);
        match &mut self.set {
            Some(set) if set.uid == *uid && set.generation == generation => {}
            Some(set) if set.uid == *uid => match set.observe_at {
                None => set.observe_at = Some(self.now + self.seed.below(4)),
                Some(at) if at > self.now => {}
                Some(_) => self.take_note(),
            },
            _ => self.take_note(),
        }
        self.adopt();
        self.scale();
    }

    /// Reads the spec and writes the status.
    fn take_note(&mut self) {
        let key = self.set_key();
        let Some(stored) = self.store.objects.get(&key) else { return };
        let body = &stored.seen.body;
        let template = &body["spec"]["template"];
        let revision = revision_of(&self.cluster, template);
        let template = match self.revisions.get(&revision) {
            Some(known) => Arc::clone(known),
            None => Arc::new(template.clone()),
        };
        let generation = body["metadata"]["generation"].as_u64().unwrap_or(1);
        let claim = &body["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"];
        let replicas =
            body["spec"]["replicas"].as_u64().and_then(|wanted| u32::try_from(wanted).ok()).unwrap_or(1);
        let before = self.set.as_ref().filter(|set| set.replicas == replicas);
        let since = before.map_or(self.now, |set| set.since);
        self.set = Some(Controlled {
            uid: stored.seen.uid.clone(),
            generation,
            replicas,
            parallel: body["spec"]["podManagementPolicy"] == "Parallel",
            fate: Fate::of(&template),
            size: claim.as_str().unwrap_or_default().to_owned(),
            template: Arc::clone(&template),
            revision: revision.clone(),
            observe_at: None,
            since,
        });
        self.revisions.insert(revision.clone(), template);
        self.store.change(&key, |body| {
            body["status"] = json!({"observedGeneration": generation, "updateRevision": revision});
        });
        self.changed();
    }

    fn adopt(&mut self) {
        let Some(set) = &self.set else { return };
        for pod in self.pods.values_mut().filter(|pod| pod.owner.is_none()) {
            pod.owner = Some(set.uid.clone());
        }
    }

    /// Makes missing pods, in order unless they may be made in parallel; removes the highest.
    fn scale(&mut self) {
        let Some(set) = &self.set else { return };
        if set.fate != Fate::Refused {
            self.creation_refused = None;
        }
        let (wanted, parallel, since) = (set.replicas, set.parallel, set.since);
        for ordinal in 0..wanted {
            match self.pods.get(&ordinal) {
                Some(pod) if parallel || pod.is_ready() => {}
                Some(_) => return,
                None => {
                    self.create_pod(ordinal);
                    if !parallel {
                        return;
                    }
                }
            }
        }
        let surplus = self.pods.keys().rev().find(|ordinal| **ordinal >= wanted).copied();
        if let Some(ordinal) = surplus {
            // Who became the leader since then nobody could know.
            self.terminate(ordinal, self.last_blow < since);
        }
    }

    fn create_pod(&mut self, ordinal: u32) {
        if self.claims.get(&ordinal).is_some_and(|claim| claim.deleting) {
            return;
        }
        if self.set.as_ref().is_some_and(|set| set.fate == Fate::Refused) {
            self.creation_refused = Some(ADMISSION.to_owned());
            return;
        }
        self.creation_refused = None;
        let (uid, claim_uid) = (self.store.uid(), self.store.uid());
        let Some(set) = &self.set else { return };
        let claim = Claim {
            uid: claim_uid,
            deleting: false,
            created: self.now,
            log: 0,
            spoilt: Spoilt::No,
            size: set.size.clone(),
        };
        self.claims.entry(ordinal).or_insert(claim);
        let annotations = set.template["metadata"]["annotations"].as_object();
        let annotations = annotations.into_iter().flatten();
        let annotations =
            annotations.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let pod = Pod {
            uid,
            owner: Some(set.uid.clone()),
            template: Arc::clone(&set.template),
            revision: set.revision.clone(),
            fate: set.fate,
            created: self.now,
            deleting: None,
            node: None,
            phase: Phase::Pending,
            postgres: Postgres::Off,
            others_run: true,
            started: self.now,
            ready_since: None,
            ended: None,
            unreachable: false,
            connections: 0,
            announced: None::<Announced>,
            annotations: annotations.collect(),
        };
        self.pods.insert(ordinal, pod);
        self.changed();
    }
}

/// Name of a template's revision: a hash of it, as the real controller has it.
pub fn revision_of(cluster: &str, template: &Value) -> String {
    let hash = template.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{cluster}-{hash:x}")
}
