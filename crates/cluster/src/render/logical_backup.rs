//! The CronJob of logical backups. A changed CronJob restarts nothing, so its defects are repaired at
//! once; level 0 is rendered for comparison only.

use std::collections::BTreeMap;

use matriarch_api::Problem;
use serde_json::{Value, json};

use super::{Context, affinity, containers, pod, put, resources, volumes};
use crate::intent::{Object, Unwanted};
use crate::level::Level;
use crate::names;
use crate::references::Reference;

/// The CronJob, if there should be one and everything for it is known.
pub(super) fn render(context: &Context<'_>) -> Option<Object> {
    let on = context.cluster.spec.enable_logical_backup == Some(true);
    // There is nothing to dump without pods.
    let wanted = on && context.cluster.instances(context.settings) > 0;
    (wanted && secret_keys(context).is_ok()).then(|| cron_job(context))
}

/// The CronJob when it is off, and the one under the name that is not used.
pub(super) fn unwanted(context: &Context<'_>) -> Vec<Unwanted> {
    let off = context.cluster.spec.enable_logical_backup != Some(true);
    let mut names = vec![names::backup_job(context.name(), context.settings)];
    names.extend(names::backup_job_apart(context.name(), context.settings));
    let because = |name: &String| match (off, *name == own_name(context)) {
        (true, _) => Some("spec.enableLogicalBackup is not on"),
        (false, false) => Some("the CronJob has another name"),
        (false, true) => None,
    };
    let gone = names.iter().filter_map(|name| Some((name.clone(), because(name)?.to_owned())));
    gone.map(|(name, because)| Unwanted { kind: "CronJob".to_owned(), name, because }).collect()
}

/// What the owner should know.
pub(super) fn notices(context: &Context<'_>) -> Vec<Problem> {
    let on = context.cluster.spec.enable_logical_backup == Some(true);
    match secret_keys(context) {
        Err(why) if on => vec![Problem::new(
            "logical_backup_cronjob_environment_secret",
            format!("{why}, so the CronJob of backups stays as it is"),
            "make the Secret in the cluster's namespace, or empty the setting of the operator",
        )],
        _ => Vec::new(),
    }
}

/// Names longer than 52 characters are cut and may become the same (D3): a cluster whose name is
/// taken by another one's CronJob gets a hash at its end. Existing CronJobs keep their names.
fn own_name(context: &Context<'_>) -> String {
    let apart = names::backup_job_apart(context.name(), context.settings);
    let apart = apart.filter(|_| context.facts.backup_job_is_taken);
    apart.unwrap_or_else(|| names::backup_job(context.name(), context.settings))
}

fn labels(context: &Context<'_>) -> BTreeMap<String, String> {
    let mut labels = context.labels();
    labels.insert(names::APPLICATION_LABEL.to_owned(), names::BACKUP_APPLICATION.to_owned());
    labels
}

fn cron_job(context: &Context<'_>) -> Object {
    let (spec, settings) = (&context.cluster.spec, context.settings);
    let schedule = spec.logical_backup_schedule.clone().filter(|schedule| !schedule.is_empty());
    let metadata = context.metadata(&own_name(context), labels(context), context.plain_pod_annotations());
    let mut job_metadata = json!({"labels": labels(context)});
    put(&mut job_metadata, "annotations", json!(context.plain_pod_annotations()));
    let spec = json!({
        "schedule": schedule.unwrap_or_else(|| settings.logical_backup_schedule.clone()),
        "concurrencyPolicy": "Forbid",
        "successfulJobsHistoryLimit": settings.logical_backup_successful_jobs_history_limit,
        "failedJobsHistoryLimit": settings.logical_backup_failed_jobs_history_limit,
        "jobTemplate": {
            "metadata": job_metadata,
            "spec": {
                "ttlSecondsAfterFinished": settings.logical_backup_ttl_seconds_after_finished,
                "template": template(context),
            },
        },
    });
    context.object("batch/v1", "CronJob", metadata, json!({"spec": spec}))
}

