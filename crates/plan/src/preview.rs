//! What other settings would do to a cluster, before they are put in force.

use matriarch_api::Problem;
use matriarch_cluster::{Cluster, Intent, render};
use matriarch_settings::{Effect, SettingDifference, Settings};
use serde::Serialize;
use serde_json::{Value, json};

use crate::difference::{Difference, differences, template_differences};

/// Options whose content is not in the settings: which variables would change is not known here.
const POINTERS: [&str; 2] = ["pod_environment_configmap", "pod_environment_secret"];

/// What would happen to one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterPreview {
    /// `namespace/name`.
    pub cluster: String,
    /// How many pods it should have.
    pub instances: u32,
    /// What differs in the pod template, so that every pod is replaced.
    pub rolls: Vec<Difference>,
    /// Objects that are written anew without a restart, as `Service/acid-demo`.
    pub updates: Vec<String>,
    /// Why the manifest, which is accepted now, would be refused.
    pub refused: Vec<Problem>,
}

impl ClusterPreview {
    /// Whether the cluster would notice nothing.
    pub fn is_empty(&self) -> bool {
        self.rolls.is_empty() && self.updates.is_empty() && self.refused.is_empty()
    }
}

/// What `after` would do to the cluster of `manifest`, which `before` is in force for. A manifest
/// that is refused now is left out: no pods of it can roll.
pub fn preview(manifest: &Value, before: &Settings, after: &Settings) -> ClusterPreview {
    let metadata = &manifest["metadata"];
    let text = |key: &str| metadata[key].as_str().unwrap_or_default();
    let mut found = ClusterPreview {
        cluster: format!("{}/{}", text("namespace"), text("name")),
        ..ClusterPreview::default()
    };
    let Ok(old) = Cluster::validate(manifest, before) else { return found };
    let new = match Cluster::validate(manifest, after) {
        Ok(new) => new,
        Err(problems) => {
            found.refused = problems;
            return found;
        }
    };
    let (old, new) = (render(&old, before), render(&new, after));
    found.instances = new.instances;
    found.rolls = rolls(&old, &new, before, after);
    found.updates = updates(&old, &new);
    found
}

fn rolls(old: &Intent, new: &Intent, before: &Settings, after: &Settings) -> Vec<Difference> {
    let template = |intent: &Intent| intent.stateful_set.body["spec"]["template"].clone();
    let mut rolls = template_differences(&template(new), &template(old));
    // A lazy upgrade leaves images of running pods alone.
    if after.enable_lazy_spilo_upgrade {
        rolls.retain(|difference| !difference.path.ends_with(".image"));
    }
    let changed = before.differences(after);
    let pointers = changed.iter().filter(|difference| POINTERS.contains(&difference.key));
    rolls.extend(pointers.map(|difference| Difference {
        path: format!("environment from {}", difference.key),
        from: json!(difference.from),
        to: json!(difference.to),
    }));
    rolls
}

/// Objects that differ, beside the pod template. Rendered objects are compared with each other, so
/// a field that only one has is a difference too.
fn updates(old: &Intent, new: &Intent) -> Vec<String> {
    let mut found = Vec::new();
    for object in new.objects() {
        let twin = old.objects().find(|old| (&old.kind, &old.name) == (&object.kind, &object.name));
        let without_template = |body: &Value| {
            let mut body = body.clone();
            if object.kind == "StatefulSet" {
                body["spec"]["template"] = Value::Null;
            }
            body
        };
        let new_body = without_template(&object.body);
        let same = twin.is_some_and(|twin| {
            let old_body = without_template(&twin.body);
            differences(&new_body, &old_body, "").is_empty()
                && differences(&old_body, &new_body, "").is_empty()
        });
        if !same {
            found.push(format!("{}/{}", object.kind, object.name));
        }
    }
    let gone = old
        .objects()
        .filter(|old| !new.objects().any(|object| (&old.kind, &old.name) == (&object.kind, &object.name)));
    found.extend(gone.map(|object| format!("{}/{} (no longer)", object.kind, object.name)));
    found
}

/// What a change of the settings would do, as it is published before it is put in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChangePreview {
    /// Options that differ, one line each.
    pub changes: Vec<String>,
    /// Clusters whose pods are replaced, one by one: `namespace/name` and the fields that differ.
    pub rolls: Vec<RollPreview>,
    /// Clusters that get updates without a restart, with the objects.
    pub updates: Vec<UpdatePreview>,
    /// Clusters whose manifest would be refused, with the reasons.
    pub refused: Vec<UpdatePreview>,
}

/// A cluster whose pods would be replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RollPreview {
    /// `namespace/name`.
    pub cluster: String,
    /// How many pods.
    pub pods: u32,
    /// Because of these fields of the pod template.
    pub because: Vec<String>,
}

/// A cluster and what concerns it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UpdatePreview {
    /// `namespace/name`.
    pub cluster: String,
    /// Objects, or problems.
    pub what: Vec<String>,
}

