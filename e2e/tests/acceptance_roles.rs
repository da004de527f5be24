//! Acceptance rows about roles, their Secrets and where users come from. The names are those of
//! the original's own end-to-end tests; docs/reference/acceptance.md lists them all.

use anyhow::{Context, Result, ensure};
use matriarch_e2e::{Cluster, Look, OwnOperator, Scene, wait_until};
use serde_json::{Value, json};

const NAME: &str = "acid-minimal-cluster";

/// Waits until a statement in database `postgres` answers this.
fn answers(cluster: &Cluster, sql: &str, wanted: &str, seconds: u64) -> Result<()> {
    wait_until(&format!("{sql:?} answers {wanted:?}"), seconds, || {
        let seen = cluster.sql("postgres", sql)?;
        Ok(Look::when(seen == wanted, seen))
    })
}

/// The members of a role, sorted.
fn members_of(role: &str) -> String {
    format!(
        "select string_agg(m.rolname, ' ' order by m.rolname) from pg_auth_members a \
         join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member \
         where r.rolname = '{role}'"
    )
}

#[test]
fn additional_owner_roles() {
    Scene::run("additional_owner_roles", |scene| {
        let operator = OwnOperator::of(scene).start()?;
        let cluster = operator.create(NAME, 1, "  preparedDatabases:\n    bar: {}")?;
        cluster.wait_ready()?;
        cluster.sql("postgres", "grant bar_owner to cron_admin")?;
        let before = cluster.sql("postgres", &members_of("cron_admin"))?;
        operator.set(&[("additional_owner_roles", Some("cron_admin"))])?;
        wait_until("the owners are members of cron_admin", 60, || {
            let seen = cluster.sql("postgres", &members_of("cron_admin"))?;
            let all = ["zalando", "bar_owner", "bar_data_owner"]
                .iter()
                .all(|owner| seen.split(' ').any(|member| member == *owner));
            Ok(Look::when(all, format!("{seen} (before: {before})")))
        })?;
        let wrong = cluster.sql("postgres", &members_of("bar_owner"))?;
        ensure!(!wrong.contains("cron_admin"), "cron_admin is a member of bar_owner still: {wrong}");
        Ok(())
    });
}

#[test]
fn additional_teams_and_members() {
    Scene::pending("additional_teams_and_members", "deprecation of people who left their team", |scene| {
        let kubectl = &scene.kubectl;
        let team = |spec: Value| {
            json!({"apiVersion": "acid.zalan.do/v1", "kind": "PostgresTeam",
            "metadata": {"name": "custom-team-membership"}, "spec": spec})
        };
        let first = team(json!({
            "additionalSuperuserTeams": {"acid": ["postgres_superusers"]},
            "additionalTeams": {"acid": ["e2e"]},
            "additionalMembers": {"acid": ["elephant"], "e2e": ["kind"]},
        }));
        kubectl.run_with_input(&["create", "-f", "-"], &first.to_string())?;
        let operator = OwnOperator::of(scene)
            .setting("enable_postgres_team_crd", "true")
            .setting("enable_team_member_deprecation", "true")
            .setting("role_deletion_suffix", "_delete_me")
            .setting("resync_period", "15s")
            .setting("repair_period", "15s")
            .start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        let logins = "select string_agg(rolname || '=' || rolcanlogin, ' ' order by rolname) from pg_roles \
                      where rolname ~ '^(elephant|kind|tester)(_delete_me)?$'";
        let members = |names: &[&str]| {
            let patch = json!({"spec": {"additionalMembers": {"e2e": names}}}).to_string();
            kubectl.run(&["patch", "postgresteam/custom-team-membership", "--type=merge", "-p", &patch])
        };
        answers(&cluster, logins, "elephant=true kind=true", 60)?;
        members(&["tester"])?;
        answers(&cluster, logins, "elephant=true kind_delete_me=false tester=true", 60)?;
        cluster.sql("postgres", "create user tester_delete_me nologin")?;
        members(&["kind"])?;
        answers(&cluster, logins, "elephant=true kind=true tester=false tester_delete_me=false", 60)?;
        members(&["kind", "tester"])?;
        answers(&cluster, logins, "elephant=true kind=true tester=true tester_delete_me=false", 60)
    });
}

