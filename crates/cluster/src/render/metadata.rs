//! Label sets, annotation sets and owner references.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use super::{Context, put};
use crate::names;

type Map = BTreeMap<String, String>;

impl Context<'_> {
    /// Labels that select every object of the cluster.
    pub(crate) fn selector(&self) -> Map {
        let mut labels = self.settings.cluster_labels.clone();
        labels.insert(self.settings.cluster_name_label.clone(), self.name().to_owned());
        labels
    }

    /// The selector with the role label.
    pub(crate) fn role_selector(&self, role: &str) -> Map {
        let mut labels = self.selector();
        labels.insert(self.settings.pod_role_label.clone(), role.to_owned());
        labels
    }

    /// Labels of objects and pods: the selector, the team, inherited labels. Inherited labels
    /// never replace the others: the API server would refuse the StatefulSet.
    pub(crate) fn labels(&self) -> Map {
        let mut labels = self.selector();
        labels.insert(names::TEAM_LABEL.to_owned(), self.cluster.identity.team.clone());
        for key in &self.settings.inherited_labels {
            if let Some(value) = self.cluster.labels.get(key)
                && !labels.contains_key(key)
                && *key != self.settings.pod_role_label
            {
                labels.insert(key.clone(), value.clone());
            }
        }
        labels
    }

    /// Labels of the services.
    pub(super) fn role_labels(&self, role: &str) -> Map {
        let mut labels = self.labels();
        labels.insert(self.settings.pod_role_label.clone(), role.to_owned());
        labels
    }

    /// `base` with the annotations that the manifest hands on, by exact key.
    pub(super) fn inherited(&self, mut base: Map) -> Map {
        for key in &self.settings.inherited_annotations {
            if let Some(value) = self.cluster.annotations.get(key) {
                base.insert(key.clone(), value.clone());
            }
        }
        base
    }

    /// Annotations of the StatefulSet: inherited, and those that match a downscaler expression.
    /// An expression that cannot be read matches nothing.
    pub(super) fn downscaler(&self) -> Map {
        let mut annotations = self.inherited(Map::new());
        for pattern in &self.settings.downscaler_annotations {
            let Ok(pattern) = Regex::new(pattern) else { continue };
            for (key, value) in &self.cluster.annotations {
                if pattern.is_match(key) {
                    annotations.insert(key.clone(), value.clone());
                }
            }
        }
        annotations
    }

    /// Annotations of pods.
    pub(super) fn pod_annotations(&self) -> Map {
        let mut annotations = self.settings.custom_pod_annotations.clone();
        annotations.extend(self.cluster.spec.pod_annotations.clone().unwrap_or_default());
        let mut annotations = self.inherited(annotations);
        if !self.settings.kube_iam_role.is_empty() {
            annotations.insert(names::IAM_ROLE_ANNOTATION.to_owned(), self.settings.kube_iam_role.clone());
        }
        annotations
    }

    /// The metadata of an object of the cluster.
    pub(super) fn metadata(&self, name: &str, labels: Map, annotations: Map) -> Value {
        let mut metadata = json!({"name": name, "namespace": self.namespace(), "labels": labels});
        put(&mut metadata, "annotations", json!(annotations));
        put(&mut metadata, "ownerReferences", self.owner_references());
        metadata
    }

    /// The manifest's own owners are handed on, never as the controller: an object has one at
    /// most. With `enable_owner_references` the manifest becomes the controller.
    fn owner_references(&self) -> Value {
        let mut owners = self.cluster.owners.clone();
        for owner in &mut owners {
            if let Some(owner) = owner.as_object_mut() {
                owner.remove("controller");
                owner.remove("blockOwnerDeletion");
            }
        }
        let uid = &self.cluster.identity.uid;
        if self.settings.enable_owner_references && !owners.iter().any(|owner| owner["uid"] == json!(uid)) {
            owners.push(json!({
                "apiVersion": matriarch_api::API_VERSION,
                "kind": matriarch_api::KIND,
                "name": self.name(),
                "uid": uid,
                "controller": true,
            }));
        }
        json!(owners)
    }
}
