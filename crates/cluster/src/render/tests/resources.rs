//! Requests, limits and the number of pods.

use super::*;

/// `cpu/memory` of requests and limits, `-` for none.
fn shown(resources: &Value) -> String {
    let part = |part: &str| {
        let one = |name: &str| resources[part][name].as_str().unwrap_or("-").to_owned();
        format!("{}/{}", one("cpu"), one("memory"))
    };
    format!("{} {}", part("requests"), part("limits"))
}

/// `cpu/memory` as a part of `resources`.
fn amounts(text: &str) -> Value {
    let (cpu, memory) = text.split_once('/').unwrap();
    let mut part = json!({});
    for (name, value) in [("cpu", cpu), ("memory", memory)] {
        if !matches!(value, "-" | "") {
            part[name] = json!(value);
        }
    }
    part
}

fn base() -> Settings {
    Settings {
        max_cpu_request: "500m".into(),
        max_memory_request: "1Gi".into(),
        min_cpu_limit: "250m".into(),
        min_memory_limit: "250Mi".into(),
        ..Settings::default()
    }
}

fn bare() -> Settings {
    Settings {
        default_cpu_request: String::new(),
        default_memory_request: String::new(),
        default_cpu_limit: String::new(),
        default_memory_limit: String::new(),
        ..Settings::default()
    }
}

fn ignoring() -> Settings {
    Settings {
        ignore_resources_limits_annotation_key: "zalando.org/ignore-resources-limits".into(),
        ..base()
    }
}

fn raising() -> Settings {
    Settings { set_memory_request_to_limit: true, ..base() }
}

fn postgres(settings: &Settings, requests: &str, limits: &str, annotation: Option<&str>) -> String {
    let spec = json!({"resources": {"requests": amounts(requests), "limits": amounts(limits)}});
    let mut manifest = manifest("acid-test-cluster", spec);
    if let Some(value) = annotation {
        manifest["metadata"]["annotations"] = json!({"zalando.org/ignore-resources-limits": value});
    }
    shown(&container(&intent(&manifest, settings), "postgres")["resources"])
}

fn sidecar(settings: &Settings, requests: &str, limits: &str) -> String {
    let resources = json!({"requests": amounts(requests), "limits": amounts(limits)});
    let spec = json!({"sidecars": [{"name": "side", "image": "i", "resources": resources}]});
    shown(&container(&intent(&manifest("acid-test-cluster", spec), settings), "side")["resources"])
}

/// The rows of 03 §17.1, which are those of 01 §3.8 and three more.
#[test]
fn vectors_03_17_1_resources_of_postgres() {
    let only_requests =
        Settings { default_cpu_request: "100m".into(), default_memory_request: "100Mi".into(), ..bare() };
    let zero = |text: &str| text.to_owned();
    let zeros = Settings {
        default_cpu_request: zero("0"),
        default_memory_request: zero("0"),
        default_cpu_limit: zero("0"),
        default_memory_limit: zero("0"),
        min_cpu_limit: zero("0"),
        min_memory_limit: zero("0"),
        max_cpu_request: zero("0"),
        max_memory_request: zero("0"),
        ..Settings::default()
    };
    let least_memory = Settings { min_memory_limit: "250Mi".into(), ..bare() };
    let least_cpu = Settings { min_cpu_limit: "250m".into(), ..bare() };
    let raised = Settings {
        min_cpu_limit: "503m".into(),
        min_memory_limit: "502Mi".into(),
        max_cpu_request: String::new(),
        max_memory_request: "300Mi".into(),
        set_memory_request_to_limit: true,
        ..Settings::default()
    };
    let cases = [
        (base(), "-/-", "-/-", None, "100m/100Mi 1/500Mi"),
        // Empty sections, row 18.
        (base(), "/", "/", None, "100m/100Mi 1/500Mi"),
        (base(), "50m/50Mi", "-/-", None, "50m/50Mi 1/500Mi"),
        (base(), "-/100Mi", "-/1Gi", None, "100m/100Mi 1/1Gi"),
        (only_requests, "-/-", "-/-", None, "100m/100Mi -/-"),
        (zeros, "-/-", "5m/5Mi", None, "-/- 5m/5Mi"),
        (base(), "-/750Mi", "-/300Mi", None, "100m/750Mi 1/750Mi"),
        (least_memory, "-/500Mi", "-/-", None, "-/500Mi -/500Mi"),
        (raising(), "-/200Mi", "-/300Mi", None, "100m/300Mi 1/300Mi"),
        (base(), "10m/250Mi", "400m/800Mi", None, "10m/250Mi 400m/800Mi"),
        (ignoring(), "100m/100Mi", "200m/200Mi", Some("false"), "100m/100Mi 250m/250Mi"),
        (ignoring(), "100m/100Mi", "200m/200Mi", Some("true"), "100m/100Mi 200m/200Mi"),
        (ignoring(), "1/2Gi", "2/4Gi", Some("yes"), "500m/1Gi 2/4Gi"),
        (ignoring(), "1/2Gi", "2/4Gi", Some("true"), "1/2Gi 2/4Gi"),
        (raising(), "-/500Mi", "-/2Gi", None, "100m/1Gi 1/2Gi"),
        (least_cpu, "-/-", "-/-", None, "-/- 250m/-"),
        (raised, "10m/50Mi", "200m/200Mi", None, "10m/300Mi 503m/502Mi"),
    ];
    for (number, (settings, requests, limits, annotation, expected)) in cases.into_iter().enumerate() {
        assert_eq!(postgres(&settings, requests, limits, annotation), expected, "case {number}");
    }
}

