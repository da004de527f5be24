//! Environment of the container `postgres`: the operator's own variables, then each source in the
//! order of precedence. The first variable of a name wins, whatever its case.

use matriarch_api::Problem;
use serde_json::{Value, json};

use super::{Context, spilo, version, volumes};
use crate::intent::Unresolved;
use crate::level::Level;
use crate::names;
use crate::references::Reference;

/// A list of variables, the first of a name wins, whatever its case.
pub(super) struct Environment {
    entries: Vec<Entry>,
    repaired: bool,
    notices: Vec<Problem>,
}

struct Entry {
    variable: Value,
    /// The field or option that it comes from, unless it is the operator's own.
    source: Option<&'static str>,
}

impl Environment {
    fn new(context: &Context<'_>) -> Self {
        Self { entries: Vec::new(), repaired: context.level.repairs(Level::REPAIRED), notices: Vec::new() }
    }

    fn of_name(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| name_of(&entry.variable).eq_ignore_ascii_case(name))
    }

    /// Adds a variable of the operator unless there is one of that name.
    ///
    /// A user's variable in other letters took its place for the original, but the image reads only
    /// the operator's spelling: a lower-case `wal_s3_bucket` switched the archive off (D23).
    fn add(&mut self, variable: Value) {
        let (repaired, canonical) = (self.repaired, name_of(&variable).to_owned());
        let Some(entry) = self.of_name(&canonical) else {
            self.entries.push(Entry { variable, source: None });
            return;
        };
        let written = name_of(&entry.variable).to_owned();
        let Some(source) = entry.source.filter(|_| repaired && written != canonical) else { return };
        entry.variable["name"] = json!(canonical);
        self.notices.push(Problem::new(
            source,
            format!("has {written}; the image reads {canonical}, so the value is set under that name"),
            format!("write {canonical}"),
        ));
    }

    /// Adds a variable of a user unless there is one of that name.
    fn add_of(&mut self, source: &'static str, variable: Value) {
        let name = name_of(&variable).to_owned();
        match self.of_name(&name).map(|entry| entry.source) {
            None => self.entries.push(Entry { variable, source: Some(source) }),
            Some(None) => self.notices.push(Problem::new(
                source,
                format!("has {name}, which the operator sets itself, so it has no effect"),
                "remove it",
            )),
            Some(Some(_)) => {}
        }
    }

    /// Adds a variable of the sections `clone` or `standby`. The original does not look whether
    /// there is one of that name, and then the last one counts (D22).
    fn add_of_section(&mut self, variable: Value) {
        if self.repaired { self.add(variable) } else { self.entries.push(Entry { variable, source: None }) }
    }

    fn value(&mut self, name: &str, value: &str) {
        self.add(literal(name, value));
    }

    fn section(&mut self, name: &str, value: &str) {
        self.add_of_section(literal(name, value));
    }

    fn field(&mut self, name: &str, path: &str) {
        self.add(json!({
            "name": name,
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}},
        }));
    }

    fn secret(&mut self, name: &str, secret: &str, key: &str) {
        self.add(from_secret(name, secret, key));
    }

    fn variables(self) -> Vec<Value> {
        self.entries.into_iter().map(|entry| entry.variable).collect()
    }
}

fn name_of(variable: &Value) -> &str {
    variable["name"].as_str().unwrap_or_default()
}

