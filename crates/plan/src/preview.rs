//! What other settings would do to a cluster, before they are put in force.

use matriarch_api::Problem;
use matriarch_cluster::Intent;
use matriarch_settings::{Effect, SettingDifference, Settings};
use serde::Serialize;
use serde_json::Value;

use crate::difference::{Difference, differences, template_differences};
use crate::lazy;

/// One cluster under the settings in force and under the new ones.
#[derive(Clone, Debug)]
pub struct Twins {
    /// `namespace/name`.
    pub cluster: String,
    /// What should exist now; `None` when the manifest is refused now, so that nothing can roll.
    pub before: Option<Intent>,
    /// What should exist then, or why the manifest would be refused.
    pub after: Result<Intent, Vec<Problem>>,
}

/// What would happen to one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterPreview {
    /// What differs in the pod template, so that every pod is replaced.
    pub rolls: Vec<Difference>,
    /// Objects that are written anew without a restart, as `Service/acid-demo`.
    pub updates: Vec<String>,
}

/// What happens to the cluster of `old` when it should become `new`. Both are compared at the same
/// level: which one is in force changes nothing about what the settings change.
pub fn preview(old: &Intent, new: &Intent) -> ClusterPreview {
    let template = |intent: &Intent| intent.stateful_set.body["spec"]["template"].clone();
    let found = template_differences(&template(new), &template(old));
    let (waits, rolls): (Vec<_>, _) = found.into_iter().partition(|one| lazy::may_wait(new, &one.path));
    let mut updates = updates(old, new);
    if rolls.is_empty() && !waits.is_empty() {
        updates.push(format!("StatefulSet/{} (pods get it when they are made anew)", new.stateful_set.name));
    }
    ClusterPreview { rolls, updates }
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
    /// Clusters that are left as they are, because their manifest would be refused or something
    /// that they would need is missing, with the reasons.
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
    /// What `after` would do to these clusters.
    pub fn of(clusters: &[Twins], before: &Settings, after: &Settings) -> Self {
        let mut found = Self::without_clusters(before, after);
        let mut clusters: Vec<&Twins> = clusters.iter().collect();
        clusters.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        for twins in clusters {
            found.add(twins);
        }
        found
    }

    /// Which options differ; clusters are added one by one, because all at once take much memory.
    pub fn without_clusters(before: &Settings, after: &Settings) -> Self {
        let changed = before.differences(after);
        Self { changes: changed.iter().map(SettingDifference::to_string).collect(), ..Self::default() }
    }

    /// What the change does to one more cluster; they are added in the order of their names.
    pub fn add(&mut self, twins: &Twins) {
        let cluster = twins.cluster.clone();
        let Some(old) = &twins.before else { return };
        let new = match &twins.after {
            Ok(new) => new,
            Err(problems) => {
                let what = problems.iter().map(Problem::to_string).collect();
                self.refused.push(UpdatePreview { cluster, what });
                return;
            }
        };
        if !new.unresolved.is_empty() {
            let waits = new.unresolved.iter().map(|one| format!("waits for {}: {}", one.field, one.why));
            self.refused.push(UpdatePreview { cluster, what: waits.collect() });
            return;
        }
        let one = preview(old, new);
        if !one.updates.is_empty() {
            self.updates.push(UpdatePreview { cluster: cluster.clone(), what: one.updates });
        }
        if !one.rolls.is_empty() {
            let because = one.rolls.iter().map(Difference::to_string).collect();
            self.rolls.push(RollPreview { cluster, pods: new.instances, because });
        }
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
            parts.push(format!("{} is left as it is: {}", refused.cluster, refused.what.join(", ")));
        }
        parts.join(". ")
    }
}

#[cfg(test)]
mod tests {
    use matriarch_cluster::{Cluster, render};
    use serde_json::json;

    use super::*;

    fn manifest(name: &str) -> Value {
        json!({
            "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
            "metadata": {"name": name, "namespace": "demo", "uid": "u", "generation": 1},
            "spec": {"teamId": "acid", "numberOfInstances": 3, "volume": {"size": "1Gi"},
                "postgresql": {"version": "17"}},
        })
    }

    fn twins(name: &str, before: &Settings, after: &Settings) -> Twins {
        let manifest = manifest(name);
        let intent = |settings| Cluster::validate(&manifest, settings).map(|found| render(&found, settings));
        Twins { cluster: format!("demo/{name}"), before: intent(before).ok(), after: intent(after) }
    }

    fn changed_for(names: &[&str], change: impl FnOnce(&mut Settings)) -> ChangePreview {
        let before = Settings::of_operator_configuration();
        let mut after = before.clone();
        change(&mut after);
        let clusters: Vec<_> = names.iter().map(|name| twins(name, &before, &after)).collect();
        ChangePreview::of(&clusters, &before, &after)
    }

    fn changed(change: impl FnOnce(&mut Settings)) -> ChangePreview {
        changed_for(&["acid-b", "acid-a"], change)
    }

    #[test]
    fn another_image_rolls_every_cluster_and_names_the_field() {
        let found = changed(|settings| settings.docker_image = "registry/spilo:2".to_owned());
        let clusters: Vec<_> = found.rolls.iter().map(|roll| (roll.cluster.as_str(), roll.pods)).collect();
        assert_eq!(clusters, [("demo/acid-a", 3), ("demo/acid-b", 3)]);
        assert_eq!(
            found.rolls[0].because,
            [
                "spec.containers[postgres].image ghcr.io/zalando/spilo-18:4.1-p2 → registry/spilo:2 (recreates pods)"
            ]
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
        assert_eq!(found.updates[0].what, ["StatefulSet/acid-a (pods get it when they are made anew)"]);
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
    fn a_manifest_that_would_be_refused_is_named_and_does_not_roll() {
        let found = changed_for(&["acid-a", "other"], |settings| {
            settings.enable_team_id_clustername_prefix = true;
            settings.docker_image = "registry/spilo:2".to_owned();
        });
        assert_eq!(found.refused[0].cluster, "demo/other");
        assert_eq!(found.rolls.len(), 1);
        assert!(found.summary().contains("demo/other is left as it is"), "{}", found.summary());
    }

    #[test]
    fn a_missing_reference_is_said() {
        let found = changed(|settings| settings.pod_environment_secret = "more".to_owned());
        assert_eq!((found.refused.len(), found.rolls.len()), (2, 0));
        assert!(found.refused[0].what[0].contains("pod_environment_secret"), "{:?}", found.refused);
    }

    #[test]
    fn breaking_options_are_named() {
        let before = Settings::of_operator_configuration();
        let after = Settings { cluster_name_label: "other".to_owned(), workers: 1, ..before.clone() };
        assert_eq!(ChangePreview::breaking(&before, &after), ["cluster_name_label"]);
    }
}
