//! Environment of the container `postgres`: the operator's own variables, then each source in the
//! order of precedence. The first variable of a name wins, whatever its case.

use serde_json::{Value, json};

use super::{Context, spilo, volumes};
use crate::names;
use crate::references::Reference;

/// A list of variables without two of the same name.
pub(super) struct Environment(Vec<Value>);

impl Environment {
    /// Adds a variable unless there is one of that name.
    fn add(&mut self, variable: Value) {
        let name = variable["name"].as_str().unwrap_or_default();
        let known = |one: &Value| one["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name));
        if !self.0.iter().any(known) {
            self.0.push(variable);
        }
    }

    fn value(&mut self, name: &str, value: &str) {
        self.add(json!({"name": name, "value": value}));
    }

    fn field(&mut self, name: &str, path: &str) {
        self.add(json!({
            "name": name,
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}},
        }));
    }

    fn secret(&mut self, name: &str, secret: &str, key: &str) {
        self.add(json!({
            "name": name,
            "valueFrom": {"secretKeyRef": {"name": secret, "key": key}},
        }));
    }
}

/// Everything that the container `postgres` gets.
pub(super) fn postgres(context: &Context<'_>) -> Vec<Value> {
    let mut environment = Environment(Vec::new());
    operator(context, &mut environment);
    patroni_store(context, &mut environment);
    for variable in context.cluster.spec.env.iter().flatten() {
        environment.add(variable.clone());
    }
    clone(context, &mut environment);
    standby(context, &mut environment);
    references(context, &mut environment);
    archive(context, &mut environment);
    for (name, value) in volumes::tls_variables(context) {
        environment.value(name, &value);
    }
    environment.0
}

/// Variables that every sidecar starts with.
pub(super) fn sidecar(context: &Context<'_>, own: &[Value]) -> Vec<Value> {
    let superuser = &context.settings.super_username;
    let secret = names::credential_secret(superuser, context.name(), context.settings);
    let mut environment = Environment(Vec::new());
    environment.field("POD_NAME", "metadata.name");
    environment.field("POD_NAMESPACE", "metadata.namespace");
    environment.value("POSTGRES_USER", superuser);
    environment.secret("POSTGRES_PASSWORD", &secret, "password");
    own.iter().for_each(|variable| environment.add(variable.clone()));
    environment.0
}

fn operator(context: &Context<'_>, environment: &mut Environment) {
    let settings = context.settings;
    let password_of = |role: &str| names::credential_secret(role, context.name(), settings);
    environment.value("SCOPE", context.name());
    environment.value("PGROOT", "/home/postgres/pgdata/pgroot");
    environment.field("POD_IP", "status.podIP");
    environment.field("POD_NAMESPACE", "metadata.namespace");
    environment.value("PGUSER_SUPERUSER", &settings.super_username);
    environment.value("KUBERNETES_SCOPE_LABEL", &settings.cluster_name_label);
    environment.value("KUBERNETES_ROLE_LABEL", &settings.pod_role_label);
    environment.secret("PGPASSWORD_SUPERUSER", &password_of(&settings.super_username), "password");
    environment.value("PGUSER_STANDBY", &settings.replication_username);
    environment.secret("PGPASSWORD_STANDBY", &password_of(&settings.replication_username), "password");
    environment.value("PAM_OAUTH2", &settings.pam_configuration);
    environment.value("HUMAN_ROLE", &settings.pam_role_name);
    if settings.enable_spilo_wal_path_compat {
        environment.value("ENABLE_WAL_PATH_COMPAT", "true");
    }
    if settings.enable_pgversion_env_var {
        environment.value("PGVERSION", &context.cluster.wanted_version(settings));
    }
    environment.value("KUBERNETES_LABELS", &spilo::json_text(&settings.cluster_labels));
    environment.value("SPILO_CONFIGURATION", &spilo::configuration(context));
}

