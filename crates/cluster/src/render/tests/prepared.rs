//! Prepared databases: their roles.

use super::*;

/// Name, whether it may log in, what it is a member of, who may hand it on.
type Row = (&'static str, bool, &'static [&'static str], &'static str);

fn roles(prepared: &Value) -> Vec<matriarch_sql::Role> {
    let settings = Settings::default();
    let spec = json!({"preparedDatabases": prepared});
    let roles = intent(&manifest("acid-test", spec), &settings).roles;
    let own = [settings.super_username.as_str(), settings.replication_username.as_str()];
    roles.into_iter().filter(|role| !own.contains(&role.name.as_str())).collect()
}

#[test]
fn vectors_01_3_5_roles_of_a_prepared_database() {
    let table: [Row; 12] = [
        ("foo_owner", false, &[], "admin"),
        ("foo_reader", false, &[], "foo_owner"),
        ("foo_writer", false, &["foo_reader"], "foo_owner"),
        ("foo_owner_user", true, &["foo_owner"], "admin"),
        ("foo_reader_user", true, &["foo_reader"], "foo_owner"),
        ("foo_writer_user", true, &["foo_writer"], "foo_owner"),
        ("foo_bar_owner", false, &[], "foo_owner"),
        ("foo_bar_reader", false, &[], "foo_bar_owner"),
        ("foo_bar_writer", false, &["foo_bar_reader"], "foo_bar_owner"),
        ("foo_bar_owner_user", true, &["foo_bar_owner"], "foo_owner"),
        ("foo_bar_reader_user", true, &["foo_bar_reader"], "foo_bar_owner"),
        ("foo_bar_writer_user", true, &["foo_bar_writer"], "foo_bar_owner"),
    ];
    let both = json!({"foo": {"defaultUsers": true, "schemas": {"bar": {"defaultUsers": true}}}});
    let found = roles(&both);
    assert_eq!(found.len(), table.len(), "{found:?}");
    for (name, login, member_of, admin) in table {
        let role = found.iter().find(|role| role.name == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(role.flags.login, login, "{name}");
        assert_eq!(role.member_of, member_of, "{name}");
        assert_eq!(role.admin.as_deref(), Some(admin), "{name}");
        assert_eq!(role.secret.is_some(), login, "{name}");
        let path = role.parameters.get("search_path").map(String::as_str);
        // Its one schema is that of the database, too.
        assert_eq!(path, Some("\"$user\", \"bar\""), "{name}");
    }
}

#[test]
fn vectors_01_3_5_which_roles_there_are() {
    let names = |prepared: Value| roles(&prepared).into_iter().map(|role| role.name).collect::<Vec<_>>();
    let group = |prefix: &str| ["owner", "reader", "writer"].map(|kind| format!("{prefix}_{kind}"));
    let empty = [group("acid_test_data"), group("acid_test")].concat();
    assert_eq!(sorted(names(json!({}))), empty);
    let no_schema_roles = json!({"foo": {"schemas": {"bar": {"defaultRoles": false, "defaultUsers": true}}}});
    assert_eq!(sorted(names(no_schema_roles)), group("foo"));
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
