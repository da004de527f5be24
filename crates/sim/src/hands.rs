//! What the operator's actions do to the world.

use matriarch_cluster::CredentialSecret;
use matriarch_plan::{Action, ObjectKey, ObjectPlace, Outcome, SecretSeen};
use serde_json::Value;

use crate::controller::ADMISSION;
use crate::pods::Fate;
use crate::world::{Credentials, World};

impl World {
    /// Carries out an action, as the API server, Patroni or PostgreSQL would.
    pub fn take(&mut self, action: &Action) -> Outcome {
        let outcome = self.effect(action);
        if outcome == Outcome::Applied {
            self.changed();
        }
        outcome
    }

    fn effect(&mut self, action: &Action) -> Outcome {
        match action {
            Action::AddFinalizer if self.manifest.gone => {
                return Outcome::Outdated("the manifest is gone".to_owned());
            }
            Action::AddFinalizer => self.manifest.finalizer = true,
            Action::RemoveFinalizer => {
                self.manifest.finalizer = false;
                self.manifest.gone |= self.manifest.deleting;
            }
            Action::Apply { object, .. } => {
                if let Err(why) = self.store.apply(object) {
                    return Outcome::Failed(why);
                }
            }
            Action::CreateOnce(object) => {
                if let Err(why) = self.store.create(object) {
                    return Outcome::Outdated(why);
                }
            }
            Action::ReplaceStatefulSet { object, uid } => {
                let at = self.soon(1, 3);
                let key = ObjectKey::new(&object.kind, &object.name);
                return self.store.delete(&key, uid, Some(at));
            }
            Action::Replace { object, uid } => {
                return self.delete(&ObjectKey::new(&object.kind, &object.name), uid);
            }
            Action::WriteUserList { pooler, .. } => {
                if let Err(why) = self.store.apply(&pooler.user_list) {
                    return Outcome::Failed(why);
                }
            }
            Action::AdoptFields { object, resource_version, managed_fields, .. } => {
                let key = ObjectKey::new(&object.kind, &object.name);
                return self.store.adopt(&key, resource_version, managed_fields);
            }
            // No password of this world is copied.
            Action::CopyPassword(_) => {}
            Action::PatchMetadata { object, uid, metadata } => {
                return self.patch_metadata(object, uid, metadata);
            }
            Action::FreeInitializeKey { object, uid, .. } => {
                let metadata = serde_json::json!({"annotations": {"initialize": null}});
                let outcome = self.patch_metadata(object, uid, &metadata);
                self.begin_again();
                return outcome;
            }
            Action::CreateSecret(secret) => {
                if self.secrets.contains_key(&secret.object.name) {
                    return Outcome::Outdated("it exists already".to_owned());
                }
                self.create_secret(secret);
            }
            Action::Delete { key, uid } => return self.delete(key, uid),
            Action::DeletePod { name, uid, trial } => {
                // A pod of the template is tried first, as the operator's hands do.
                let refused = trial.as_ref().is_some_and(|trial| Fate::of(&trial.pod.body) == Fate::Refused);
                if refused {
                    return Outcome::Failed(ADMISSION.to_owned());
                }
                return self.delete_pod(name, uid);
            }
            Action::Reinitialize { name } => return self.reinitialize(name),
            Action::DeleteClaim { name, uid } => {
                return self.delete(&ObjectKey::new("PersistentVolumeClaim", name), uid);
            }
            Action::Switchover { from, to } => return self.switch_over(from, to),
            Action::PatchPatroniConfig(patch) => {
                let answers = self.pods.values().any(|pod| pod.answers());
                match &mut self.patroni.config {
                    Some(config) if answers => merge(config, patch),
                    _ => return Outcome::Failed("503 no configuration".to_owned()),
                }
            }
            Action::RestartMember { name } => return self.restart(name),
            Action::Sql(statement) => return self.execute(statement),
        }
        Outcome::Applied
    }