#[test]
fn vectors_03_17_1_resources_of_sidecars() {
    assert_eq!(sidecar(&base(), "-/-", "-/-"), "100m/100Mi 1/500Mi");
    assert_eq!(sidecar(&base(), "10m/10Mi", "100m/100Mi"), "10m/10Mi 100m/100Mi");
    assert_eq!(sidecar(&raising(), "10m/10Mi", "100m/100Mi"), "10m/100Mi 100m/100Mi");
}

#[test]
fn vectors_03_17_1_huge_pages() {
    let pages = json!({
        "requests": {"hugepages-2Mi": "128Mi", "hugepages-1Gi": "1Gi"},
        "limits": {"hugepages-2Mi": "256Mi", "hugepages-1Gi": "2Gi"},
    });
    let spec = json!({"resources": pages, "sidecars": [{"name": "side", "image": "i", "resources": pages}]});
    let intent = intent(&manifest("acid-test-cluster", spec), &base());
    for name in ["postgres", "side"] {
        assert_eq!(
            container(&intent, name)["resources"],
            json!({
                "requests": {"cpu": "100m", "memory": "100Mi", "hugepages-2Mi": "128Mi", "hugepages-1Gi": "1Gi"},
                "limits": {"cpu": "1", "memory": "500Mi", "hugepages-2Mi": "256Mi", "hugepages-1Gi": "2Gi"},
            })
        );
    }
}

/// 01 §3.8 as its own table: manifest → result, where neither configuration nor annotation is special.
#[test]
fn vectors_01_3_8_resources() {
    let rows = [
        ("-/-", "-/-", "100m/100Mi 1/500Mi"),
        ("50m/50Mi", "-/-", "50m/50Mi 1/500Mi"),
        ("-/100Mi", "-/1Gi", "100m/100Mi 1/1Gi"),
        ("-/750Mi", "-/300Mi", "100m/750Mi 1/750Mi"),
        ("10m/250Mi", "400m/800Mi", "10m/250Mi 400m/800Mi"),
        // Zero and null mean the default, not nothing.
        ("0/null", "0/0", "100m/100Mi 1/500Mi"),
    ];
    for (requests, limits, expected) in rows {
        assert_eq!(postgres(&base(), requests, limits, None), expected, "{requests} {limits}");
    }
}

#[test]
fn vectors_03_17_1_raised_limits_are_told() {
    let spec = json!({"resources": {"limits": {"cpu": "200m", "memory": "200Mi"}}});
    let intent = intent(&manifest("acid-test-cluster", spec), &base());
    let fields: Vec<_> = intent.notices.iter().map(|notice| notice.field.as_str()).collect();
    assert_eq!(fields, ["spec.resources.limits.cpu", "spec.resources.limits.memory"]);
}

#[test]
fn vectors_03_17_2_instances() {
    let key = "ignore-instance-limits";
    let standby = json!({"standby_host": "other"});
    let cases = [
        (-1, -1, "", None, 2, None, 2),
        (2, -1, "", None, 1, None, 2),
        (-1, 5, "", None, 10, None, 5),
        (2, -1, key, Some((key, "true")), 1, None, 1),
        (2, -1, key, Some(("ignoring-instance-limits", "true")), 1, None, 2),
        (2, -1, key, Some((key, "active")), 1, None, 2),
        (-1, -1, key, Some((key, "true")), 1, None, 1),
        (3, -1, "", None, 1, Some(&standby), 1),
        (3, -1, "", None, 2, Some(&standby), 3),
        (-1, 0, "", None, 2, None, 0),
    ];
    for (number, (min, max, key, annotation, wanted, standby, expected)) in cases.into_iter().enumerate() {
        let settings = Settings {
            min_instances: min,
            max_instances: max,
            ignore_instance_limits_annotation_key: key.into(),
            ..Settings::default()
        };
        let mut manifest = manifest("acid-test-cluster", json!({"numberOfInstances": wanted}));
        if let Some((key, value)) = annotation {
            manifest["metadata"]["annotations"] = json!({key: value});
        }
        if let Some(standby) = standby {
            manifest["spec"]["standby"] = standby.clone();
        }
        let intent = intent(&manifest, &settings);
        assert_eq!(intent.instances, expected, "case {number}");
        assert_eq!(intent.stateful_set.body["spec"]["replicas"], json!(expected));
    }
}
