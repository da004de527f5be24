//! Poolers: a Deployment, a Service and a Secret with the list of users, for the primary and for
//! the replicas.
//!
//! The pod template is the original's, defects included, because a repair would restart pooler
//! pods: the list of users is mounted by file, so that running pods do not see it change (D36).
//! One defect is repaired all the same: pods never get the credentials of a user that the manifest
//! may not name (D37).

use std::collections::BTreeMap;

use matriarch_api::{ConnectionPooler, Problem};
use serde_json::{Value, json};

use super::services::{self, Exposure};
use super::{Context, affinity, put, resources, roles, volumes};
use crate::intent::{Object, Pooler, SecretKey, Unwanted};
use crate::level::Level;
use crate::names;
use crate::validate::Cluster;

/// Connections to PostgreSQL when the settings name none.
const DEFAULT_CONNECTIONS: i64 = 60;
/// Clients of one pod.
const CLIENTS: &str = "10000";
/// Ids of the user of the pooler's image.
const USER_ID: u32 = 100;
const GROUP_ID: u32 = 101;
/// Longest name of a Service.
const LONGEST_SERVICE_NAME: usize = 63;

/// The poolers that the manifest asks for.
pub(super) fn render(context: &Context<'_>) -> Vec<Pooler> {
    // Which of its lines and variables were left out would not be known.
    if roles::infrastructure_is_unknown(context) {
        return Vec::new();
    }
    wanted_roles(context).map(|role| pooler(context, role)).collect()
}

/// What is left of poolers that were switched off. With no pooler, the credentials of its user go.
pub(super) fn unwanted(context: &Context<'_>) -> Vec<Unwanted> {
    let mut unwanted = Vec::new();
    for role in [names::PRIMARY, names::REPLICA].into_iter().filter(|role| !is_wanted(context.cluster, role))
    {
        let name = names::pooler(context.name(), role);
        let because = format!("{} is not on", switch(role));
        let objects = [("Deployment", name.clone()), ("Service", name.clone()), ("Secret", user_list(&name))];
        unwanted.extend(objects.map(|(kind, name)| Unwanted {
            kind: kind.to_owned(),
            name,
            because: because.clone(),
        }));
    }
    if user(context).is_none() {
        unwanted.push(Unwanted {
            kind: "Secret".to_owned(),
            name: names::credential_secret(
                &context.cluster.pooler_user(context.settings),
                context.name(),
                context.settings,
            ),
            because: "no pooler is on, so nobody logs in as its user".to_owned(),
        });
    }
    unwanted
}

/// What the owner should know.
pub(super) fn notices(context: &Context<'_>) -> Vec<Problem> {
    let mut notices = Vec::new();
    for role in [names::PRIMARY, names::REPLICA] {
        if is_wanted(context.cluster, role) && !fits(context, role) {
            notices.push(Problem::new(
                switch(role),
                format!(
                    "makes the Service {}, longer than 63 characters, so there is no such pooler",
                    names::pooler(context.name(), role)
                ),
                "switch it off, or create the cluster under a shorter name",
            ));
        }
    }
    if !wanted_roles(context).collect::<Vec<_>>().is_empty() && roles::infrastructure_is_unknown(context) {
        notices.push(Problem::new(
            "infrastructure_roles_secrets",
            "could not be read, so poolers stay as they are",
            "see that the operator may read the Secrets that the option names",
        ));
    }
    notices
}

fn is_wanted(cluster: &Cluster, role: &str) -> bool {
    if role == names::REPLICA { cluster.wants_replica_pooler() } else { cluster.wants_primary_pooler() }
}

/// Role that poolers look passwords up with, if there is a pooler. It is the same for the role in
/// the database, its Secret, the pods and the lookup function.
pub(super) fn user(context: &Context<'_>) -> Option<String> {
    let any = [names::PRIMARY, names::REPLICA].into_iter().any(|role| is_wanted(context.cluster, role));
    any.then(|| context.cluster.pooler_user(context.settings))
}

/// Schema of the lookup function.
pub(super) fn schema(context: &Context<'_>) -> String {
    let own = section(context).schema.filter(|schema| !schema.is_empty());
    own.unwrap_or_else(|| context.settings.connection_pooler_schema.clone())
}

/// Labels of pooler objects: those of the selector, or all of them.
pub(super) fn labels(context: &Context<'_>, role: &str, all: bool) -> BTreeMap<String, String> {
    let mut labels = if all { context.labels() } else { context.selector() };
    labels.insert(names::APPLICATION_LABEL.to_owned(), names::POOLER_APPLICATION.to_owned());
    labels.insert(names::POOLER_LABEL.to_owned(), names::pooler(context.name(), role));
    if all {
        labels.insert(context.settings.pod_role_label.clone(), role.to_owned());
    }
    labels
}