fn template(context: &Context<'_>) -> Value {
    let mut metadata = json!({"namespace": context.namespace(), "labels": labels(context)});
    put(&mut metadata, "annotations", json!(context.pod_annotations()));
    let mut spec = json!({
        "restartPolicy": "Never",
        "serviceAccountName": context.settings.pod_service_account_name,
        "terminationGracePeriodSeconds": pod::grace_period(context),
        "securityContext": pod::security(context),
        "tolerations": affinity::tolerations(context),
        "affinity": beside_the_database(context),
        "containers": [container(context)],
    });
    put(&mut spec, "topologySpreadConstraints", affinity::topology_spread(context));
    let secret = &context.settings.additional_secret_mount;
    if !secret.is_empty() {
        let name = volumes::volume_name(context, secret);
        spec["volumes"] = json!([{"name": name, "secret": {"secretName": secret}}]);
    }
    json!({"metadata": metadata, "spec": spec})
}

/// Backups prefer the nodes of database pods; the original looks for backup pods (D34).
fn beside_the_database(context: &Context<'_>) -> Value {
    let repaired = context.level.repairs(Level::REPAIRED);
    let labels = if repaired { context.selector() } else { labels(context) };
    let mut affinity = json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 1,
        "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": labels},
        },
    }]}});
    put(&mut affinity, "nodeAffinity", affinity::on_ready_nodes(context, None));
    affinity
}

fn container(context: &Context<'_>) -> Value {
    let settings = context.settings;
    let first = |own: &String, default: &String| if own.is_empty() { default.clone() } else { own.clone() };
    let amounts = [
        first(&settings.logical_backup_cpu_request, &settings.default_cpu_request),
        first(&settings.logical_backup_memory_request, &settings.default_memory_request),
        first(&settings.logical_backup_cpu_limit, &settings.default_cpu_limit),
        first(&settings.logical_backup_memory_limit, &settings.default_memory_limit),
    ];
    let defaults = resources::Defaults {
        requests: [("cpu", &amounts[0]), ("memory", &amounts[1])],
        limits: [("cpu", &amounts[2]), ("memory", &amounts[3])],
    };
    let mut container = json!({
        "name": "logical-backup",
        "image": settings.logical_backup_docker_image,
        "imagePullPolicy": "IfNotPresent",
        "ports": containers::ports(),
        "env": environment(context),
        "resources": resources::other(context, None, &defaults),
        "securityContext": containers::plain_security(context),
    });
    let secret = &settings.additional_secret_mount;
    if !secret.is_empty() {
        container["volumeMounts"] = json!([{
            "name": volumes::volume_name(context, secret),
            "mountPath": settings.additional_secret_mount_path,
        }]);
    }
    container
}