#[test]
fn cross_namespace_secrets() {
    Scene::run("cross_namespace_secrets", |scene| {
        let other = scene.second_namespace("test")?;
        let operator = OwnOperator::of(scene).setting("enable_cross_namespace_secret", "true").start()?;
        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        let user = format!("{}.db_user", other.namespace());
        cluster.patch(&json!({"spec": {"users": {user.clone(): []}}}))?;
        wait_until("one Secret of the cluster is in the other namespace", 60, || {
            let seen = other.names("secrets", &cluster.selector())?;
            Ok(Look::when(seen.len() == 1, seen.join(" ")))
        })?;
        let login = format!("select count(*) from pg_roles where rolname = '{user}' and rolcanlogin");
        answers(&cluster, &login, "1", 30)?;
        let here = scene.kubectl.names("secrets", &cluster.selector())?;
        ensure!(here.iter().all(|name| !name.contains("db-user")), "it is here too: {here:?}");
        Ok(())
    });
}

const SECRETS: &str = "
apiVersion: v1
kind: Secret
metadata: {name: infrastructure-roles}
stringData:
  user1: robot_zmon_acid_monitoring
  password1: first secret word
  inrole1: robot_zmon
---
apiVersion: v1
kind: Secret
metadata: {name: infrastructure-roles-new}
stringData:
  user: robot_zmon_acid_monitoring_new
  password: second secret word
";

#[test]
fn infrastructure_roles() {
    Scene::run("infrastructure_roles", |scene| {
        let kubectl = &scene.kubectl;
        kubectl.run_with_input(&["create", "-f", "-"], SECRETS)?;
        let operator = OwnOperator::of(scene).start()?;
        let namespace = kubectl.namespace();
        let old = format!("{namespace}/infrastructure-roles");
        let new = format!(
            "secretname:{namespace}/infrastructure-roles-new,userkey:user,rolekey:memberof,\
             passwordkey:password,defaultrolevalue:robot_zmon"
        );
        operator.set(&[
            ("infrastructure_roles_secret_name", Some(&old)),
            ("infrastructure_roles_secrets", Some(&new)),
        ])?;
        const ROLE: &str = "robot_zmon_acid_monitoring_new";
        let body = wait_until("the operator shows the role", 60, || {
            let answer = operator.get("/config")?;
            let config: Value = serde_json::from_str(&answer.body)?;
            let role = config["controller"]["InfrastructureRoles"][ROLE].clone();
            Ok(if role.is_null() { Look::NotYet(answer.body) } else { Look::Done((role, answer.body)) })
        })?;
        let (mut role, body) = body;
        role.as_object_mut().context("not an object")?.remove("Password");
        let wanted = json!({
            "Name": ROLE, "Namespace": "", "Flags": null, "MemberOf": ["robot_zmon"], "Parameters": null,
            "AdminRole": "", "Origin": 2, "IsDbOwner": false, "Deleted": false, "Rotated": false,
            "Degraded": false,
        });
        ensure!(role == wanted, "the role is {role}");
        ensure!(!body.contains("secret word"), "a password is shown");

        let cluster = operator.create(NAME, 1, "")?;
        cluster.wait_ready()?;
        wait_until("the roles are in the database", 60, || {
            let seen = cluster.sql("postgres", &members_of("robot_zmon"))?;
            let both = ["robot_zmon_acid_monitoring", ROLE].iter().all(|r| seen.split(' ').any(|m| m == *r));
            Ok(Look::when(both, seen))
        })?;
        ensure!(cluster.password(ROLE)? == "second secret word", "the Secret has another password");
        Ok(())
    });
}

