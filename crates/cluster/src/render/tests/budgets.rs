//! PodDisruptionBudgets.

use super::*;

fn budgets(spec: Value, settings: Settings) -> [Value; 2] {
    let settings = Settings { cluster_labels: BTreeMap::new(), ..settings };
    let mut manifest = manifest("myapp-database", json!({"teamId": "myapp"}));
    manifest["metadata"]["namespace"] = json!("myapp");
    manifest["metadata"]["uid"] = json!("u");
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let intent = intent(&manifest, &settings);
    for budget in &intent.disruption_budgets {
        let metadata = &budget.body["metadata"];
        assert_eq!(metadata["labels"], json!({"team": "myapp", "cluster-name": "myapp-database"}));
    }
    let original = |index: usize| intent.original_disruption_budgets[index].body.clone();
    for (index, budget) in intent.disruption_budgets.iter().enumerate() {
        let mut expected = original(index);
        expected["spec"]["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
        assert_eq!(budget.body, expected);
    }
    [original(0), original(1)]
}

/// The rows of 03 §17.6; the last one is the intended value of what the original gets wrong (D32).
#[test]
fn vectors_03_17_6_budgets() {
    let primary = json!({"cluster-name": "myapp-database", "spilo-role": "master"});
    let all = json!({"cluster-name": "myapp-database"});
    let off = || Settings { enable_pod_disruption_budget: false, ..Settings::default() };
    let unlabelled = || Settings { pdb_master_label_selector: false, ..Settings::default() };
    let named =
        || Settings { pdb_name_format: "postgres-{cluster}-databass-budget".into(), ..Settings::default() };
    let strict = json!({"patroni": {"synchronous_mode_strict": true}});
    let mut one = strict.clone();
    one["patroni"]["synchronous_node_count"] = json!(1);
    let three = || json!({"numberOfInstances": 3});
    let usual = "postgres-myapp-database-pdb";
    let rows = [
        (three(), Settings::default(), usual, 1, &primary, json!(0)),
        (json!({"numberOfInstances": 0}), Settings::default(), usual, 0, &primary, json!("100%")),
        (three(), off(), usual, 0, &primary, json!("100%")),
        (three(), named(), "postgres-myapp-database-databass-budget", 1, &primary, json!(0)),
        (one, unlabelled(), usual, 2, &all, json!(0)),
        (strict, unlabelled(), usual, 2, &all, json!(0)),
    ];
    for (spec, settings, name, available, selector, unavailable) in rows {
        let [first, second] = budgets(spec, settings);
        assert_eq!(first["metadata"]["name"], name);
        assert_eq!(first["spec"], json!({"minAvailable": available, "selector": {"matchLabels": selector}}));
        let critical = json!({"cluster-name": "myapp-database", "critical-operation": "true"});
        assert_eq!(second["metadata"]["name"], "postgres-myapp-database-critical-op-pdb");
        assert_eq!(
            second["spec"],
            json!({"maxUnavailable": unavailable, "selector": {"matchLabels": critical}})
        );
    }
    let owned = Settings { enable_owner_references: true, ..Settings::default() };
    for budget in budgets(three(), owned) {
        assert_eq!(budget["metadata"]["ownerReferences"][0]["name"], "myapp-database");
    }
}

/// A cluster of one pod may choose between an outage and a drain that waits.
#[test]
fn the_only_pod_may_be_drained_where_the_manifest_allows_it() {
    for (instances, annotation, available) in
        [(1, None, 1), (1, Some("block"), 1), (1, Some("allow"), 0), (2, Some("allow"), 1)]
    {
        let mut manifest = manifest("acid-one", json!({"numberOfInstances": instances}));
        if let Some(value) = annotation {
            manifest["metadata"]["annotations"] = json!({"acid.zalan.do/single-instance-drain": value});
        }
        let budget = &intent(&manifest, &Settings::default()).disruption_budgets[0].body;
        assert_eq!(budget["spec"]["minAvailable"], available, "{instances} {annotation:?}");
        assert_eq!(budget["metadata"]["annotations"], Value::Null, "{annotation:?}");
    }
}

/// What the operator is asked by annotations stands in no object.
#[test]
fn annotations_for_the_operator_reach_no_object() {
    let mut manifest = manifest("acid-one", json!({}));
    let plain = intent(&manifest, &Settings::default());
    manifest["metadata"]["annotations"] = json!({
        "acid.zalan.do/paused": "true",
        "acid.zalan.do/approve-primary": "required",
        "acid.zalan.do/self-healing": "recreate-volume",
    });
    let asked = intent(&manifest, &Settings::default());
    let bodies = |intent: &Intent| intent.objects().map(|object| object.body.clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&plain), bodies(&asked));
    let settings =
        Settings { inherited_annotations: vec!["acid.zalan.do/paused".into()], ..Settings::default() };
    let inherited = intent(&manifest, &settings);
    assert_eq!(inherited.stateful_set.body["metadata"]["annotations"]["acid.zalan.do/paused"], "true");
}