/// Where Patroni keeps its state.
fn patroni_store(context: &Context<'_>, environment: &mut Environment) {
    let settings = context.settings;
    if !settings.etcd_host.is_empty() {
        environment.value("ETCD_HOST", &settings.etcd_host);
        return;
    }
    environment.value("DCS_ENABLE_KUBERNETES_API", "true");
    if settings.enable_pod_disruption_budget {
        environment.value("KUBERNETES_BOOTSTRAP_LABELS", r#"{"critical-operation":"true"}"#);
    }
    if settings.kubernetes_use_configmaps {
        environment.value("KUBERNETES_USE_CONFIGMAPS", "true");
    }
}

fn clone(context: &Context<'_>, environment: &mut Environment) {
    let Some(clone) = context.cluster.spec.clone.as_ref().filter(|clone| !clone.cluster.is_empty()) else {
        return;
    };
    let settings = context.settings;
    environment.value("CLONE_SCOPE", &clone.cluster);
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(timestamp) = given(&clone.timestamp) {
        match given(&clone.s3_wal_path) {
            Some(path) => environment.value("CLONE_WALE_S3_PREFIX", &path),
            None => clone_bucket(context, clone.uid.as_deref().unwrap_or_default(), environment),
        }
        environment.value("CLONE_METHOD", "CLONE_WITH_WALE");
        environment.value("CLONE_TARGET_TIME", &timestamp);
        environment.value("CLONE_WAL_BUCKET_SCOPE_PREFIX", "");
        if let Some(endpoint) = given(&clone.s3_endpoint) {
            environment.value("CLONE_AWS_ENDPOINT", &endpoint);
            environment.value("CLONE_WALE_S3_ENDPOINT", &endpoint);
        }
        if let Some(key) = given(&clone.s3_access_key_id) {
            environment.value("CLONE_AWS_ACCESS_KEY_ID", &key);
        }
        if let Some(key) = given(&clone.s3_secret_access_key) {
            environment.value("CLONE_AWS_SECRET_ACCESS_KEY", &key);
        }
        if let Some(path_style) = clone.s3_force_path_style {
            environment.value("CLONE_AWS_S3_FORCE_PATH_STYLE", if path_style { "1" } else { "0" });
        }
    } else {
        let user = &settings.replication_username;
        environment.value("CLONE_METHOD", "CLONE_WITH_BASEBACKUP");
        environment.value("CLONE_HOST", &clone.cluster);
        environment.value("CLONE_PORT", "5432");
        environment.value("CLONE_USER", user);
        let secret = names::credential_secret(user, &clone.cluster, settings);
        environment.secret("CLONE_PASSWORD", &secret, "password");
    }
    web_identity(context, "CLONE", environment);
}

/// Bucket of a clone that names no path: the first kind of archive that is configured.
fn clone_bucket(context: &Context<'_>, uid: &str, environment: &mut Environment) {
    let settings = context.settings;
    if !settings.wal_s3_bucket.is_empty() {
        environment.value("CLONE_WAL_S3_BUCKET", &settings.wal_s3_bucket);
    } else if !settings.wal_gs_bucket.is_empty() {
        environment.value("CLONE_WAL_GS_BUCKET", &settings.wal_gs_bucket);
        if !settings.gcp_credentials.is_empty() {
            environment.value("CLONE_GOOGLE_APPLICATION_CREDENTIALS", &settings.gcp_credentials);
        }
    } else if !settings.wal_az_storage_account.is_empty() {
        environment.value("CLONE_AZURE_STORAGE_ACCOUNT", &settings.wal_az_storage_account);
    }
    environment.value("CLONE_WAL_BUCKET_SCOPE_SUFFIX", &scope_suffix(uid));
}

fn standby(context: &Context<'_>, environment: &mut Environment) {
    let Some(standby) = &context.cluster.spec.standby else { return };
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(host) = given(&standby.standby_host) {
        environment.value("STANDBY_HOST", &host);
        if let Some(port) = given(&standby.standby_port) {
            environment.value("STANDBY_PORT", &port);
        }
        if let Some(slot) = given(&standby.standby_primary_slot_name) {
            environment.value("STANDBY_PRIMARY_SLOT_NAME", &slot);
        }
    }
    let archive = given(&standby.s3_wal_path).map(|path| ("STANDBY_WALE_S3_PREFIX", path));
    let archive =
        archive.or_else(|| given(&standby.gs_wal_path).map(|path| ("STANDBY_WALE_GS_PREFIX", path)));
    if let Some((name, path)) = archive {
        environment.value(name, &path);
        environment.value("STANDBY_METHOD", "STANDBY_WITH_WALE");
        environment.value("STANDBY_WAL_BUCKET_SCOPE_PREFIX", "");
    }
    web_identity(context, "STANDBY", environment);
}

fn web_identity(context: &Context<'_>, purpose: &str, environment: &mut Environment) {
    let role = &context.settings.irsa_role_arn;
    if !role.is_empty() {
        environment.value(&format!("{purpose}_AWS_ROLE_ARN"), role);
        environment.value(
            &format!("{purpose}_AWS_WEB_IDENTITY_TOKEN_FILE"),
            "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
        );
    }
}

/// The Secret and the ConfigMap that settings point to, each sorted by key.
fn references(context: &Context<'_>, environment: &mut Environment) {
    let secret = &context.settings.pod_environment_secret;
    let known = context.references.environment_secret.as_ref().and_then(Reference::known);
    let mut keys = known.cloned().unwrap_or_default();
    keys.sort();
    for key in keys {
        environment.secret(&key, secret, &key);
    }
    let map = context.references.environment_config_map.as_ref().and_then(Reference::known);
    for (key, value) in map.into_iter().flatten() {
        environment.value(key, value);
    }
}

/// Where WAL, base backups and logs go.
fn archive(context: &Context<'_>, environment: &mut Environment) {
    let settings = context.settings;
    let suffix = scope_suffix(&context.cluster.identity.uid);
    let archives = [
        ("WAL_S3_BUCKET", &settings.wal_s3_bucket),
        ("WAL_GS_BUCKET", &settings.wal_gs_bucket),
        ("AZURE_STORAGE_ACCOUNT", &settings.wal_az_storage_account),
    ];
    for (name, place) in archives {
        if !place.is_empty() {
            environment.value(name, place);
            environment.value("WAL_BUCKET_SCOPE_SUFFIX", &suffix);
            environment.value("WAL_BUCKET_SCOPE_PREFIX", "");
        }
    }
    if !settings.gcp_credentials.is_empty() {
        environment.value("GOOGLE_APPLICATION_CREDENTIALS", &settings.gcp_credentials);
    }
    if !settings.log_s3_bucket.is_empty() {
        environment.value("LOG_S3_BUCKET", &settings.log_s3_bucket);
        environment.value("LOG_BUCKET_SCOPE_SUFFIX", &suffix);
        environment.value("LOG_BUCKET_SCOPE_PREFIX", "");
    }
}

fn scope_suffix(uid: &str) -> String {
    if uid.is_empty() { String::new() } else { format!("/{uid}") }
}