impl ChangePreview {
    /// What `after` would do to the clusters of these manifests.
    pub fn of<'a>(
        manifests: impl IntoIterator<Item = &'a Value>,
        before: &Settings,
        after: &Settings,
    ) -> Self {
        let changed = before.differences(after);
        let mut found =
            Self { changes: changed.iter().map(SettingDifference::to_string).collect(), ..Self::default() };
        for manifest in manifests {
            let one = preview(manifest, before, after);
            if !one.rolls.is_empty() {
                let because = one.rolls.iter().map(Difference::to_string).collect();
                found.rolls.push(RollPreview { cluster: one.cluster.clone(), pods: one.instances, because });
            }
            if !one.updates.is_empty() {
                found.updates.push(UpdatePreview { cluster: one.cluster.clone(), what: one.updates });
            }
            if !one.refused.is_empty() {
                let what = one.refused.iter().map(Problem::to_string).collect();
                found.refused.push(UpdatePreview { cluster: one.cluster, what });
            }
        }
        found.rolls.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        found.updates.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        found.refused.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        found
    }

    /// Whether the change breaks clusters that run (02 §4.3), by what the table of options says.
    pub fn breaking(before: &Settings, after: &Settings) -> Vec<&'static str> {
        let changed = before.differences(after).into_iter();
        changed.filter(|one| one.effects.contains(&Effect::Breaks)).map(|one| one.key).collect()
    }

    /// One paragraph for an event or a condition: first what rolls, then why.
    pub fn summary(&self) -> String {
        let mut parts = vec![self.changes.join("; ")];
        if self.rolls.is_empty() {
            parts.push("no pod is restarted".to_owned());
        } else {
            let names: Vec<_> = self.rolls.iter().map(|roll| roll.cluster.as_str()).collect();
            let pods: u32 = self.rolls.iter().map(|roll| roll.pods).sum();
            let because: Vec<_> = self.rolls.iter().flat_map(|roll| roll.because.first()).take(1).collect();
            parts.push(format!(
                "{} clusters with {pods} pods roll, one pod at a time each: {} (in {}: {})",
                names.len(),
                names.join(", "),
                names.first().unwrap_or(&""),
                because.first().map_or("", |text| text.as_str()),
            ));
        }
        if !self.updates.is_empty() {
            parts.push(format!("objects of {} clusters are updated", self.updates.len()));
        }
        for refused in &self.refused {
            parts.push(format!("{} would be refused: {}", refused.cluster, refused.what.join(", ")));
        }
        parts.join(". ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str) -> Value {
        json!({
            "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
            "metadata": {"name": name, "namespace": "demo", "uid": "u", "generation": 1},
            "spec": {"teamId": "acid", "numberOfInstances": 3, "volume": {"size": "1Gi"},
                "postgresql": {"version": "17"}},
        })
    }

    fn changed(change: impl FnOnce(&mut Settings)) -> ChangePreview {
        let before = Settings::of_operator_configuration();
        let mut after = before.clone();
        change(&mut after);
        ChangePreview::of(&[manifest("acid-b"), manifest("acid-a")], &before, &after)
    }

    #[test]
    fn another_image_rolls_every_cluster_and_names_the_field() {
        let found = changed(|settings| settings.docker_image = "registry/spilo:2".to_owned());
        let clusters: Vec<_> = found.rolls.iter().map(|roll| (roll.cluster.as_str(), roll.pods)).collect();
        assert_eq!(clusters, [("demo/acid-a", 3), ("demo/acid-b", 3)]);
        assert_eq!(
            found.rolls[0].because,
            ["spec.containers[postgres].image ghcr.io/zalando/spilo-18:4.1-p2 → registry/spilo:2"]
        );
        assert!(found.summary().contains("2 clusters with 6 pods roll"), "{}", found.summary());
    }

    #[test]
    fn a_lazy_image_rolls_nobody() {
        let found = changed(|settings| {
            settings.enable_lazy_spilo_upgrade = true;
            settings.docker_image = "registry/spilo:2".to_owned();
        });
        assert_eq!(found.rolls, []);
    }

    #[test]
    fn an_operators_option_touches_no_cluster() {
        let found = changed(|settings| settings.workers = 2);
        assert_eq!((found.rolls.len(), found.updates.len(), found.changes.len()), (0, 0, 1));
        assert!(found.summary().ends_with("no pod is restarted"));
    }

    #[test]
    fn services_are_updated_without_a_restart() {
        let found = changed(|settings| settings.enable_master_load_balancer = true);
        assert_eq!(found.rolls, []);
        assert_eq!(found.updates[0].what, ["Service/acid-a"]);
    }

    #[test]
    fn a_manifest_that_would_be_refused_is_named() {
        let found = changed(|settings| {
            settings.enable_team_id_clustername_prefix = true;
            settings.docker_image = "registry/spilo:2".to_owned();
        });
        assert_eq!((found.refused.len(), found.rolls.len()), (0, 2));
        let before = Settings::of_operator_configuration();
        let after = Settings { enable_team_id_clustername_prefix: true, ..before.clone() };
        let found = ChangePreview::of(&[manifest("other")], &before, &after);
        assert_eq!(found.refused[0].cluster, "demo/other");
    }

    #[test]
    fn a_pointer_whose_content_is_not_known_is_said() {
        let found = changed(|settings| settings.pod_environment_secret = "more".to_owned());
        let because: Vec<_> = found.rolls.iter().flat_map(|roll| &roll.because).collect();
        assert!(
            found.refused.len() == 2 || because.iter().any(|text| text.contains("pod_environment_secret"))
        );
    }

    #[test]
    fn breaking_options_are_named() {
        let before = Settings::of_operator_configuration();
        let after = Settings { cluster_name_label: "other".to_owned(), workers: 1, ..before.clone() };
        assert_eq!(ChangePreview::breaking(&before, &after), ["cluster_name_label"]);
    }
}
