//! The definition of `OperatorConfiguration`, made from the table of options.

use serde_json::{Map, Value, json};

use crate::table::{OPTIONS, Opt, Sources};

/// The definition, ready to be applied. It has no defaults: the API server would write them into
/// every object. Unknown fields are kept, so that a misspelt key can be named.
pub fn crd_operator_configuration() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "operatorconfigurations.acid.zalan.do",
            "labels": {"app.kubernetes.io/name": "postgres-operator"},
        },
        "spec": {
            "group": matriarch_api::API_GROUP,
            "names": {
                "kind": "OperatorConfiguration",
                "listKind": "OperatorConfigurationList",
                "plural": "operatorconfigurations",
                "singular": "operatorconfiguration",
                "shortNames": ["opconfig"],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns(),
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["configuration"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "configuration": configuration(),
                        "status": status(),
                    },
                }},
            }],
        },
    })
}

fn columns() -> Value {
    json!([
        {"name": "Image", "type": "string", "jsonPath": ".configuration.docker_image",
         "description": "Image of database pods"},
        {"name": "Cluster-Label", "type": "string", "jsonPath": ".configuration.kubernetes.cluster_name_label",
         "description": "Label that names the cluster of an object"},
        {"name": "Service-Account", "type": "string",
         "jsonPath": ".configuration.kubernetes.pod_service_account_name",
         "description": "Service account of database pods"},
        {"name": "Min-Instances", "type": "integer", "jsonPath": ".configuration.min_instances",
         "description": "Smallest number of pods of a cluster"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ])
}

/// All groups with their options.
fn configuration() -> Value {
    let mut root = Map::new();
    for option in OPTIONS.iter().filter(|option| option.sources != Sources::ConfigMap) {
        if option.group.is_empty() {
            root.insert(option.key.to_owned(), schema(option));
            continue;
        }
        let group = root.entry(option.group.to_owned()).or_insert_with(|| open(json!({})));
        group["properties"][option.key] = schema(option);
    }
    open(Value::Object(root))
}

/// An object with these fields and any others.
fn open(properties: Value) -> Value {
    json!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": properties,
    })
}

fn schema(option: &Opt) -> Value {
    let mut schema = (option.schema)();
    option.allowed.narrow(&mut schema);
    if schema.get("type").is_some() {
        schema["nullable"] = json!(true);
        // An enumeration must name null to allow it.
        if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            words.push(Value::Null);
        }
    }
    schema["description"] = json!(option.doc);
    schema
}

/// What the operator says about the configuration.
fn status() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status"],
                    "properties": {
                        "type": text, "status": text, "reason": text, "message": text,
                        "lastTransitionTime": text,
                        "observedGeneration": {"type": "integer", "format": "int64"},
                    },
                },
            },
        },
    })
}