fn wanted_roles<'a>(context: &'a Context<'_>) -> impl Iterator<Item = &'static str> + 'a {
    let roles = [names::PRIMARY, names::REPLICA].into_iter();
    roles.filter(|role| is_wanted(context.cluster, role) && fits(context, role))
}

fn fits(context: &Context<'_>, role: &str) -> bool {
    names::pooler(context.name(), role).len() <= LONGEST_SERVICE_NAME
}

fn switch(role: &str) -> &'static str {
    if role == names::REPLICA { "spec.enableReplicaConnectionPooler" } else { "spec.enableConnectionPooler" }
}

fn section(context: &Context<'_>) -> ConnectionPooler {
    context.cluster.spec.connection_pooler.clone().unwrap_or_default()
}

fn user_list(pooler: &str) -> String {
    format!("{pooler}-u")
}

fn pooler(context: &Context<'_>, role: &str) -> Pooler {
    Pooler {
        deployment: deployment(context, role),
        service: service(context, role),
        user_list: user_list_secret(context, role),
        users: users(context),
    }
}

/// The pooler's own user, then the infrastructure roles by name.
fn users(context: &Context<'_>) -> Vec<(String, SecretKey)> {
    let place = |role: &str| SecretKey {
        namespace: context.namespace().to_owned(),
        name: names::credential_secret(role, context.name(), context.settings),
        key: "password".to_owned(),
    };
    let own = context.cluster.pooler_user(context.settings);
    let mut users = vec![(roles::current_name(context, &own), place(&own))];
    let infrastructure = roles::infrastructure(context).into_iter().filter(|role| role.password.is_some());
    users.extend(infrastructure.map(|role| (role.name.clone(), place(&role.name))));
    users
}

fn user_list_secret(context: &Context<'_>, role: &str) -> Object {
    let name = user_list(&names::pooler(context.name(), role));
    let metadata = context.metadata(&name, labels(context, role, true), context.inherited(BTreeMap::new()));
    context.object("v1", "Secret", metadata, json!({"type": "Opaque"}))
}

fn service(context: &Context<'_>, role: &str) -> Object {
    let name = names::pooler(context.name(), role);
    let exposure = exposure(context, role);
    let mut spec = services::exposed(context, exposure, &name);
    spec["selector"] = json!({names::POOLER_LABEL: name});
    // The `-repl` of a replica comes from the format.
    let dns = || services::dns_name(context, role, &names::pooler(context.name(), names::PRIMARY));
    let dns = (exposure == Exposure::LoadBalancer).then(dns);
    let annotations = services::annotated(context, role, dns);
    let metadata = context.metadata(&name, labels(context, role, false), annotations);
    context.object("v1", "Service", metadata, json!({"spec": spec}))
}

fn exposure(context: &Context<'_>, role: &str) -> Exposure {
    let (spec, settings) = (&context.cluster.spec, context.settings);
    if role == names::REPLICA {
        return Exposure::of(
            spec.enable_replica_pooler_node_port.unwrap_or(settings.enable_replica_pooler_node_port),
            spec.replica_pooler_node_port,
            spec.enable_replica_pooler_load_balancer.unwrap_or(settings.enable_replica_pooler_load_balancer),
        );
    }
    Exposure::of(
        spec.enable_master_pooler_node_port.unwrap_or(settings.enable_master_pooler_node_port),
        spec.master_pooler_node_port,
        spec.enable_master_pooler_load_balancer.unwrap_or(settings.enable_master_pooler_load_balancer),
    )
}

fn deployment(context: &Context<'_>, role: &str) -> Object {
    let name = names::pooler(context.name(), role);
    let annotations = context.downscaled(BTreeMap::new());
    let metadata = context.metadata(&name, labels(context, role, true), annotations);
    let spec = json!({
        "replicas": instances(context),
        "selector": {"matchLabels": labels(context, role, false)},
        "template": template(context, role),
    });
    context.object("apps/v1", "Deployment", metadata, json!({"spec": spec}))
}

/// Pods of a pooler: at least one.
fn instances(context: &Context<'_>) -> i64 {
    let own = section(context).number_of_instances.map(i64::from);
    own.unwrap_or(context.settings.connection_pooler_number_of_instances).max(1)
}

fn template(context: &Context<'_>, role: &str) -> Value {
    // Where pods may run is the original's, see above.
    let original = Context { level: Level::ORIGINAL, ..*context };
    let mut metadata = json!({"namespace": context.namespace(), "labels": labels(context, role, true)});
    put(&mut metadata, "annotations", json!(context.plain_pod_annotations()));
    let mut security = json!({"runAsUser": USER_ID, "runAsGroup": GROUP_ID});
    let group = context.cluster.spec.spilo_fs_group.or(context.settings.spilo_fsgroup);
    put(&mut security, "fsGroup", json!(group));
    let mut spec = json!({
        "serviceAccountName": context.settings.pod_service_account_name,
        "terminationGracePeriodSeconds": super::pod::grace_period(context),
        "securityContext": security,
        "tolerations": affinity::tolerations(context),
        "containers": [container(context, role)],
        "volumes": volumes_of(context, role),
    });
    put(&mut spec, "affinity", affinity::apart_from(&original, &labels(context, role, false)));
    json!({"metadata": metadata, "spec": spec})
}

