//! Which major version pods are told to run (01 §2.2, 04 §10).

use super::*;

/// `PGVERSION` and the fields of the notices.
fn version(spec: Value, settings: &Settings, facts: &Facts) -> (String, Vec<String>) {
    let cluster = cluster(&manifest("acid-test-cluster", spec), settings);
    let intent = render_with(&cluster, settings, &References::default(), facts);
    let mut seen = Level::all().map(|level| {
        let all = variables(container_at(&intent, level, "postgres"));
        all.iter().find_map(|variable| variable.strip_prefix("PGVERSION=")).unwrap().to_owned()
    });
    let first = seen.next().unwrap();
    assert!(seen.all(|other| other == first), "the version is the same at every level");
    (first, told(&intent).into_iter().map(str::to_owned).collect())
}

#[test]
fn pods_keep_their_version_outside_of_windows_and_never_get_a_lower_one() {
    let facts = |running: &str, inside| Facts {
        running_version: Some(running.to_owned()),
        in_maintenance_window: inside,
        ..Facts::default()
    };
    let windows = || Settings { maintenance_windows: vec!["01:00-06:00".into()], ..Settings::default() };
    let off = || Settings { enable_maintenance_windows: false, ..windows() };
    let full = || Settings {
        major_version_upgrade_mode: "full".into(),
        minimal_major_version: "16".into(),
        ..windows()
    };
    let own = json!({"maintenanceWindows": ["Sat:01:00-02:00"]});
    let rows = [
        ("17", json!({}), Settings::default(), Facts::default(), "17", 0),
        ("17", json!({}), windows(), Facts::default(), "17", 0),
        ("17", json!({}), windows(), facts("17", false), "17", 0),
        ("17", json!({}), windows(), facts("16", false), "16", 1),
        ("17", json!({}), windows(), facts("16", true), "17", 0),
        ("17", json!({}), off(), facts("16", false), "17", 0),
        ("17", json!({}), Settings::default(), facts("16", false), "17", 0),
        ("17", own.clone(), Settings::default(), facts("16", false), "16", 1),
        ("17", own, Settings::default(), facts("16", true), "17", 0),
        ("15", json!({}), Settings::default(), facts("16", true), "16", 1),
        ("15", json!({}), windows(), facts("16", true), "16", 1),
        ("15", json!({}), full(), facts("15", false), "15", 1),
        ("15", json!({}), full(), facts("15", true), "18", 0),
    ];
    for (row, (wanted, mut spec, settings, facts, expected, notices)) in rows.into_iter().enumerate() {
        spec["postgresql"] = json!({"version": wanted});
        let (version, told) = version(spec, &settings, &facts);
        assert_eq!(version, expected, "row {row}");
        assert_eq!(told, vec!["spec.postgresql.version"; notices], "row {row}");
    }
}

#[test]
fn the_directory_of_the_binaries_follows_the_same_rule() {
    let settings = Settings { enable_pgversion_env_var: false, ..Settings::default() };
    let spec = json!({"postgresql": {"version": "15"}});
    let cluster = cluster(&manifest("acid-test-cluster", spec), &settings);
    let facts = Facts { running_version: Some("16".into()), ..Facts::default() };
    let intent = render_with(&cluster, &settings, &References::default(), &facts);
    let all = variables(container_at(&intent, Level::ORIGINAL, "postgres"));
    assert!(all.iter().any(|variable| variable.contains("/usr/lib/postgresql/16/bin")), "{all:?}");
}
