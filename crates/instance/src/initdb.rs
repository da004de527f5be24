//! Options of `initdb`, from the contract's defaults and the user's list.

use serde_json::{Value, json};

use crate::environment::Environment;

/// Options of `initdb` that take no value.
const FLAGS: &[&str] = &[
    "allow-group-access",
    "data-checksums",
    "debug",
    "discard-caches",
    "no-clean",
    "no-data-checksums",
    "no-instructions",
    "no-locale",
    "no-sync",
    "noclean",
    "nosync",
    "sync-only",
];

/// The list that Patroni gets. The user's list replaces the default one, except that encoding, locale and
/// checksums stay as they are unless the user's list speaks of them: the operator always sends a list, and a
/// database in the wrong encoding or without checksums cannot be put right later.
#[must_use]
pub fn options(env: &Environment, user: Option<&Vec<Value>>) -> Vec<Value> {
    let mut options: Vec<Value> = user.into_iter().flatten().filter_map(normalised).collect();
    let names: Vec<String> = options.iter().filter_map(name).collect();
    let speaks_of = |words: &[&str]| names.iter().any(|name| words.contains(&name.as_str()));
    if !speaks_of(&["encoding", "no-locale"]) {
        options.push(json!({"encoding": "UTF8"}));
    }
    if !speaks_of(&["locale", "no-locale", "lc-collate", "lc-ctype", "locale-provider", "builtin-locale"]) {
        options.push(json!({"locale": format!("{}.UTF-8", env.or("INITDB_LOCALE", "en_US"))}));
    }
    if !speaks_of(&["data-checksums", "no-data-checksums"]) {
        options.push(json!("data-checksums"));
    }
    options
}

/// A flag may come as `{"data-checksums": "true"}`: as a bare word it works, with a value initdb fails.
fn normalised(option: &Value) -> Option<Value> {
    let Some((key, value)) = option.as_object().and_then(|map| map.iter().next()) else {
        return Some(option.clone());
    };
    if !FLAGS.contains(&key.as_str()) {
        return Some(option.clone());
    }
    let off =
        *value == json!(false) || value.as_str().is_some_and(|text| ["false", "off", "no"].contains(&text));
    // Switching the checksums off has an option of its own; any other flag that is off is just not there.
    match (key.as_str(), off) {
        ("data-checksums", true) => Some(json!("no-data-checksums")),
        (_, true) => None,
        (flag, false) => Some(json!(flag)),
    }
}

fn name(option: &Value) -> Option<String> {
    match option {
        Value::String(flag) => Some(flag.clone()),
        Value::Object(map) => map.keys().next().cloned(),
        _ => None,
    }
}