fn volumes_of(context: &Context<'_>, role: &str) -> Vec<Value> {
    let secret = user_list(&names::pooler(context.name(), role));
    let mut all = vec![json!({
        "name": volumes::volume_name(context, &secret),
        "secret": {"secretName": secret},
    })];
    all.extend(
        volumes::tls_volumes(context)
            .into_iter()
            .map(|volume| json!({"name": volume.name, "secret": volume.volume_source["secret"]})),
    );
    all
}

fn container(context: &Context<'_>, role: &str) -> Value {
    let (settings, section) = (context.settings, section(context));
    let image = section.docker_image.filter(|image| !image.is_empty());
    let defaults = resources::Defaults {
        requests: [
            ("cpu", &settings.connection_pooler_default_cpu_request),
            ("memory", &settings.connection_pooler_default_memory_request),
        ],
        limits: [
            ("cpu", &settings.connection_pooler_default_cpu_limit),
            ("memory", &settings.connection_pooler_default_memory_limit),
        ],
    };
    let secret = user_list(&names::pooler(context.name(), role));
    let mut mounts = vec![json!({
        "name": volumes::volume_name(context, &secret),
        "mountPath": "/etc/pgbouncer/userlist.txt",
        "subPath": "userlist.txt",
        "readOnly": true,
    })];
    mounts.extend(
        volumes::tls_volumes(context)
            .into_iter()
            .map(|volume| json!({"name": volume.name, "mountPath": volume.mount_path})),
    );
    json!({
        "name": "connection-pooler",
        "image": image.unwrap_or_else(|| settings.connection_pooler_image.clone()),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": names::POSTGRES_PORT, "protocol": "TCP"}],
        "resources": resources::other(context, section.resources.as_ref(), &defaults),
        "readinessProbe": {"tcpSocket": {"port": names::POSTGRES_PORT}},
        "securityContext": {"allowPrivilegeEscalation": false},
        "env": environment(context, role),
        "volumeMounts": mounts,
    })
}

fn environment(context: &Context<'_>, role: &str) -> Vec<Value> {
    let value = |name: &str, value: String| json!({"name": name, "value": value});
    let secret = names::credential_secret(
        &context.cluster.pooler_user(context.settings),
        context.name(),
        context.settings,
    );
    let from = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}});
    let host = match role {
        names::REPLICA => names::replica_service(context.name()),
        _ => names::primary_service(context.name()),
    };
    let mode = section(context).mode.filter(|mode| !mode.is_empty());
    let most = connections(context);
    let mut all = vec![
        value("PGHOST", host),
        value("PGPORT", names::POSTGRES_PORT.to_string()),
        from("PGUSER", "username"),
        value("PGSCHEMA", schema(context)),
        from("PGPASSWORD", "password"),
        value("CONNECTION_POOLER_PORT", names::POSTGRES_PORT.to_string()),
        value("CONNECTION_POOLER_MODE", mode.unwrap_or(context.settings.connection_pooler_mode.clone())),
        value("CONNECTION_POOLER_DEFAULT_SIZE", (most / 2).to_string()),
        value("CONNECTION_POOLER_MIN_SIZE", (most / 4).to_string()),
        value("CONNECTION_POOLER_RESERVE_SIZE", (most / 4).to_string()),
        value("CONNECTION_POOLER_MAX_CLIENT_CONN", CLIENTS.to_owned()),
        value("CONNECTION_POOLER_MAX_DB_CONN", most.to_string()),
    ];
    let names: Vec<String> =
        roles::infrastructure(context).into_iter().map(|role| role.name.clone()).collect();
    if !names.is_empty() {
        // By name: an order that changes would restart pods (D14).
        all.push(value("INFRASTRUCTURE_ROLES", names.join(",")));
    }
    all.extend(volumes::tls_variables(context).into_iter().map(|(name, path)| match name {
        "SSL_CERTIFICATE_FILE" => value("CONNECTION_POOLER_CLIENT_TLS_CRT", path),
        "SSL_PRIVATE_KEY_FILE" => value("CONNECTION_POOLER_CLIENT_TLS_KEY", path),
        _ => value("CONNECTION_POOLER_CLIENT_CA_FILE", path),
    }));
    all
}

/// Connections to PostgreSQL of one pod.
fn connections(context: &Context<'_>) -> i64 {
    let own = section(context).max_db_connections.map(i64::from).filter(|number| *number > 0);
    let setting = Some(context.settings.connection_pooler_max_db_connections).filter(|number| *number > 0);
    own.or(setting).unwrap_or(DEFAULT_CONNECTIONS) / instances(context)
}
