//! Schema pieces that the derive cannot express.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A piece of a Kubernetes object that we pass on untouched: any object, every field kept.
pub(crate) fn fragment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A list of such pieces.
pub(crate) fn fragments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}