fn literal(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn from_secret(name: &str, secret: &str, key: &str) -> Value {
    json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

/// Everything that the container `postgres` gets.
pub(super) fn postgres(context: &Context<'_>) -> Vec<Value> {
    complete(context).variables()
}

/// What users should know about their variables.
pub(super) fn notices(context: &Context<'_>) -> Vec<Problem> {
    complete(context).notices
}

fn complete(context: &Context<'_>) -> Environment {
    let mut environment = Environment::new(context);
    operator(context, &mut environment);
    patroni_store(context, &mut environment);
    for variable in context.cluster.spec.env.iter().flatten() {
        environment.add_of("spec.env", variable.clone());
    }
    clone(context, &mut environment);
    standby(context, &mut environment);
    references(context, &mut environment);
    archive(context, &mut environment);
    for (name, value) in volumes::tls_variables(context) {
        environment.value(name, &value);
    }
    environment
}

/// Variables that every sidecar starts with.
pub(super) fn sidecar(context: &Context<'_>, own: &[Value]) -> Vec<Value> {
    let superuser = &context.settings.super_username;
    let secret = names::credential_secret(superuser, context.name(), context.settings);
    let mut environment = Environment::new(context);
    environment.field("POD_NAME", "metadata.name");
    environment.field("POD_NAMESPACE", "metadata.namespace");
    environment.value("POSTGRES_USER", superuser);
    environment.secret("POSTGRES_PASSWORD", &secret, "password");
    own.iter().for_each(|variable| environment.add_of("spec.sidecars", variable.clone()));
    environment.variables()
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
        environment
            .value("PGVERSION", &version::of_pods(context, &context.cluster.wanted_version(settings)).0);
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
    environment.section("CLONE_SCOPE", &clone.cluster);
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(timestamp) = given(&clone.timestamp) {
        match given(&clone.s3_wal_path) {
            Some(path) => environment.section("CLONE_WALE_S3_PREFIX", &path),
            None => clone_bucket(context, clone.uid.as_deref().unwrap_or_default(), environment),
        }
        environment.section("CLONE_METHOD", "CLONE_WITH_WALE");
        environment.section("CLONE_TARGET_TIME", &timestamp);
        environment.section("CLONE_WAL_BUCKET_SCOPE_PREFIX", "");
        if let Some(endpoint) = given(&clone.s3_endpoint) {
            environment.section("CLONE_AWS_ENDPOINT", &endpoint);
            environment.section("CLONE_WALE_S3_ENDPOINT", &endpoint);
        }
        if let Some(key) = given(&clone.s3_access_key_id) {
            environment.section("CLONE_AWS_ACCESS_KEY_ID", &key);
        }
        if let Some(key) = given(&clone.s3_secret_access_key) {
            environment.section("CLONE_AWS_SECRET_ACCESS_KEY", &key);
        }
        if let Some(path_style) = clone.s3_force_path_style {
            environment.section("CLONE_AWS_S3_FORCE_PATH_STYLE", if path_style { "1" } else { "0" });
        }
    } else {
        let user = &settings.replication_username;
        environment.section("CLONE_METHOD", "CLONE_WITH_BASEBACKUP");
        environment.section("CLONE_HOST", &clone.cluster);
        environment.section("CLONE_PORT", "5432");
        environment.section("CLONE_USER", user);
        let secret = names::credential_secret(user, &clone.cluster, settings);
        environment.add_of_section(from_secret("CLONE_PASSWORD", &secret, "password"));
    }
    web_identity(context, "CLONE", environment);
}

/// Bucket of a clone that names no path: the first kind of archive that is configured.
fn clone_bucket(context: &Context<'_>, uid: &str, environment: &mut Environment) {
    let settings = context.settings;
    if !settings.wal_s3_bucket.is_empty() {
        environment.section("CLONE_WAL_S3_BUCKET", &settings.wal_s3_bucket);
    } else if !settings.wal_gs_bucket.is_empty() {
        environment.section("CLONE_WAL_GS_BUCKET", &settings.wal_gs_bucket);
        if !settings.gcp_credentials.is_empty() {
            environment.section("CLONE_GOOGLE_APPLICATION_CREDENTIALS", &settings.gcp_credentials);
        }
    } else if !settings.wal_az_storage_account.is_empty() {
        environment.section("CLONE_AZURE_STORAGE_ACCOUNT", &settings.wal_az_storage_account);
    }
    environment.section("CLONE_WAL_BUCKET_SCOPE_SUFFIX", &scope_suffix(uid));
}

fn standby(context: &Context<'_>, environment: &mut Environment) {
    let Some(standby) = &context.cluster.spec.standby else { return };
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(host) = given(&standby.standby_host) {
        environment.section("STANDBY_HOST", &host);
        if let Some(port) = given(&standby.standby_port) {
            environment.section("STANDBY_PORT", &port);
        }
        if let Some(slot) = given(&standby.standby_primary_slot_name) {
            environment.section("STANDBY_PRIMARY_SLOT_NAME", &slot);
        }
    }
    let archive = given(&standby.s3_wal_path).map(|path| ("STANDBY_WALE_S3_PREFIX", path));
    let archive =
        archive.or_else(|| given(&standby.gs_wal_path).map(|path| ("STANDBY_WALE_GS_PREFIX", path)));
    if let Some((name, path)) = archive {
        environment.section(name, &path);
        environment.section("STANDBY_METHOD", "STANDBY_WITH_WALE");
        environment.section("STANDBY_WAL_BUCKET_SCOPE_PREFIX", "");
    }
    web_identity(context, "STANDBY", environment);
}

fn web_identity(context: &Context<'_>, purpose: &str, environment: &mut Environment) {
    let role = &context.settings.irsa_role_arn;
    if !role.is_empty() {
        environment.section(&format!("{purpose}_AWS_ROLE_ARN"), role);
        environment.section(
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
        environment.add_of("pod_environment_secret", from_secret(&key, secret, &key));
    }
    let map = context.references.environment_config_map.as_ref().and_then(Reference::known);
    for (key, value) in map.into_iter().flatten() {
        environment.add_of("pod_environment_configmap", literal(key, value));
    }
}

/// What settings point to and what could not be had. The original waits ten minutes for a Secret
/// that is missing, and every other cluster with it (D21).
pub(super) fn unresolved(context: &Context<'_>) -> Vec<Unresolved> {
    let (settings, references) = (context.settings, context.references);
    let map = &settings.pod_environment_configmap;
    let secret = &settings.pod_environment_secret;
    let found = [
        lack("pod_environment_configmap", "ConfigMap", map, references.environment_config_map.as_ref()),
        lack("pod_environment_secret", "Secret", secret, references.environment_secret.as_ref()),
    ];
    found.into_iter().flatten().collect()
}

fn lack<T>(option: &str, kind: &str, name: &str, reference: Option<&Reference<T>>) -> Option<Unresolved> {
    if name.is_empty() {
        return None;
    }
    let why = match reference {
        Some(Reference::Known(_)) => return None,
        Some(Reference::Missing) => format!("{kind} {name} does not exist: make it, or empty the option"),
        Some(Reference::Unknown(why)) => format!("{kind} {name} cannot be read: {why}"),
        None => format!("{kind} {name} was not read"),
    };
    Some(Unresolved { field: option.to_owned(), why })
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