fn environment(context: &Context<'_>) -> Vec<Value> {
    let (spec, settings) = (&context.cluster.spec, context.settings);
    let value = |name: &str, value: &str| json!({"name": name, "value": value});
    let password = names::credential_secret(&settings.super_username, context.name(), settings);
    let uid = &context.cluster.identity.uid;
    let suffix = if uid.is_empty() { String::new() } else { format!("/{uid}") };
    let mut all = vec![
        value("SCOPE", context.name()),
        value("CLUSTER_NAME_LABEL", &settings.cluster_name_label),
        json!({"name": "POD_NAMESPACE",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}}),
        value("PG_VERSION", &spec.postgresql.version),
        value("PGPORT", &names::POSTGRES_PORT.to_string()),
        value("PGUSER", &settings.super_username),
        value("PGDATABASE", &settings.super_username),
        value("PGSSLMODE", "require"),
        json!({"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": password, "key": "password"}}}),
        value("LOGICAL_BACKUP_PROVIDER", &settings.logical_backup_provider),
        value("LOGICAL_BACKUP_S3_BUCKET", &settings.logical_backup_s3_bucket),
        value("LOGICAL_BACKUP_S3_BUCKET_PREFIX", &settings.logical_backup_s3_bucket_prefix),
        value("LOGICAL_BACKUP_S3_BUCKET_SCOPE_SUFFIX", &suffix),
    ];
    all.extend(provider(context));
    // By name, and the first of a name counts (D35).
    for key in secret_keys(context).unwrap_or_default() {
        if !all.iter().any(|variable| variable["name"] == json!(key)) {
            let secret = &settings.logical_backup_cronjob_environment_secret;
            all.push(json!({"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}));
        }
    }
    let repaired = context.level.repairs(Level::REPAIRED);
    if repaired && !all.iter().any(|variable| variable["name"] == json!(SELECTOR)) {
        all.push(value(SELECTOR, &pod_selector(context)));
    }
    all
}

/// Variable with the selector of database pods. An image that heeds it finds no pooler pods, and
/// finds pods under another role label (D6); the original's image does not know it.
const SELECTOR: &str = "LOGICAL_BACKUP_POD_SELECTOR";

fn pod_selector(context: &Context<'_>) -> String {
    let mut labels: Vec<String> =
        context.selector().iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.push(context.settings.pod_role_label.clone());
    labels.join(",")
}

/// Variables of one storage provider; none of one that is not known.
fn provider(context: &Context<'_>) -> Vec<Value> {
    let (spec, settings) = (&context.cluster.spec, context.settings);
    let always = |name: &str, value: &str| Some(json!({"name": name, "value": value}));
    let given = |name: &str, value: &str| (!value.is_empty()).then(|| json!({"name": name, "value": value}));
    let retention = spec.logical_backup_retention.as_deref().filter(|time| !time.is_empty());
    let variables = match settings.logical_backup_provider.as_str() {
        "s3" => vec![
            always("LOGICAL_BACKUP_S3_REGION", &settings.logical_backup_s3_region),
            always("LOGICAL_BACKUP_S3_ENDPOINT", &settings.logical_backup_s3_endpoint),
            always("LOGICAL_BACKUP_S3_SSE", &settings.logical_backup_s3_sse),
            always(
                "LOGICAL_BACKUP_S3_RETENTION_TIME",
                retention.unwrap_or(&settings.logical_backup_s3_retention_time),
            ),
            given("AWS_ACCESS_KEY_ID", &settings.logical_backup_s3_access_key_id),
            given("AWS_SECRET_ACCESS_KEY", &settings.logical_backup_s3_secret_access_key),
        ],
        "gcs" => vec![given(
            "LOGICAL_BACKUP_GOOGLE_APPLICATION_CREDENTIALS",
            &settings.logical_backup_google_application_credentials,
        )],
        "az" => vec![
            always(
                "LOGICAL_BACKUP_AZURE_STORAGE_ACCOUNT_NAME",
                &settings.logical_backup_azure_storage_account_name,
            ),
            always(
                "LOGICAL_BACKUP_AZURE_STORAGE_CONTAINER",
                &settings.logical_backup_azure_storage_container,
            ),
            given(
                "LOGICAL_BACKUP_AZURE_STORAGE_ACCOUNT_KEY",
                &settings.logical_backup_azure_storage_account_key,
            ),
        ],
        _ => Vec::new(),
    };
    variables.into_iter().flatten().collect()
}

/// Keys of the Secret with further variables, by name; why they are not known.
fn secret_keys(context: &Context<'_>) -> Result<Vec<String>, String> {
    let secret = &context.settings.logical_backup_cronjob_environment_secret;
    if secret.is_empty() {
        return Ok(Vec::new());
    }
    match &context.references.backup_secret {
        Some(Reference::Known(keys)) => {
            let mut keys = keys.clone();
            keys.sort();
            Ok(keys)
        }
        Some(Reference::Missing) => Err(format!("Secret {secret} does not exist")),
        Some(Reference::Unknown(why)) => Err(format!("Secret {secret} could not be read: {why}")),
        None => Err(format!("Secret {secret} was not read")),
    }
}
