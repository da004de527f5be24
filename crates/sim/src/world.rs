//! State of the simulated world and what changes it: actions of ours, and time.

use std::collections::{BTreeMap, BTreeSet};

use matriarch_plan::{Action, ObjectKey, ObjectSeen, Outcome, SecretSeen};
use matriarch_sql::{Catalog, CatalogRole, Contents, SeenSchema, Statement};
use serde_json::{Value, json};

use crate::inside;

/// An image that no node can pull.
pub const BROKEN_IMAGE: &str = "registry.example/none:broken";

/// A database pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Uid.
    pub uid: String,
    /// The template it was made from.
    pub template: Value,
    /// Name of that template's revision.
    pub revision: String,
    /// Ticks until it runs and streams; ignored when its image is broken.
    pub starting: u32,
    /// Ticks until it is gone, once deleted.
    pub terminating: Option<u32>,
}

impl Pod {
    /// Whether the image can never start.
    pub fn is_broken(&self) -> bool {
        self.template["spec"]["containers"][0]["image"] == BROKEN_IMAGE
    }

    /// Whether it runs, is ready and streams.
    pub fn is_up(&self) -> bool {
        self.starting == 0 && self.terminating.is_none() && !self.is_broken()
    }
}

/// Everything that exists.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Name of the cluster.
    pub cluster: String,
    /// Objects other than Secrets and pods.
    pub objects: BTreeMap<ObjectKey, ObjectSeen>,
    /// Credentials.
    pub secrets: BTreeMap<String, SecretSeen>,
    /// Pods by ordinal.
    pub pods: BTreeMap<u32, Pod>,
    /// Claims by name, with uid.
    pub claims: BTreeMap<String, String>,
    /// Holder of the leader lock.
    pub leader: Option<String>,
    /// Patroni's dynamic configuration.
    pub config: Option<Value>,
    /// Catalog of the database.
    pub catalog: Catalog,
    /// Our finalizer stands in the manifest.
    pub finalizer: bool,
    /// User lists of poolers that were written.
    pub user_lists: BTreeSet<String>,
    /// The StatefulSet was deleted without its pods.
    pub orphaned: bool,
    next_uid: u64,
}

