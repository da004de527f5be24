//! Label sets, annotation sets and owner references.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use regex::Regex;
use serde_json::{Value, json};

use super::{Context, put};
use crate::level::Level;
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

    /// Labels of objects and pods: the selector, the team, inherited labels.
    pub(crate) fn labels(&self) -> Map {
        let mut labels = self.selector();
        labels.insert(names::TEAM_LABEL.to_owned(), self.cluster.identity.team.clone());
        for key in &self.settings.inherited_labels {
            if let Some(value) = self.cluster.labels.get(key).filter(|_| self.may_inherit(key)) {
                labels.insert(key.clone(), value.clone());
            }
        }
        labels
    }

    /// The original lets the manifest's labels replace the team and the role (D4). A label of the
    /// selector never is replaced: the API server refuses such a StatefulSet, so none exists.
    fn may_inherit(&self, key: &str) -> bool {
        let reserved = key == names::TEAM_LABEL || key == self.settings.pod_role_label;
        !(self.selector().contains_key(key) || (reserved && self.level.repairs(Level::REPAIRED)))
    }

    /// Labels that the manifest should hand on and that stand for something else.
    pub(super) fn label_notices(&self) -> Vec<Problem> {
        let refused = |key: &&String| self.cluster.labels.contains_key(*key) && !self.may_inherit(key);
        let notice = |key: &String| {
            Problem::new(
                format!("metadata.labels.{key}"),
                "is in inherited_labels and belongs to the operator, so it is not handed on",
                "use another key for the label, or ask for inherited_labels to leave it out",
            )
        };
        self.settings.inherited_labels.iter().filter(refused).map(notice).collect()
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
    pub(super) fn downscaler(&self) -> Map {
        self.downscaled(Map::new())
    }

    /// `base` with what is inherited and what matches a downscaler expression. An expression that
    /// cannot be read matches nothing; the original then writes no annotation at all (D7).
    pub(super) fn downscaled(&self, base: Map) -> Map {
        let mut annotations = self.inherited(base);
        let broken = |pattern: &String| Regex::new(pattern).is_err();
        if !self.level.repairs(Level::REPAIRED) && self.settings.downscaler_annotations.iter().any(broken) {
            return Map::new();
        }
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

    /// Annotations of every kind of pod.
    pub(super) fn plain_pod_annotations(&self) -> Map {
        let mut annotations = self.settings.custom_pod_annotations.clone();
        annotations.extend(self.cluster.spec.pod_annotations.clone().unwrap_or_default());
        self.inherited(annotations)
    }

    /// Annotations of database and backup pods.
    pub(super) fn pod_annotations(&self) -> Map {
        let mut annotations = self.plain_pod_annotations();
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
    /// most. With `enable_owner_references` the manifest becomes the controller. The original
    /// copies the controller's mark too (D8); with two of them the API server refuses the object.
    fn owner_references(&self) -> Value {
        let mut owners = self.cluster.owners.clone();
        let uid = &self.cluster.identity.uid;
        let adds_own =
            self.settings.enable_owner_references && !owners.iter().any(|owner| owner["uid"] == json!(uid));
        for owner in owners.iter_mut().filter_map(Value::as_object_mut) {
            if adds_own || self.level.repairs(Level::REPAIRED) {
                owner.remove("controller");
                owner.remove("blockOwnerDeletion");
            }
        }
        if adds_own {
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
