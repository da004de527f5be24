//! The containers of a pod: PostgreSQL and its sidecars.

use matriarch_api::{Problem, Sidecar};
use serde_json::{Value, json};

use super::{Context, environment, put, resources, volumes};
use crate::names::{PATRONI_PORT, POSTGRES_CONTAINER, POSTGRES_PORT};

/// The container `postgres`, and what was changed about its resources.
pub(super) fn postgres(context: &Context<'_>) -> (Value, Vec<Problem>) {
    let (spec, settings) = (&context.cluster.spec, context.settings);
    let (resources, notices) = resources::postgres(context);
    let image = spec.docker_image.as_deref().filter(|image| !image.is_empty());
    let mut container = json!({
        "name": POSTGRES_CONTAINER,
        "image": image.unwrap_or(&settings.docker_image),
        "imagePullPolicy": "IfNotPresent",
        "ports": ports(),
        "env": environment::postgres(context),
        "resources": resources,
        "securityContext": security(context),
        "volumeMounts": volumes::mounts(context, POSTGRES_CONTAINER, &[]),
    });
    put(&mut container, "envFrom", json!(spec.env_from));
    if settings.enable_readiness_probe {
        container["readinessProbe"] = readiness_probe();
    }
    let liveness = spec.liveness_probe.clone().or_else(|| settings.liveness_probe.clone());
    put(&mut container, "livenessProbe", liveness.unwrap_or_default());
    (container, notices)
}

/// The three ports that the contract gives to database and backup containers.
pub(super) fn ports() -> Value {
    json!([PATRONI_PORT, POSTGRES_PORT, 8080].map(|port| json!({"containerPort": port, "protocol": "TCP"})))
}

/// Security of a container that needs no further capabilities.
pub(super) fn plain_security(context: &Context<'_>) -> Value {
    json!({
        "privileged": context.settings.spilo_privileged,
        "allowPrivilegeEscalation": context.settings.spilo_allow_privilege_escalation,
        "readOnlyRootFilesystem": false,
    })
}

fn security(context: &Context<'_>) -> Value {
    let settings = context.settings;
    let mut security = plain_security(context);
    let capabilities: Vec<_> =
        settings.additional_pod_capabilities.iter().map(|name| name.to_uppercase()).collect();
    if !capabilities.is_empty() {
        security["capabilities"] = json!({"add": capabilities});
    }
    security
}

fn readiness_probe() -> Value {
    json!({
        "httpGet": {"path": "/readiness", "port": PATRONI_PORT, "scheme": "HTTP"},
        "initialDelaySeconds": 6,
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "successThreshold": 1,
        "failureThreshold": 3,
    })
}

/// Sidecars from all sources; the first of a name wins.
pub(super) fn sidecars(context: &Context<'_>) -> Vec<Value> {
    let settings = context.settings;
    let own = context.cluster.spec.sidecars.iter().flatten().enumerate();
    let mut all: Vec<Value> = own.map(|(index, sidecar)| from_manifest(context, index, sidecar)).collect();
    all.extend(settings.sidecars.as_ref().and_then(Value::as_array).cloned().unwrap_or_default());
    all.extend(settings.sidecar_docker_images.iter().map(|(name, image)| {
        let sidecar = Sidecar { name: Some(name.clone()), image: Some(image.clone()), ..Sidecar::default() };
        from_manifest(context, 0, &sidecar)
    }));
    all.extend(log_shipper(context));
    let mut accepted: Vec<Value> = Vec::new();
    for container in all {
        if !accepted.iter().any(|other| other["name"] == container["name"]) {
            accepted.push(container);
        }
    }
    accepted.into_iter().map(|container| extended(context, container)).collect()
}

/// The sidecar that ships logs to Scalyr, with a key and an image.
fn log_shipper(context: &Context<'_>) -> Option<Value> {
    let settings = context.settings;
    if settings.scalyr_api_key.is_empty() || settings.scalyr_image.is_empty() {
        return None;
    }
    let mut env = vec![
        json!({"name": "SCALYR_API_KEY", "value": settings.scalyr_api_key}),
        json!({"name": "SCALYR_SERVER_HOST", "value": context.name()}),
    ];
    if !settings.scalyr_server_url.is_empty() {
        env.push(json!({"name": "SCALYR_SERVER_URL", "value": settings.scalyr_server_url}));
    }
    Some(json!({
        "name": "scalyr-sidecar",
        "image": settings.scalyr_image,
        "imagePullPolicy": "IfNotPresent",
        "env": env,
        "resources": resources::sidecar(context, Some(&resources::of_log_shipper(settings))),
    }))
}

fn from_manifest(context: &Context<'_>, index: usize, sidecar: &Sidecar) -> Value {
    let name = sidecar.name.clone().filter(|name| !name.is_empty());
    let mut container = json!({
        "name": name.unwrap_or_else(|| format!("sidecar-{index}")),
        "image": sidecar.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": resources::sidecar(context, sidecar.resources.as_ref()),
    });
    put(&mut container, "ports", json!(sidecar.ports));
    put(&mut container, "env", json!(sidecar.env));
    put(&mut container, "command", json!(sidecar.command));
    container
}

/// Every sidecar sees the data and knows how to connect.
fn extended(context: &Context<'_>, mut container: Value) -> Value {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    container["env"] = json!(environment::sidecar(context, &list(&container["env"])));
    container["volumeMounts"] = json!(volumes::mounts(context, &name, &list(&container["volumeMounts"])));
    container
}
