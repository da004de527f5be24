//! What the rows start from: manifests and settings in which as much as possible is in use.

use std::collections::BTreeMap;

use matriarch_cluster::teams::{Teams, humans};
use matriarch_cluster::{Facts, InfrastructureRole, Reference, References, SecretKey};
use matriarch_settings::Settings;
use serde_json::{Value, json};

/// A manifest with this `spec`.
pub fn manifest(spec: Value) -> Value {
    json!({
        "apiVersion": "acid.zalan.do/v1",
        "kind": "postgresql",
        "metadata": {
            "name": "acid-test-cluster", "namespace": "default",
            "uid": "11111111-2222-3333-4444-555555555555",
            "labels": {"flipped": "label"},
            "annotations": {"flipped": "true"},
        },
        "spec": spec,
    })
}

/// Nearly every field, for rows of the manifest.
pub fn rich() -> Value {
    json!({
        "teamId": "acid",
        "numberOfInstances": 2,
        "dockerImage": "registry.example.com/spilo:1",
        "postgresql": {"version": "16", "parameters": {"work_mem": "4MB"}},
        "volume": {
            "size": "1Gi", "storageClass": "fast", "subPath": "data",
            "selector": {"matchLabels": {"a": "b"}},
        },
        "users": {"zalando": ["createdb"], "foo_user": []},
        "databases": {"foo": "zalando"},
        "preparedDatabases": {"bar": {
            "defaultUsers": false, "extensions": {"pg_partman": "s"}, "schemas": {"s": {"defaultUsers": false}},
        }},
        "patroni": {
            "initdb": {"encoding": "UTF8"}, "pg_hba": ["local all all trust"], "ttl": 30, "loop_wait": 10,
            "retry_timeout": 10, "maximum_lag_on_failover": 33554432,
            "slots": {"one": {"type": "physical"}},
        },
        "resources": resources(),
        "env": [{"name": "FIRST", "value": "1"}],
        "envFrom": [{"configMapRef": {"name": "first"}}],
        "sidecars": [{
            "name": "exporter", "image": "exporter:1", "resources": resources(),
            "ports": [{"containerPort": 9187, "protocol": "TCP"}],
            "env": [{"name": "FIRST", "value": "1"}], "command": ["first"],
        }],
        "additionalVolumes": [{
            "name": "extra", "mountPath": "/extra", "volumeSource": {"emptyDir": {}},
            "subPath": "part", "targetContainers": ["postgres"],
        }],
        "tls": {"secretName": "tls", "caFile": "ca.crt", "caSecretName": "tls-ca"},
        "clone": {"cluster": "acid-source", "timestamp": "2025-01-01T00:00:00+00:00"},
        "enableConnectionPooler": true,
        "enableReplicaConnectionPooler": true,
        "connectionPooler": {"resources": resources()},
        "enableLogicalBackup": true,
        "streams": [{
            "applicationId": "app", "database": "foo", "filter": {"data.bar": "[?(@.x > 1)]"},
            "tables": {"data.bar": {"eventType": "bar"}},
            "enableRecovery": true,
        }],
        "tolerations": [{"key": "first", "operator": "Exists"}],
    })
}

fn resources() -> Value {
    json!({
        "requests": {"cpu": "10m", "memory": "100Mi", "hugepages-2Mi": "2Mi", "hugepages-1Gi": "1Gi"},
        "limits": {"cpu": "5", "memory": "5Gi", "hugepages-2Mi": "2Mi", "hugepages-1Gi": "1Gi"},
    })
}

/// What is left to the settings, for rows of the settings.
pub fn lean() -> Value {
    json!({
        "teamId": "acid",
        "numberOfInstances": 2,
        "postgresql": {"version": "16"},
        "volume": {"size": "1Gi"},
        "users": {"zalando": ["createdb"], "flipped": [], "elsewhere.flipped": []},
        "databases": {"foo": "zalando"},
        "preparedDatabases": {"bar": {"defaultUsers": true}},
        "sidecars": [{"name": "exporter", "image": "exporter:1"}],
        "connectionPooler": {},
        "enableReplicaConnectionPooler": true,
        "enableLogicalBackup": true,
        "clone": {"cluster": "acid-source", "timestamp": "2025-01-01T00:00:00+00:00"},
    })
}

/// What the settings point to, as if it had been read.
pub fn references(settings: &Settings) -> References {
    let known = |used: bool| used.then_some(());
    References {
        environment_secret: known(!settings.pod_environment_secret.is_empty())
            .map(|()| Reference::Known(vec!["FROM_SECRET".to_owned()])),
        environment_config_map: known(!settings.pod_environment_configmap.is_empty())
            .map(|()| Reference::Known(BTreeMap::from([("FROM_MAP".to_owned(), "1".to_owned())]))),
        infrastructure_roles: known(uses_infrastructure_roles(settings))
            .map(|()| Reference::Known(vec![infrastructure_role()])),
        humans: known(settings.enable_teams_api || settings.enable_postgres_team_crd)
            .map(|()| Reference::Known(humans("acid", &teams(), &members(settings), settings))),
        ..References::default()
    }
}

fn uses_infrastructure_roles(settings: &Settings) -> bool {
    !settings.infrastructure_roles_secret_name.is_empty() || settings.infrastructure_roles_secrets.is_some()
}

fn infrastructure_role() -> InfrastructureRole {
    InfrastructureRole {
        name: "infrastructure".to_owned(),
        password: Some(SecretKey {
            namespace: "default".to_owned(),
            name: "roles".to_owned(),
            key: "password".to_owned(),
        }),
        ..InfrastructureRole::default()
    }
}

fn teams() -> Teams {
    let team = serde_json::from_value(json!({
        "additionalSuperuserTeams": {"acid": ["admins"]},
        "additionalTeams": {"acid": ["helpers"]},
        "additionalMembers": {"acid": ["added"], "helpers": ["helper"], "admins": ["boss"]},
    }));
    Teams::merge([&team.unwrap()])
}

fn members(settings: &Settings) -> BTreeMap<String, Vec<String>> {
    let all = [("acid", "member"), ("flipped", "somebody"), ("postgres_superusers", "root")];
    if !settings.enable_teams_api {
        return BTreeMap::new();
    }
    all.map(|(team, member)| (team.to_owned(), vec![member.to_owned()])).into()
}

/// What was seen: nothing runs yet.
pub fn facts() -> Facts {
    Facts::default()
}
