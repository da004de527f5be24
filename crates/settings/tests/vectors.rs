//! The rules of reference 02 as tables. `vectors_02_2_1_booleans` are those of its section 2.1.

#![allow(clippy::unwrap_used)] // tests may stop at the first surprise

use std::collections::BTreeMap;
use std::time::Duration;

use matriarch_settings::{Effect, OPTIONS, Opt, Reading, Settings, Sources, expand, namespaced_name};
use serde_json::{Value, json};

fn config_map(pairs: &[(&str, &str)]) -> Reading {
    let data: BTreeMap<_, _> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Reading::of_config_map(&data)
}

fn object(configuration: Value) -> Reading {
    Reading::of_operator_configuration(&json!({"configuration": configuration}))
}

/// Reads `text` as the value of `key`; `null` stands for a refusal.
fn read(key: &str, text: &str) -> Value {
    let reading = config_map(&[(key, text)]);
    match reading.problems.iter().find(|problem| problem.field == key) {
        Some(problem) => {
            assert!(
                problem.message.contains(text) || problem.message.contains(&format!("{text:?}")),
                "{problem} does not name {text:?}"
            );
            assert!(!problem.cure.is_empty());
            Value::Null
        }
        None => reading.settings.value(key),
    }
}

fn table(key: &str, rows: &[(&str, Value)]) {
    for (text, expected) in rows {
        assert_eq!(read(key, text), *expected, "{key}: {text:?}");
    }
}

/// Fields of problems and of warnings.
fn fields(reading: &Reading) -> (Vec<&str>, Vec<&str>) {
    let of = |list: &'_ [matriarch_api::Problem]| -> Vec<String> {
        list.iter().map(|problem| problem.field.clone()).collect()
    };
    let leak = |list: Vec<String>| list.into_iter().map(|text| &*text.leak()).collect();
    (leak(of(&reading.problems)), leak(of(&reading.warnings)))
}

#[test]
fn vectors_02_2_1_texts() {
    table(
        "db_hosted_zone",
        &[
            ("a", json!("a")),
            (" a ", json!(" a ")),
            ("'a'", json!("'a'")),
            ("a,b:c", json!("a,b:c")),
            ("", json!("")),
        ],
    );
}

#[test]
fn vectors_02_2_1_booleans() {
    let mut rows = Vec::new();
    rows.extend(["1", "t", "T", "TRUE", "true", "True"].map(|text| (text, json!(true))));
    rows.extend(["0", "f", "F", "FALSE", "false", "False", ""].map(|text| (text, json!(false))));
    rows.extend(["yes", "no", "on", "off", "tRUE", " true", "true ", "2"].map(|text| (text, Value::Null)));
    table("enable_shm_volume", &rows);
}

