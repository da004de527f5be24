//! The custom resource definitions.

use kube_core::CustomResourceExt;
use serde_json::{Value, json};

use crate::rules;
use crate::spec::Postgresql;
use crate::team::PostgresTeam;

/// API group of the three kinds.
pub const API_GROUP: &str = "acid.zalan.do";
/// `apiVersion` of their objects.
pub const API_VERSION: &str = "acid.zalan.do/v1";
/// Kind of a cluster, all lower case on the wire.
pub const KIND: &str = "postgresql";

/// The definitions of `postgresql` and `PostgresTeam`, ready to be applied. That of
/// `OperatorConfiguration` is made where the table of options is.
pub fn crds() -> Vec<Value> {
    vec![crd_postgresql(), postgres_team()]
}

/// The definition of `postgresql`.
pub fn crd_postgresql() -> Value {
    let mut crd = finished(serde_json::to_value(Postgresql::crd()).unwrap_or_default());
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    // A test makes sure that every rule finds its place.
    let _ = spec.map(rules::apply);
    crd
}

fn postgres_team() -> Value {
    finished(serde_json::to_value(PostgresTeam::crd()).unwrap_or_default())
}

/// Adds what they share: the label, the list kind, the `status` subresource. Takes out
/// defaults, because the API server would write them into every object, and `nullable`, because
/// null means absent: where it is taken for a value a rule says so.
fn finished(mut crd: Value) -> Value {
    for keyword in ["default", "nullable"] {
        without(&mut crd["spec"]["versions"][0]["schema"], keyword);
    }
    crd["metadata"]["labels"] = json!({"app.kubernetes.io/name": "postgres-operator"});
    let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
    crd["spec"]["names"]["listKind"] = json!(format!("{kind}List"));
    let version = &mut crd["spec"]["versions"][0];
    if version["subresources"].get("status").is_none() {
        version["subresources"]["status"] = json!({});
    }
    crd
}

/// Takes `keyword` out of a schema and all schemas in it, but not out of properties of that name.
fn without(schema: &mut Value, keyword: &str) {
    let Some(map) = schema.as_object_mut() else { return };
    map.remove(keyword);
    for (key, inner) in map.iter_mut() {
        match (key.as_str(), inner) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(|property| without(property, keyword));
            }
            (_, inner) => without(inner, keyword),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec_schema() -> Value {
        crd_postgresql()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
    }

    #[test]
    fn names_are_those_of_the_contract() {
        let names: Vec<_> = crds()
            .iter()
            .map(|crd| {
                let n = &crd["spec"]["names"];
                format!(
                    "{} {} {} {} {} {}",
                    crd["metadata"]["name"].as_str().unwrap(),
                    n["kind"].as_str().unwrap(),
                    n["listKind"].as_str().unwrap(),
                    n["singular"].as_str().unwrap(),
                    n["shortNames"][0].as_str().unwrap(),
                    n["categories"][0].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                "postgresqls.acid.zalan.do postgresql postgresqlList postgresql pg all",
                "postgresteams.acid.zalan.do PostgresTeam PostgresTeamList postgresteam pgteam all",
            ]
        );
    }

    #[test]
    fn columns_are_in_the_order_of_the_contract() {
        let crd = crd_postgresql();
        let columns: Vec<_> = crd["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| {
                format!(
                    "{} {} {}",
                    c["name"].as_str().unwrap(),
                    c["type"].as_str().unwrap(),
                    c["jsonPath"].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(
            columns,
            [
                "Team string .spec.teamId",
                "Version string .spec.postgresql.version",
                "Pods integer .spec.numberOfInstances",
                "Volume string .spec.volume.size",
                "CPU-Request string .spec.resources.requests.cpu",
                "Memory-Request string .spec.resources.requests.memory",
                "Age date .metadata.creationTimestamp",
                "Status string .status.PostgresClusterStatus",
            ]
        );
    }

    #[test]
    fn null_users_survive_the_api_server() {
        assert_eq!(spec_schema()["properties"]["users"]["additionalProperties"]["nullable"], json!(true));
    }

    #[test]
    fn the_same_four_fields_are_required() {
        let mut required: Vec<String> = serde_json::from_value(spec_schema()["required"].clone()).unwrap();
        required.sort();
        assert_eq!(required, ["numberOfInstances", "postgresql", "teamId", "volume"]);
    }

    #[test]
    fn no_default_is_written_into_objects() {
        assert!(!serde_json::to_string(&crds()).unwrap().contains("\"default\":"));
    }

    #[test]
    fn every_rule_finds_its_place() {
        let mut schema = finished(serde_json::to_value(Postgresql::crd()).unwrap());
        let spec = schema.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
        assert_eq!(rules::apply(spec), Ok(()));
    }

    /// Unknown fields are removed as with the original, except in pieces of Kubernetes objects.
    #[test]
    fn only_fragments_keep_unknown_fields() {
        fn keeping(schema: &Value, path: &str, into: &mut Vec<String>) {
            if schema["x-kubernetes-preserve-unknown-fields"] == json!(true) {
                into.push(path.to_owned());
                return;
            }
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                keeping(property, &format!("{path}.{name}"), into);
            }
            for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
                if schema.get(key).is_some() {
                    keeping(&schema[key], &format!("{path}{suffix}"), into);
                }
            }
        }
        let mut found = Vec::new();
        keeping(&spec_schema(), "", &mut found);
        assert_eq!(
            found,
            [
                ".additionalVolumes[].volumeSource",
                ".env[]",
                ".envFrom[]",
                ".initContainers[]",
                ".init_containers[]",
                ".livenessProbe",
                ".nodeAffinity",
                ".sidecars[].env[]",
                ".sidecars[].ports[]",
                ".tolerations[]",
                ".topologySpreadConstraints[]",
                ".volume.selector",
            ]
        );
    }
}
