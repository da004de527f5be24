//! The reference page of the manifest's fields, made from the definition that clusters get.
//! `UPDATE_GOLDEN=1` writes it anew.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::Path;

use matriarch_api::crd_postgresql;
use serde_json::Value;

const HEAD: &str = "\
# Fields of a manifest

Made from the definition of `postgresql`, which `matriarch crds` prints and the API server knows; a
test keeps this page up to date. What a change of each field changes is in
[Coverage](coverage.md). `[]` stands for each entry of a list, `{}` for each entry of a map. Absent
and `null` mean the same for every field that may be left out.

*Taken as it is* means that the object is Kubernetes' own: all of its fields are accepted and handed
on.

";

/// Longer lists of words, and patterns, are told by the API server when they are not kept.
const MOST_WORDS: usize = 8;

#[test]
fn the_page_of_the_manifest_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/manifest.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == page, "docs/reference/manifest.md is out of date: run with UPDATE_GOLDEN=1");
}

#[test]
fn every_field_of_the_manifest_is_described() {
    let undescribed = fields().into_iter().filter(|(_, schema, _)| schema["description"].is_null());
    let missing: Vec<String> = undescribed.map(|(field, _, _)| field).collect();
    assert_eq!(missing, Vec::<String>::new());
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| Field below `spec` | Value | What it is |\n|---|---|---|\n");
    for (field, schema, is_required) in fields() {
        let what = schema["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let must = if is_required { ", required" } else { "" };
        page.push_str(&format!("| `{field}` | {}{must} | {what} |\n", value(&schema)));
    }
    page
}

fn spec() -> Value {
    crd_postgresql()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// Every field below `spec`, in the order of their names, each before those inside it.
fn fields() -> Vec<(String, Value, bool)> {
    let mut found = Vec::new();
    below("", &spec(), &mut found);
    found
}

fn below(path: &str, schema: &Value, found: &mut Vec<(String, Value, bool)>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let required = schema["required"].as_array();
        let is_required = required.is_some_and(|required| required.iter().any(|other| other == name));
        found.push((field.clone(), inner.clone(), is_required));
        below(&field, inner, found);
    }
    for (part, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        // What Kubernetes defines is not told again.
        if schema[part].is_object() && schema[part]["x-kubernetes-preserve-unknown-fields"] != true {
            below(&format!("{path}{sign}"), &schema[part], found);
        }
    }
}

/// What may stand there.
fn value(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array().filter(|words| words.len() <= MOST_WORDS) {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", text(word))).collect();
        return words.join(", ");
    }
    let own = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let bounds = match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, Value::Null) => String::new(),
        (least, Value::Null) => format!(", at least {least}"),
        (Value::Null, most) => format!(", at most {most}"),
        (least, most) => format!(", {least} to {most}"),
    };
    match schema["type"].as_str() {
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => format!("a whole number{bounds}"),
        Some("string") => "text".to_owned(),
        Some("array") if schema["items"]["x-kubernetes-preserve-unknown-fields"] == true => {
            "a list, taken as it is".to_owned()
        }
        Some("array") if schema["items"]["type"] == "string" => "a list of text".to_owned(),
        Some("array") => "a list".to_owned(),
        Some("object") if schema["additionalProperties"]["type"] == "string" => "a map to text".to_owned(),
        Some("object") if schema["additionalProperties"].is_object() => "a map".to_owned(),
        Some("object") if own => "taken as it is".to_owned(),
        Some("object") => "fields".to_owned(),
        _ => "a number or text".to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
