//! Roles, databases, Patroni's configuration and accounts.

use super::*;

#[test]
fn owners_of_databases_join_the_owner_roles() {
    let settings = Settings { additional_owner_roles: vec!["cron_admin".into()], ..Settings::default() };
    let spec = json!({
        "users": {"foo_owner": [], "app_user": []},
        "databases": {"foo_db": "foo_owner", "my-db": "foo_owner", "lost": "nobody"},
    });
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    let members: Vec<_> =
        intent.roles.iter().filter(|role| !role.member_of.is_empty()).map(|role| &role.name).collect();
    assert_eq!(members, ["foo_owner"]);
    let databases: Vec<_> = intent.databases.iter().map(|database| &database.name).collect();
    assert_eq!(databases, ["foo_db"]);
    let told: Vec<_> = intent.notices.iter().map(|notice| notice.field.as_str()).collect();
    assert_eq!(told, ["spec.databases.lost", "spec.databases.my-db"]);
}

#[test]
fn dynamic_configuration() {
    let spec = json!({
        "postgresql": {"version": "18", "parameters": {"shared_buffers": "32MB", "work_mem": "8MB"}},
        "patroni": {"ttl": 30, "synchronous_mode": true},
    });
    assert_eq!(
        intent(&manifest("acid-test-cluster", spec), &Settings::default()).patroni,
        json!({
            "ttl": 30, "synchronous_mode": true, "synchronous_mode_strict": false, "synchronous_node_count": 1,
            "failsafe_mode": false, "postgresql": {"parameters": {"work_mem": "8MB"}},
        })
    );
}

#[test]
fn accounts_from_the_settings() {
    let settings = Settings {
        pod_service_account_name: "own".into(),
        pod_service_account_definition: "kind: ServiceAccount\nmetadata: {name: x, labels: {a: b}}\nimagePullSecrets:\n- name: s\n".into(),
        pod_service_account_role_binding_definition:
            r#"{"kind": "RoleBinding", "metadata": {"name": "b", "namespace": "x"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": []}"#.into(),
        irsa_role_arn: "arn:aws:iam::1:role/x".into(),
        ..Settings::default()
    };
    let intent = intent(&manifest("acid-test-cluster", json!({})), &settings);
    assert_eq!(
        intent.pod_service_account.body,
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {
                "name": "own", "namespace": "default", "labels": {"a": "b"},
                "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
            },
            "imagePullSecrets": [{"name": "s"}],
        })
    );
    assert_eq!(
        intent.pod_role_binding.body,
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "b", "namespace": "default"},
            "roleRef": {"kind": "Role", "name": "r"}, "subjects": [],
        })
    );
    let broken = Settings { pod_service_account_definition: "kind: Pod".into(), ..Settings::default() };
    let problems = Cluster::validate(&manifest("acid-test-cluster", json!({})), &broken).unwrap_err();
    assert_eq!(problems[0].field, "pod_service_account_definition");
}

/// 03 §17.10: a user's name may begin with the namespace of its Secret.
#[test]
fn vectors_03_17_10_users_in_other_namespaces() {
    let settings = Settings { enable_cross_namespace_secret: true, ..Settings::default() };
    let spec = json!({"users": {"appspace.db_user": null, "db_user": []}});
    let intent = intent(&manifest("acid-test-cluster", spec), &settings);
    let shown: Vec<_> = intent.secrets[2..]
        .iter()
        .map(|secret| format!("{} {}/{}", secret.role, secret.object.namespace, secret.object.name))
        .collect();
    assert_eq!(
        shown,
        [
            "appspace.db_user appspace/appspace.db-user.acid-test-cluster.credentials.postgresql.acid.zalan.do",
            "db_user default/db-user.acid-test-cluster.credentials.postgresql.acid.zalan.do",
        ]
    );
}