    /// A Secret with a new password.
    pub fn create_secret(&mut self, secret: &CredentialSecret) {
        let uid = self.store.uid();
        let username = secret.username.clone();
        let seen = SecretSeen { uid, username, has_password: true, ..SecretSeen::default() };
        let mut body = secret.object.body.clone();
        body["metadata"]["managedFields"] = serde_json::json!([{"manager": "matriarch"}]);
        self.secrets.insert(secret.object.name.clone(), Credentials { seen, body });
        self.changed();
    }

    /// `DELETE` with a uid as its precondition.
    pub fn delete(&mut self, key: &ObjectKey, uid: &str) -> Outcome {
        let other = || Outcome::Outdated("409 the uid in the precondition is another".to_owned());
        match key.kind.as_str() {
            "Secret" if self.secrets.contains_key(&key.name) => {
                if self.secrets.get(&key.name).is_some_and(|secret| secret.seen.uid != uid) {
                    return other();
                }
                self.secrets.remove(&key.name);
            }
            "PersistentVolumeClaim" => {
                let ordinal = key.name.strip_prefix("pgdata-").and_then(|pod| self.ordinal(pod));
                match ordinal.and_then(|ordinal| self.claims.get_mut(&ordinal)) {
                    Some(claim) if claim.uid != uid => return other(),
                    Some(claim) => claim.deleting = true,
                    None => {}
                }
            }
            "Pod" => return self.delete_pod(&key.name, uid),
            "ConfigMap" => return self.forget_patroni(&key.name, uid),
            _ => return self.store.delete(key, uid, None),
        }
        Outcome::Applied
    }

    fn forget_patroni(&mut self, name: &str, uid: &str) -> Outcome {
        let suffix = name.strip_prefix(self.cluster.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let Some(suffix) = suffix else { return Outcome::Applied };
        match self.patroni.objects.get(suffix) {
            None => return Outcome::Applied,
            Some(kept) if kept.uid != uid => {
                return Outcome::Outdated("409 the uid in the precondition is another".to_owned());
            }
            Some(_) => drop(self.patroni.objects.remove(suffix)),
        }
        match suffix {
            "leader" => self.patroni.lock = None,
            _ => {
                self.patroni.config = None;
                self.patroni.initialized = false;
            }
        }
        Outcome::Applied
    }

    fn delete_pod(&mut self, name: &str, uid: &str) -> Outcome {
        let Some(ordinal) = self.ordinal(name) else { return Outcome::Applied };
        match self.pods.get(&ordinal) {
            None => return Outcome::Applied,
            Some(pod) if pod.uid != uid => {
                return Outcome::Outdated("409 the uid in the precondition is another".to_owned());
            }
            Some(_) => self.terminate(ordinal, true),
        }
        Outcome::Applied
    }

    fn patch_metadata(&mut self, object: &ObjectPlace, uid: &str, metadata: &Value) -> Outcome {
        let other = || Outcome::Outdated("409 the uid in the patch is another".to_owned());
        if object.kind == "Pod" {
            let pod = self.ordinal(&object.name).and_then(|ordinal| self.pods.get_mut(&ordinal));
            let Some(pod) = pod.filter(|pod| pod.uid == uid) else { return other() };
            for (key, value) in metadata["annotations"].as_object().into_iter().flatten() {
                match value.as_str() {
                    Some(text) => drop(pod.annotations.insert(key.clone(), text.to_owned())),
                    None => drop(pod.annotations.remove(key)),
                }
            }
            return Outcome::Applied;
        }
        let suffix = object.name.strip_prefix(self.cluster.as_str()).and_then(|rest| rest.strip_prefix('-'));
        match suffix.and_then(|suffix| self.patroni.objects.get_mut(suffix)) {
            Some(kept) if kept.uid == uid => merge(&mut kept.metadata, metadata),
            _ => return other(),
        }
        Outcome::Applied
    }
}

/// JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            if let Some(object) = target.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}