#[test]
fn password_rotation() {
    Scene::pending("password_rotation", "password rotation", |scene| {
        let kubectl = &scene.kubectl;
        let other = scene.second_namespace("test")?;
        let db_user = format!("{}.db_user", other.namespace());
        let operator = OwnOperator::of(scene).setting("enable_cross_namespace_secret", "true").start()?;
        let users = format!(
            "  usersIgnoringSecretRotation: [{db_user}]\n  usersWithInPlaceSecretRotation: [zalando]"
        );
        let cluster = operator.create(NAME, 1, &users)?;
        cluster.patch(&json!({"spec": {"users": {"foo_user": [], db_user.clone(): []}}}))?;
        cluster.wait_ready()?;
        let field = |role: &str, key: &str| {
            let template = format!("go-template={{{{.data.{key} | base64decode}}}}");
            kubectl.run(&["get", "secret", &cluster.secret(role), "-o", &template])
        };
        let day = |offset: &str| {
            cluster.sql("postgres", &format!("select (now() at time zone 'utc')::date {offset}"))
        };
        wait_until("the next rotation of zalando is 90 days ahead", 60, || {
            let seen = field("zalando", "nextRotation")?;
            Ok(Look::when(seen.ends_with('Z') && seen.starts_with(&day("+ 90")?), seen))
        })?;

        // Dated users of long ago, and one of forty days ago.
        let recent = cluster.sql("postgres", "select to_char(now() - interval '40 days', 'YYMMDD')")?;
        for date in ["201031", "211031", recent.as_str()] {
            cluster.sql("postgres", &format!("create user foo_user{date} in role foo_user"))?;
        }
        cluster.sql("postgres", "alter role foo_user set search_path to data")?;
        let due = json!({"stringData": {"nextRotation": format!("{}T00:00:00Z", day("")?)}}).to_string();
        kubectl.run(&["patch", "secret", &cluster.secret("foo_user"), "--type=merge", "-p", &due])?;
        operator.set(&[
            ("enable_password_rotation", Some("true")),
            ("password_rotation_interval", Some("30")),
            ("password_rotation_user_retention", Some("30")),
            ("inherited_annotations", Some("environment")),
        ])?;
        let today = cluster.sql("postgres", "select to_char(now() at time zone 'utc', 'YYMMDD')")?;
        wait_until("foo_user is rotated", 60, || {
            let seen = (field("foo_user", "username")?, field("foo_user", "nextRotation")?);
            let rotated = seen.0 == format!("foo_user{today}") && seen.1.starts_with(&day("+ 30")?);
            Ok(Look::when(rotated, format!("{seen:?}")))
        })?;
        answers(&cluster, "select count(*) from pg_roles where rolname like 'foo_user%'", "3", 60)?;
        let copied = "select count(*) from pg_roles where rolname like 'foo_user%' and rolcanlogin \
                      and 'search_path=data' = any (rolconfig)";
        answers(&cluster, copied, "2", 30)?;

        let secrets = kubectl.names("secrets", &cluster.selector())?.len();
        cluster.patch(&json!({"metadata": {"annotations": {"environment": "test"}}}))?;
        wait_until("the Secret in the other namespace is annotated", 60, || {
            let list = other.json(&["secrets", "-l", &cluster.selector()])?;
            let seen = list["items"][0]["metadata"]["annotations"]["environment"].clone();
            Ok(Look::when(seen == "test", seen.to_string()))
        })?;
        ensure!(kubectl.names("secrets", &cluster.selector())?.len() == secrets, "other Secrets");

        operator.set(&[
            ("enable_password_rotation", Some("false")),
            ("password_rotation_interval", Some("15")),
            ("password_rotation_user_retention", Some("30")),
        ])?;
        wait_until("foo_user is its own again", 60, || {
            let seen = (field("foo_user", "username")?, field("foo_user", "nextRotation")?);
            Ok(Look::when(seen.0 == "foo_user" && seen.1.is_empty(), format!("{seen:?}")))
        })?;
        answers(&cluster, "select count(*) from pg_roles where rolname like 'foo_user%'", "2", 60)
    });
}