impl World {
    /// An empty world for a cluster of this name.
    pub fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), ..Self::default() }
    }

    fn uid(&mut self) -> String {
        self.next_uid += 1;
        format!("uid-{}", self.next_uid)
    }

    /// The pod's name.
    pub fn pod_name(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.cluster)
    }

    fn ordinal(&self, name: &str) -> Option<u32> {
        name.strip_prefix(&format!("{}-", self.cluster))?.parse().ok()
    }

    /// Whether the pod of this name runs.
    pub fn is_up(&self, name: &str) -> bool {
        self.ordinal(name).and_then(|ordinal| self.pods.get(&ordinal)).is_some_and(Pod::is_up)
    }

    /// Carries out an action.
    pub fn take(&mut self, action: &Action) -> Outcome {
        match action {
            Action::AddFinalizer => self.finalizer = true,
            Action::RemoveFinalizer => self.finalizer = false,
            Action::Apply { object, .. } | Action::CreateOnce(object) => {
                let key = ObjectKey::new(&object.kind, &object.name);
                let uid = match self.objects.get(&key) {
                    Some(live) => live.uid.clone(),
                    None => self.uid(),
                };
                if key.kind == "StatefulSet" {
                    self.orphaned = false;
                }
                self.objects.insert(key, ObjectSeen { uid, body: object.body.clone() });
            }
            Action::ReplaceStatefulSet { object, uid } => {
                self.orphaned = true;
                return self.delete(&ObjectKey::new(&object.kind, &object.name), uid);
            }
            Action::Replace { object, uid } => {
                return self.delete(&ObjectKey::new(&object.kind, &object.name), uid);
            }
            Action::WriteUserList { pooler, .. } => {
                let object = &pooler.user_list;
                self.user_lists.insert(object.name.clone());
                let key = ObjectKey::new(&object.kind, &object.name);
                let uid = self.uid();
                self.objects.insert(key, ObjectSeen { uid, body: object.body.clone() });
            }
            // Owners of fields, annotations and sources of passwords are not simulated.
            Action::AdoptFields { .. } | Action::PatchMetadata { .. } | Action::CopyPassword(_) => {}
            Action::CreateSecret(secret) => {
                let uid = self.uid();
                let username = secret.username.clone();
                let seen = SecretSeen { uid, username, has_password: true, ..SecretSeen::default() };
                self.secrets.entry(secret.object.name.clone()).or_insert(seen);
            }
            Action::Delete { key, uid } => return self.delete(key, uid),
            Action::DeletePod { name, uid, .. } => return self.delete_pod(name, uid),
            Action::Switchover { from, to } => {
                if self.leader.as_ref() != Some(from) || !self.is_up(to) {
                    return Outcome::Failed("412 no healthy candidate".to_owned());
                }
                self.leader = Some(to.clone());
            }
            Action::PatchPatroniConfig(patch) => match &mut self.config {
                Some(config) => merge(config, patch),
                None => return Outcome::Failed("503 no configuration".to_owned()),
            },
            // Members that do not stream are not simulated.
            Action::RestartMember { .. } | Action::Reinitialize { .. } | Action::DeleteClaim { .. } => {}
            Action::Sql(statement) => return self.execute(statement),
        }
        Outcome::Applied
    }

    fn delete(&mut self, key: &ObjectKey, uid: &str) -> Outcome {
        match key.kind.as_str() {
            "Secret" => drop(self.secrets.remove(&key.name)),
            "PersistentVolumeClaim" => drop(self.claims.remove(&key.name)),
            "ConfigMap" => self.forget_patroni(&key.name),
            _ => match self.objects.get(key) {
                Some(live) if live.uid != uid => return Outcome::Outdated("another uid".to_owned()),
                _ => drop(self.objects.remove(key)),
            },
        }
        Outcome::Applied
    }

    fn forget_patroni(&mut self, name: &str) {
        if name.ends_with("-leader") {
            self.leader = None;
        } else {
            self.config = None;
        }
    }

    fn delete_pod(&mut self, name: &str, uid: &str) -> Outcome {
        let pod = self.ordinal(name).and_then(|ordinal| self.pods.get_mut(&ordinal));
        match pod {
            Some(pod) if pod.uid == uid => {
                pod.terminating.get_or_insert(2);
                Outcome::Applied
            }
            _ => Outcome::Outdated("another pod".to_owned()),
        }
    }

    fn execute(&mut self, statement: &Statement) -> Outcome {
        if !self.leader.clone().is_some_and(|leader| self.is_up(&leader)) {
            return Outcome::Failed("connection refused".to_owned());
        }
        match statement {
            Statement::CreateRole { role, flags, password, .. } => {
                let live = CatalogRole {
                    flags: *flags,
                    verifier: password.as_ref().map(|_| "set".to_owned()),
                    ..CatalogRole::default()
                };
                self.catalog.roles.insert(role.clone(), live);
            }
            Statement::CreateDatabase { name, owner } | Statement::AlterDatabaseOwner { name, owner } => {
                if !self.catalog.roles.contains_key(owner) {
                    return Outcome::Failed(format!("role {owner} does not exist"));
                }
                self.catalog.connectable.insert(name.clone());
                let public = [("public".to_owned(), SeenSchema::default())].into();
                self.catalog
                    .contents
                    .entry(name.clone())
                    .or_insert_with(|| Contents { schemas: public, ..Contents::default() });
                self.catalog.databases.insert(name.clone(), owner.clone());
            }
            Statement::SetPassword { role, .. } => {
                if let Some(role) = self.catalog.roles.get_mut(role) {
                    role.verifier = Some("set".to_owned());
                }
            }
            Statement::AlterRoleFlags { role, add } => {
                if let Some(live) = self.catalog.roles.get_mut(role) {
                    live.flags = live.flags.union(*add);
                }
            }
            Statement::GrantMembership { role, of } => {
                if let Some(live) = self.catalog.roles.get_mut(role) {
                    live.member_of.extend(of.iter().cloned());
                }
            }
            Statement::RevokeMembership { role, of } => {
                if let Some(live) = self.catalog.roles.get_mut(role) {
                    live.member_of.retain(|parent| parent != of);
                }
            }
            Statement::CreateSchema { .. }
            | Statement::GrantUsage { .. }
            | Statement::GrantDefault { .. }
            | Statement::CreateExtension { .. }
            | Statement::MoveExtension { .. }
            | Statement::InstallLookup { .. } => {
                if let Err(why) = inside::run(&mut self.catalog, statement) {
                    return Outcome::Failed(why);
                }
            }
            Statement::SetParameter { role, name, value } => {
                if let Some(live) = self.catalog.roles.get_mut(role) {
                    live.parameters.insert(name.clone(), value.clone());
                }
            }
        }
        Outcome::Applied
    }

    /// One tick of time: StatefulSet controller, kubelets, Patroni.
    pub fn tick(&mut self) {
        self.kubelets();
        self.stateful_set_controller();
        self.patroni();
    }

    fn kubelets(&mut self) {
        for pod in self.pods.values_mut() {
            let broken = pod.is_broken();
            match &mut pod.terminating {
                Some(left) => *left = left.saturating_sub(1),
                None if !broken => pod.starting = pod.starting.saturating_sub(1),
                None => {}
            }
        }
        self.pods.retain(|_, pod| pod.terminating != Some(0));
    }

    /// One at a time and in order, as `OrderedReady` has it.
    fn stateful_set_controller(&mut self) {
        let set = self.objects.iter().find(|(key, _)| key.kind == "StatefulSet");
        let Some(set) = set.map(|(_, set)| set.body.clone()) else {
            if self.orphaned {
                return;
            }
            for pod in self.pods.values_mut() {
                pod.terminating.get_or_insert(2);
            }
            return;
        };
        let wanted = u32::try_from(set["spec"]["replicas"].as_u64().unwrap_or(0)).unwrap_or(0);
        for ordinal in 0..wanted {
            match self.pods.get(&ordinal) {
                Some(pod) if pod.is_up() => {}
                Some(_) => return,
                None => {
                    self.create_pod(ordinal, &set);
                    return;
                }
            }
        }
        let surplus = self.pods.iter_mut().rev().find(|(ordinal, _)| **ordinal >= wanted);
        if let Some((_, pod)) = surplus {
            pod.terminating.get_or_insert(2);
        }
    }

    fn create_pod(&mut self, ordinal: u32, set: &Value) {
        let template = set["spec"]["template"].clone();
        let (uid, claim_uid) = (self.uid(), self.uid());
        let revision = revision_of(&template);
        self.claims.entry(format!("pgdata-{}", self.pod_name(ordinal))).or_insert(claim_uid);
        self.pods.insert(ordinal, Pod { uid, template, revision, starting: 3, terminating: None });
    }

    /// A leader that is not up loses the lock; the first that is up takes it.
    fn patroni(&mut self) {
        if self.leader.clone().is_some_and(|leader| !self.is_up(&leader)) {
            self.leader = None;
        }
        let up = self.pods.iter().find(|(_, pod)| pod.is_up()).map(|(ordinal, _)| *ordinal);
        if let (None, Some(ordinal)) = (&self.leader, up) {
            self.leader = Some(self.pod_name(ordinal));
            self.config.get_or_insert_with(|| json!({"postgresql": {"parameters": {}}}));
        }
    }
}

/// Name of a template's revision: here the template itself.
pub fn revision_of(template: &Value) -> String {
    template.to_string()
}

/// JSON merge patch (RFC 7386).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
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
