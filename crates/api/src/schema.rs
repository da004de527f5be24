//! Schema pieces that the derive cannot express.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A piece of a Kubernetes object that we pass on untouched: any object, every field kept.
pub(crate) fn fragment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "nullable": true,
    })
}

/// A list of such pieces.
pub(crate) fn fragments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "nullable": true,
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// Role name → flags. A null value means "no flags": it is nullable, because the API server drops
/// null values that are not, and with them the role.
pub(crate) fn users(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "additionalProperties": {
            "type": "array",
            "nullable": true,
            "items": { "type": "string" },
        },
    })
}

/// The PostgreSQL major versions that some release of the contract accepted.
pub(crate) fn major_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["13", "14", "15", "16", "17", "18"] })
}