#[test]
fn vectors_02_2_1_whole_numbers() {
    table(
        "connection_pooler_max_db_connections",
        &[
            ("60", json!(60)),
            ("+60", json!(60)),
            ("010", json!(8)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("0x_1f", json!(31)),
            ("0", json!(0)),
            ("", json!(0)),
            ("2147483647", json!(2_147_483_647)),
            ("2147483648", Value::Null),
            ("9223372036854775808", Value::Null),
            ("1__000", Value::Null),
            ("1_", Value::Null),
            ("_1", Value::Null),
            ("08", Value::Null),
            ("1e6", Value::Null),
            ("1.5", Value::Null),
            (" 1", Value::Null),
            ("1 ", Value::Null),
            ("0x", Value::Null),
            ("0x-1", Value::Null),
            ("ten", Value::Null),
        ],
    );
    table(
        "max_instances",
        &[("-1", json!(-1)), ("-2147483648", json!(i32::MIN)), ("-2147483649", Value::Null)],
    );
    table("spilo_runasuser", &[("101", json!(101)), ("9007199254740993", json!(9_007_199_254_740_993_i64))]);
    table(
        "workers",
        &[("4294967295", json!(4_294_967_295_i64)), ("-1", Value::Null), ("4294967296", Value::Null)],
    );
}

#[test]
fn vectors_02_2_1_durations() {
    let rows = [
        ("30m", Some(1_800_000)),
        ("1h30m", Some(5_400_000)),
        ("1h1m1s1ms", Some(3_661_001)),
        ("1.5s", Some(1_500)),
        (".5s", Some(500)),
        ("5.s", Some(5_000)),
        ("+5s", Some(5_000)),
        ("1000us", Some(1)),
        ("1000µs", Some(1)),
        ("1000μs", Some(1)),
        ("1000000ns", Some(1)),
        ("0", Some(0)),
        ("+0", Some(0)),
        ("0s", Some(0)),
        ("", Some(0)),
        ("30", None),
        ("1d", None),
        ("5 m", None),
        ("m", None),
        (".s", None),
        ("+", None),
        ("-5s", None),
        ("1H", None),
        (" 1s", None),
        ("1s ", None),
    ];
    for (text, expected) in rows {
        let reading = config_map(&[("ready_wait_timeout", text)]);
        let found = reading.problems.is_empty().then_some(reading.settings.ready_wait_timeout);
        assert_eq!(found, expected.map(Duration::from_millis), "{text:?}");
    }
}

#[test]
fn vectors_02_2_1_a_resync_of_zero_is_refused() {
    for text in ["0", "0s", ""] {
        assert_eq!(fields(&config_map(&[("resync_period", text)])).0, ["resync_period"], "{text:?}");
    }
    // In an object the code's default stands in.
    let reading = object(json!({"resync_period": "0s"}));
    assert_eq!(reading.settings.resync_period, Duration::from_secs(1800));
    assert_eq!(reading.problems, []);
}

#[test]
fn vectors_02_2_1_qualified_names() {
    let rows = [
        ("name", Some(("own", "name"))),
        ("ns/name", Some(("ns", "name"))),
        ("ns//name", Some(("ns", "name"))),
        ("ns/a/b", Some(("ns", "a/b"))),
        ("/name", Some(("own", "name"))),
        ("ns/", None),
        ("/", None),
        ("", None),
    ];
    for (text, expected) in rows {
        let expected = expected.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        assert_eq!(namespaced_name(text, "own"), expected, "{text:?}");
    }
    assert_eq!(fields(&config_map(&[("pod_environment_configmap", "ns/")])).0, ["pod_environment_configmap"]);
    // An empty one means none, in both sources.
    assert_eq!(config_map(&[("infrastructure_roles_secret_name", "")]).problems, []);
    assert_eq!(object(json!({"kubernetes": {"infrastructure_roles_secret_name": ""}})).problems, []);
}

#[test]
fn vectors_02_2_2_lists() {
    table(
        "protected_role_names",
        &[
            ("admin,cron_admin", json!(["admin", "cron_admin"])),
            ("admin, cron_admin", json!(["admin", "cron_admin"])),
            ("admin,", json!(["admin"])),
            (",", json!([])),
            ("", json!([])),
            ("a b", json!(["a b"])),
            ("'a,b'", json!(["'a", "b'"])),
        ],
    );
}

#[test]
fn vectors_02_2_3_maps() {
    table(
        "team_api_role_configuration",
        &[
            ("log_statement:all", json!({"log_statement": "all"})),
            ("a:1,b:2", json!({"a": "1", "b": "2"})),
            (" a:1 ,\tb:2 ", json!({"a": "1", "b": "2"})),
            (
                "log_statement:all,search_path:'data,public'",
                json!({"log_statement": "all", "search_path": "data,public"}),
            ),
            ("work_mem:'4GB'", json!({"work_mem": "4GB"})),
            (r#"a:"b,'c"#, Value::Null),
            (r#"a:"it's",b:c"#, json!({"a": "it's", "b": "c"})),
            ("image:host:5000/x:1", json!({"image": "host:5000/x:1"})),
            ("'a:b':c", json!({"a:b": "c"})),
            ("name:ä,other:b", json!({"name": "ä", "other": "b"})),
            ("a:", json!({"a": ""})),
            ("a:1,", json!({"a": "1"})),
            ("", json!({})),
            ("a", Value::Null),
            ("a:1,b", Value::Null),
            ("a:'b", Value::Null),
        ],
    );
    table(
        "cluster_labels",
        &[("application:spilo,env:prod", json!({"application": "spilo", "env": "prod"}))],
    );
    table(
        "toleration",
        &[(
            "key:db-only,operator:Exists,effect:NoSchedule",
            json!({"key": "db-only", "operator": "Exists", "effect": "NoSchedule"}),
        )],
    );
    table("node_readiness_label", &[("status:ready", json!({"status": "ready"}))]);
    table(
        "persistent_volume_claim_retention_policy",
        &[(
            "when_deleted:retain,when_scaled:retain",
            json!({"when_deleted": "retain", "when_scaled": "retain"}),
        )],
    );
}

#[test]
fn vectors_02_2_4_role_sources_of_a_config_map() {
    let key = "infrastructure_roles_secrets";
    let one = |pairs: Value| json!([pairs]);
    table(
        key,
        &[
            (
                "secretname:monitoring-roles,userkey:user,passwordkey:password,rolekey:inrole",
                one(json!({"secretname": "default/monitoring-roles", "userkey": "user",
                "passwordkey": "password", "rolekey": "inrole"})),
            ),
            (
                "secretname: ns/roles , passwordkey : password,defaultuservalue:u,defaultrolevalue:r",
                one(json!({"secretname": "ns/roles", "passwordkey": "password", "defaultuservalue": "u",
                "defaultrolevalue": "r"})),
            ),
            (
                "secretname:a,userkey:u,passwordkey:p,junk",
                one(json!({"secretname": "default/a", "userkey": "u", "passwordkey": "p"})),
            ),
            (
                "secretname:a,userkey:u:v,passwordkey:p",
                one(json!({"secretname": "default/a", "userkey": "u", "passwordkey": "p"})),
            ),
            ("", Value::Null),
            ("junk", Value::Null),
        ],
    );
    for (text, warned) in [
        ("secretname:a,userkey:u,passwordkey:p,details:d", 1),
        ("secretname:a,userkey:u,passwordkey:p,template:true", 1),
        ("secretname:a,passwordkey:p", 1),
        ("secretname:a,userkey:u", 1),
        ("userkey:u,passwordkey:p", 1),
        ("secretname:a,userkey:u,passwordkey:p", 0),
    ] {
        let reading = config_map(&[(key, text)]);
        assert_eq!((reading.problems.len(), reading.warnings.len()), (0, warned), "{text}");
    }
}

#[test]
fn vectors_02_2_4_role_sources_of_an_object() {
    let sources = json!([{"secretname": "a", "userkey": "u", "passwordkey": "p", "rolekey": "r"},
        {"secretname": "b", "userkey": "u", "passwordkey": "p"}]);
    let reading = object(json!({"kubernetes": {"infrastructure_roles_secrets": sources}}));
    assert_eq!(reading.settings.infrastructure_roles_secrets, Some(sources));
    assert_eq!((reading.problems, reading.warnings), (vec![], vec![]));
    let reading = object(json!({"kubernetes": {"infrastructure_roles_secrets": {"secretname": "a"}}}));
    assert_eq!(fields(&reading).0, ["kubernetes.infrastructure_roles_secrets"]);
}

#[test]
fn vectors_02_2_5_sidecars_d20() {
    let list = json!([{"name": "a", "image": "a:1", "ports": [{"containerPort": 80}], "unheard": {"of": 1}}]);
    let reading = object(json!({"sidecars": list}));
    assert_eq!((reading.settings.sidecars, reading.problems), (Some(list.clone()), vec![]));
    for (wrong, is_error) in [
        (json!([{"name": "a"}]), true),
        (json!([{"image": "a"}]), true),
        (json!({"name": "a", "image": "b"}), true),
        (json!({}), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        assert_eq!(!object(json!({"sidecars": wrong})).problems.is_empty(), is_error, "{wrong}");
    }
    let text = "[{name: a, image: 'a:1'}]";
    assert_eq!(read("sidecars", text), json!([{"name": "a", "image": "a:1"}]));
    assert_eq!(read("sidecars", "a,b"), Value::Null);
}

#[test]
fn vectors_02_2_6_definitions() {
    let account = "pod_service_account_definition";
    let binding = "pod_service_account_role_binding_definition";
    for (key, text, fine) in [
        (account, r#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"x"}}"#, true),
        (account, "apiVersion: v1\nkind: ServiceAccount\n", true),
        (account, "", true),
        (account, "apiVersion: v1\nkind: Secret\n", false),
        (account, "kind: ServiceAccount\n", false),
        (account, "{", false),
        (binding, "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nroleRef: {}\n", true),
        (binding, "apiVersion: v1\nkind: ServiceAccount\n", false),
    ] {
        assert_eq!(config_map(&[(key, text)]).problems.is_empty(), fine, "{key}: {text:?}");
    }
}

#[test]
fn vectors_02_2_8_templates() {
    let template = "{username}.{cluster}.credentials.{tprkind}.{tprgroup}";
    let values =
        [("username", "foo"), ("cluster", "c"), ("tprkind", "postgresql"), ("tprgroup", "acid.zalan.do")];
    assert_eq!(expand(template, &values), "foo.c.credentials.postgresql.acid.zalan.do");
    assert_eq!(expand("{prefix}-{cluster}", &values), "{prefix}-c");
    for (key, text, errors, warnings) in [
        ("secret_name_template", "{username}.{cluster}", 0, 0),
        ("secret_name_template", "{namespace}.{username}.{cluster}", 1, 0),
        ("secret_name_template", "{prefix}{username}.{cluster}", 1, 0),
        ("secret_name_template", "{cluster}.credentials", 1, 0),
        ("secret_name_template", "{username}.credentials", 0, 1),
        ("secret_name_template", "", 1, 0),
        ("pdb_name_format", "{cluster}-budget", 0, 0),
        ("pdb_name_format", "budget", 0, 1),
        ("pdb_name_format", "{team}-{cluster}", 1, 0),
        ("pdb_name_format", "", 1, 0),
        ("master_dns_name_format", "{cluster}.{team}.{namespace}.{hostedzone}", 0, 0),
        ("master_dns_name_format", "{name}.{hostedzone}", 0, 1),
        ("master_legacy_dns_name_format", "{cluster}.{namespace}", 0, 1),
        ("replica_legacy_dns_name_format", "{cluster}.{team}.{hostedzone}", 0, 0),
    ] {
        let reading = config_map(&[(key, text)]);
        assert_eq!((reading.problems.len(), reading.warnings.len()), (errors, warnings), "{key}: {text:?}");
    }
}

#[test]
fn vectors_02_2_9_what_is_refused_in_a_config_map() {
    let rows: &[(&[(&str, &str)], &[&str])] = &[
        (&[("min_instances", "3"), ("max_instances", "2")], &["min_instances"]),
        (&[("min_instances", "3"), ("max_instances", "0")], &[]),
        (&[("min_instances", "2"), ("max_instances", "2")], &[]),
        (&[("max_instances", "0")], &[]),
        (&[("workers", "0")], &["workers"]),
        (&[("workers", "")], &["workers"]),
        (&[("connection_pooler_number_of_instances", "0")], &["connection_pooler_number_of_instances"]),
        (&[("connection_pooler_number_of_instances", "")], &["connection_pooler_number_of_instances"]),
        (&[("connection_pooler_number_of_instances", "1")], &[]),
        (&[("connection_pooler_user", "postgres")], &["connection_pooler_user"]),
        (&[("super_username", "pooler")], &["connection_pooler_user"]),
        (&[("pod_management_policy", "sometimes")], &["pod_management_policy"]),
        (&[("external_traffic_policy", "Nowhere")], &["external_traffic_policy"]),
        (&[("logical_backup_provider", "tape")], &["logical_backup_provider"]),
        (&[("connection_pooler_mode", "never")], &["connection_pooler_mode"]),
        (&[("api_port", "0")], &["api_port"]),
        (&[("api_port", "65536")], &["api_port"]),
        (&[("default_cpu_request", "much")], &["default_cpu_request"]),
        (&[("default_cpu_request", "0")], &[]),
        (&[("default_memory_limit", "null")], &[]),
        (&[("min_memory_limit", "1 Gi")], &["min_memory_limit"]),
        (&[("default_memory_request", "1e9")], &[]),
        (&[("default_memory_request", "128974848000m")], &[]),
    ];
    for (pairs, refused) in rows {
        assert_eq!(fields(&config_map(pairs)).0, *refused, "{pairs:?}");
    }
}

#[test]
fn vectors_02_2_9_all_problems_at_once() {
    let reading = config_map(&[
        ("min_instances", "3"),
        ("max_instances", "2"),
        ("workers", "0"),
        ("connection_pooler_number_of_instances", "0"),
        ("connection_pooler_user", "postgres"),
        ("resync_period", "soon"),
        ("enable_sidecars", "maybe"),
    ]);
    let (mut refused, _) = fields(&reading);
    refused.sort_unstable();
    assert_eq!(
        refused,
        [
            "connection_pooler_number_of_instances",
            "connection_pooler_user",
            "enable_sidecars",
            "min_instances",
            "resync_period",
            "workers"
        ]
    );
}

#[test]
fn vectors_02_2_9_words_that_a_config_map_leaves_unchecked() {
    for (key, word, meaning) in [
        ("storage_resize_mode", "Fast", "pvc"),
        ("storage_resize_mode", "", "pvc"),
        ("storage_resize_mode", "ebs", "ebs"),
        ("major_version_upgrade_mode", "Full", "manual"),
        ("major_version_upgrade_mode", "full", "full"),
        ("node_readiness_label_merge", "AND", "AND"),
    ] {
        let reading = config_map(&[(key, word)]);
        assert_eq!(reading.settings.value(key), json!(meaning), "{key}: {word}");
        assert_eq!(reading.problems, [], "{key}: {word}");
        let warned = usize::from(word != meaning);
        assert_eq!(reading.warnings.len(), warned, "{key}: {word}");
    }
}

#[test]
fn vectors_02_2_9_in_an_object() {
    let reading = object(json!({"workers": 0, "min_instances": 3, "max_instances": 2}));
    assert_eq!((reading.settings.workers, fields(&reading)), (8, (vec![], vec!["min_instances"])));
    let reading = object(json!({"connection_pooler": {"connection_pooler_user": "postgres"}}));
    assert_eq!(fields(&reading).0, ["connection_pooler.connection_pooler_user"]);
    let reading = object(json!({"timeouts": {"resource_check_timeout": "soon"}}));
    assert_eq!(fields(&reading).0, ["timeouts.resource_check_timeout"]);
    assert_eq!(fields(&Reading::of_operator_configuration(&json!({}))).0, ["configuration"]);
}

#[test]
fn vectors_03_19_defects_that_validation_meets() {
    // D5, D7, D13, D16, D17, D20, D40.
    assert_eq!(fields(&config_map(&[("cluster_labels", "env:prod")])).0, ["cluster_labels"]);
    for (expression, fine) in
        [("deployment-time", true), ("downscaler/*", true), ("(", false), ("a,[", false)]
    {
        assert_eq!(
            config_map(&[("downscaler_annotations", expression)]).problems.is_empty(),
            fine,
            "{expression}"
        );
    }
    // Kept as it is: rendering as the original did needs it, and repairs it from level 1 on.
    let reading = config_map(&[("node_readiness_label_merge", "XOR")]);
    assert_eq!(reading.settings.node_readiness_label_merge, "XOR");
    assert_eq!(fields(&reading), (vec![], vec!["node_readiness_label_merge"]));
    assert_eq!(object(json!({"kubernetes": {}})).settings.node_readiness_label_merge, "");
    for key in ["max_cpu_request", "max_memory_request"] {
        assert_eq!(fields(&config_map(&[(key, "plenty")])).0, [key]);
    }
    let pairs =
        [("set_memory_request_to_limit", "true"), ("default_memory_limit", ""), ("scalyr_memory_limit", "")];
    assert_eq!(config_map(&pairs).problems, []);
    let settings = object(json!({})).settings;
    assert_eq!(settings.secret_name_template, "{username}.{cluster}.credentials.{tprkind}.{tprgroup}");
    assert_eq!(settings.pdb_name_format, "postgres-{cluster}-pdb");
    assert_eq!(settings.master_dns_name_format, "{cluster}.{namespace}.{hostedzone}");
}

#[test]
fn vectors_02_1_3_maintenance_windows() {
    for (windows, warnings) in [
        ("Sat:22:00-23:59,Sun:00:00-01:00", 0),
        ("01:00-06:00", 0),
        ("1:00-6:00", 0),
        ("22:00-06:00", 1),
        ("Sam:01:00-06:00", 1),
        ("01:00", 1),
        ("24:00-25:00", 1),
        ("", 0),
    ] {
        let reading = config_map(&[("maintenance_windows", windows)]);
        assert_eq!((reading.problems.len(), reading.warnings.len()), (0, warnings), "{windows}");
    }
}

#[test]
fn vectors_02_1_11_schedules() {
    for (schedule, fine) in [
        ("30 00 * * *", true),
        ("*/5 1-3 * * MON,TUE", true),
        ("@daily", true),
        ("TZ=Europe/Berlin 1 2 * * *", true),
        ("30 00 * *", false),
        ("tomorrow", false),
        ("", false),
    ] {
        let reading = config_map(&[("logical_backup_schedule", schedule)]);
        assert_eq!(reading.problems.is_empty(), fine, "{schedule:?}");
    }
}

#[test]
fn vectors_02_1_1_empty_values_of_a_config_map_are_zero() {
    for option in OPTIONS.iter().filter(|option| option.sources != Sources::Object) {
        let value = config_map(&[(option.key, "")]).settings.value(option.key);
        let zero = match &value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Number(value) => value.as_i64() == Some(0),
            Value::String(text) => text.is_empty() || text == "0s",
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
        };
        // Words that stand for another, and the policy, which cannot be read.
        let meant = [
            "storage_resize_mode",
            "major_version_upgrade_mode",
            "node_readiness_label_merge",
            "pod_management_policy",
        ];
        assert!(zero || meant.contains(&option.key), "{} is {value}", option.key);
    }
}

#[test]
fn vectors_02_1_1_empty_values_of_an_object() {
    let in_group = |path: &str, value: Value| match path.split_once('.') {
        Some((group, key)) => object(json!({group: {key: value}})).settings.value(key),
        None => object(json!({path: value})).settings.value(path),
    };
    for (path, given, expected) in [
        ("docker_image", json!(""), json!("ghcr.io/zalando/spilo-18:4.1-p2")),
        ("crd_categories", json!([]), json!(["all"])),
        ("teams_api.protected_role_names", json!([]), json!(["admin", "cron_admin"])),
        ("teams_api.pam_role_name", json!(""), json!("zalandos")),
        ("teams_api.team_admin_role", json!(""), json!("")),
        ("etcd_host", json!(""), json!("")),
        ("users.password_rotation_interval", json!(0), json!(90)),
        ("users.password_rotation_user_retention", json!(0), json!(180)),
        ("kubernetes.master_pod_move_timeout", json!("0s"), json!("10m")),
        ("logging_rest_api.ring_log_lines", json!(0), json!(100)),
        ("logging_rest_api.cluster_history_entries", json!(0), json!(1000)),
        ("logging_rest_api.api_port", json!(0), json!(8080)),
        ("repair_period", json!("0"), json!("5m")),
        ("max_instances", json!(0), json!(0)),
        ("logical_backup.logical_backup_failed_jobs_history_limit", json!(0), json!(0)),
        ("connection_pooler.connection_pooler_number_of_instances", json!(1), json!(2)),
        ("connection_pooler.connection_pooler_number_of_instances", json!(3), json!(3)),
        ("teams_api.enable_postgres_team_crd", Value::Null, json!(true)),
        ("teams_api.enable_postgres_team_crd", json!(false), json!(false)),
        ("kubernetes.cluster_labels", Value::Null, json!({"application": "spilo"})),
    ] {
        assert_eq!(in_group(path, given.clone()), expected, "{path}: {given}");
    }
}

#[test]
fn vectors_02_1_1_unknown_keys_stop_nothing() {
    let reading = config_map(&[
        ("enable_crd_validation", "true"),
        ("liveness_probe", "x"),
        ("enable_load_balancer", "true"),
    ]);
    let (problems, mut warnings) = fields(&reading);
    warnings.sort_unstable();
    assert_eq!(
        (problems.len(), warnings),
        (0, vec!["enable_crd_validation", "enable_load_balancer", "liveness_probe"])
    );
    let reading = object(json!({
        "spilo_privileged": true,
        "load_balancer": {"replica_dns_old_name_format": "x"},
        "kubernetes": "x",
        "nothing": {"like": "this"},
    }));
    let (problems, mut warnings) = fields(&reading);
    warnings.sort_unstable();
    assert_eq!(problems.len(), 0);
    assert_eq!(
        warnings,
        ["kubernetes", "load_balancer.replica_dns_old_name_format", "nothing", "spilo_privileged"]
    );
    assert!(!reading.settings.spilo_privileged);
}

#[test]
fn vectors_02_10_1_counts() {
    assert_eq!(OPTIONS.len(), 187);
    let keys: std::collections::BTreeSet<_> = OPTIONS.iter().map(|option| option.key).collect();
    assert_eq!(keys.len(), 187);
    assert_eq!(OPTIONS.iter().filter(|option| option.sources != Sources::Object).count(), 186);
    let in_object = || OPTIONS.iter().filter(|option| option.sources != Sources::ConfigMap);
    assert_eq!(in_object().count(), 186);
    for (group, count) in [
        ("", 22),
        ("users", 6),
        ("major_version_upgrade", 4),
        ("kubernetes", 52),
        ("postgres_pod_resources", 8),
        ("timeouts", 8),
        ("load_balancer", 15),
        ("aws_or_gcp", 10),
        ("logical_backup", 24),
        ("debug", 2),
        ("teams_api", 14),
        ("logging_rest_api", 3),
        ("scalyr", 7),
        ("connection_pooler", 10),
        ("patroni", 1),
    ] {
        assert_eq!(in_object().filter(|option| option.group == group).count(), count, "{group}");
    }
}

#[test]
fn vectors_02_10_2_where_the_sources_differ() {
    let differing: BTreeMap<_, _> = Settings::of_config_map()
        .differences(&Settings::of_operator_configuration())
        .into_iter()
        .map(|difference| (difference.key, (difference.from, difference.to)))
        .collect();
    let expected = [
        ("enable_teams_api", "true", "false"),
        ("enable_master_load_balancer", "true", "false"),
        ("enable_postgres_team_crd", "false", "true"),
        ("node_readiness_label_merge", "OR", "(empty)"),
        ("oauth_token_secret_name", "postgresql-operator", "postgres-operator"),
        ("password_rotation_user_retention", "180", "120"),
    ];
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(key, map, object)| (key, (map.to_owned(), object.to_owned()))).collect();
    assert_eq!(differing, expected);
}

#[test]
fn vectors_02_4_3_effects() {
    let has = |key: &str, effect| Opt::of(key).unwrap().effects.contains(&effect);
    let pods = "docker_image default_cpu_request min_memory_limit max_cpu_request set_memory_request_to_limit \
        ignore_resources_limits_annotation_key sidecars sidecar_docker_images scalyr_image wal_s3_bucket log_s3_bucket \
        gcp_credentials additional_secret_mount additional_secret_mount_path pam_configuration pam_role_name etcd_host \
        kubernetes_use_configmaps enable_pod_disruption_budget enable_pgversion_env_var enable_spilo_wal_path_compat \
        enable_shm_volume share_pgsocket_with_sidecars spilo_privileged spilo_fsgroup additional_pod_capabilities \
        liveness_probe enable_readiness_probe node_readiness_label node_readiness_label_merge enable_pod_antiaffinity \
        pod_antiaffinity_topology_key pod_antiaffinity_preferred_during_scheduling toleration pod_priority_class_name \
        pod_service_account_name pod_terminate_grace_period pod_environment_configmap pod_environment_secret \
        inherited_labels secret_name_template major_version_upgrade_mode minimal_major_version target_major_version \
        irsa_role_arn";
    for key in pods.split_whitespace() {
        assert!(has(key, Effect::Pods), "{key}");
    }
    for key in "custom_pod_annotations inherited_annotations kube_iam_role downscaler_annotations \
        pod_management_policy persistent_volume_claim_retention_policy enable_owner_references"
        .split_whitespace()
    {
        assert!(has(key, Effect::Template) && !has(key, Effect::Pods), "{key}");
    }
    assert!(has("enable_patroni_failsafe_mode", Effect::Patroni));
    for key in "cluster_labels cluster_name_label pod_role_label super_username replication_username \
        secret_name_template etcd_host kubernetes_use_configmaps pdb_name_format logical_backup_job_prefix"
        .split_whitespace()
    {
        assert!(has(key, Effect::Breaks), "{key}");
    }
    for key in ["ready_wait_interval", "ready_wait_timeout", "enable_load_balancer"] {
        assert!(has(key, Effect::Nothing), "{key}");
    }
    assert!(OPTIONS.iter().all(|option| !option.effects.is_empty()));
}

#[test]
fn differences_name_the_value_and_hide_secrets() {
    let before = Settings::of_config_map();
    let mut after = before.clone();
    after.docker_image = "registry/spilo:2".to_owned();
    after.scalyr_api_key = "hush".to_owned();
    let lines: Vec<_> = before.differences(&after).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "docker_image ghcr.io/zalando/spilo-18:4.1-p2 → registry/spilo:2 (pods roll)",
            "scalyr_api_key (empty) → *** (pods roll)",
        ]
    );
}

#[test]
fn documents_are_told_apart() {
    let map = json!({"kind": "ConfigMap", "data": {"workers": "3"}});
    assert_eq!(Reading::of_document(&map).settings.workers, 3);
    let object = json!({"kind": "OperatorConfiguration", "configuration": {"workers": 3}});
    assert_eq!(Reading::of_document(&object).settings.workers, 3);
    let wrong = json!({"kind": "ConfigMap", "data": {"workers": 3}});
    assert_eq!(Reading::of_document(&wrong).problems[0].field, "workers");
}
