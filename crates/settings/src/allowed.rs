//! Which values an option may have beyond its kind, and what is said about the others.
//!
//! What would stop or damage every cluster is an error, and settings with an error are refused.
//! What existing configurations may hold without harm is a warning.

use serde_json::Value;

use crate::name;

/// Range of 32 bits.
pub(crate) const I32: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);
/// Largest unsigned number of 32 bits.
pub(crate) const U32: i64 = u32::MAX as i64;

/// CPU quantities as the definition of the contract knows them.
const CPU: &str = r"^(\d+m|\d+(\.\d{1,3})?)$";
/// Memory quantities, likewise.
const MEMORY: &str = r"^(\d+(e\d+)?|\d+(\.\d+)?(e\d+)?[EPTGMK]i?)$";
/// Any quantity that Kubernetes takes.
const QUANTITY: &str = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+|[numkKMGTPE]|[KMGTPE]i)?$";
/// Maintenance windows.
const WINDOW: &str = r"^ *((Mon|Tue|Wed|Thu|Fri|Sat|Sun):)?(2[0-3]|[01]?\d):[0-5]?\d-((Mon|Tue|Wed|Thu|Fri|Sat|Sun):)?(2[0-3]|[01]?\d):[0-5]?\d *$";
/// Schedules as the definition of the contract knows them.
const PLAIN_SCHEDULE: &str = r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$";
/// Schedules that a CronJob takes.
const SCHEDULE: &str = r"^\s*(@(yearly|annually|monthly|weekly|daily|midnight|hourly|every .+)|((TZ|CRON_TZ)=\S+\s+)?[\d*,/?A-Za-z-]+(\s+[\d*,/?A-Za-z-]+){4})\s*$";
/// Names of namespaces.
const NAMESPACE: &str = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$";
/// Label keys.
const LABEL_KEY: &str = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// Label values.
const LABEL_VALUE: &str = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";

/// Which values are allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowed {
    /// Everything of the kind.
    Anything,
    /// As [`Self::Anything`], and never shown.
    Confidential,
    /// Any text but none.
    Filled,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of these; anything else means the one that follows them.
    Known(&'static [&'static str], &'static str),
    /// As [`Self::Known`], but the text is kept: rendering as the original did needs it.
    Advised(&'static [&'static str], &'static str),
    /// Whole numbers from the first to the second.
    Numbers(i64, i64),
    /// A duration longer than zero.
    Positive,
    /// A CPU quantity, or none: empty, `0`, `null`.
    Cpu,
    /// A memory quantity, or none.
    Memory,
    /// A PostgreSQL major version.
    MajorVersion,
    /// `name` or `namespace/name`.
    NamespacedName,
    /// A namespace, several with commas, or `*`.
    Namespaces,
    /// A template of a Kubernetes name with these placeholders, the first ones needed.
    NameTemplate(&'static [&'static str]),
    /// A template of DNS names with these placeholders.
    DnsTemplate(&'static [&'static str]),
    /// A Kubernetes object of this kind and version, as JSON or YAML.
    Document(&'static str, &'static str),
    /// Regular expressions.
    Expressions,
    /// Maintenance windows.
    Windows,
    /// A schedule of a CronJob.
    Schedule,
    /// Labels of objects or nodes.
    Labels,
    /// The key of a label.
    LabelKey,
    /// Keys `key`, `operator`, `value`, `effect`.
    Toleration,
    /// Keys `when_deleted`, `when_scaled` with `retain` or `delete`.
    Retention,
    /// A list of containers with name and image.
    Containers,
    /// Sources of infrastructure roles.
    RoleSources,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Objection {
    /// Settings with it are refused.
    pub(crate) is_error: bool,
    /// What is wrong, with the value.
    pub(crate) message: String,
    /// What to do.
    pub(crate) cure: String,
    /// What the value is taken for instead.
    pub(crate) taken_for: Option<&'static str>,
}

fn error(message: impl Into<String>, cure: impl Into<String>) -> Objection {
    Objection { is_error: true, message: message.into(), cure: cure.into(), taken_for: None }
}

fn warning(message: impl Into<String>, cure: impl Into<String>) -> Objection {
    Objection { is_error: false, ..error(message, cure) }
}

fn matches(pattern: &str, text: &str) -> bool {
    // The patterns are ours; a test reads each.
    regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

impl Allowed {
    /// A port.
    pub(crate) const PORT: Self = Self::Numbers(1, 65_535);

    /// What is wrong with `value`, which has the kind of its option.
    pub(crate) fn check(self, value: &Value) -> Vec<Objection> {
        match self {
            Self::Anything | Self::Confidential => Vec::new(),
            Self::NameTemplate(known) => name_template(text(value), known),
            Self::Expressions => texts(value).filter_map(expression).collect(),
            Self::Windows => texts(value).filter_map(window).collect(),
            Self::Labels => labels(value),
            Self::Toleration => toleration(value),
            Self::Retention => retention(value),
            Self::Containers => containers(value),
            Self::RoleSources => role_sources(value),
            _ => self.check_scalar(value).into_iter().collect(),
        }
    }

    fn check_scalar(self, value: &Value) -> Option<Objection> {
        let text = text(value);
        match self {
            Self::Filled if text.is_empty() => Some(error("is empty", "give it a value, or leave it out")),
            Self::OneOf(words) if !words.contains(&text) => {
                let cure = format!("write one of {}", words.join(", "));
                Some(error(format!("{text:?} is not known"), cure))
            }
            Self::Known(words, otherwise) if !words.contains(&text) => {
                let cure = format!("it is taken for {otherwise:?}: write one of {}", words.join(", "));
                let known = warning(format!("{text:?} is not known"), cure);
                Some(Objection { taken_for: Some(otherwise), ..known })
            }
            Self::Advised(words, meaning) if !text.is_empty() && !words.contains(&text) => {
                let cure = format!("new clusters take it for {meaning:?}: write one of {}", words.join(", "));
                Some(warning(format!("{text:?} is not known"), cure))
            }
            Self::Numbers(least, most) => number(value, least, most),
            Self::Positive if text.starts_with('0') => {
                Some(error("is zero", "write a duration longer than zero, such as 30m"))
            }
            Self::Cpu => quantity(text, "500m or 1.5"),
            Self::Memory => quantity(text, "500Mi or 2Gi"),
            Self::MajorVersion if text.parse::<u32>().is_err() => {
                Some(warning(format!("{text:?} is not a major version and counts as 0"), "write 14 or newer"))
            }
            Self::NamespacedName if !text.is_empty() && name::namespaced_name(text, "x").is_none() => {
                Some(error(format!("{text:?} has no name"), "write name or namespace/name"))
            }
            Self::Namespaces => namespaces(text),
            Self::DnsTemplate(known) => dns_template(text, known),
            Self::Document(kind, version) => document(text, kind, version),
            Self::Schedule if !matches(SCHEDULE, text) => {
                Some(error(format!("{text:?} is not a schedule"), "write five fields, such as 30 00 * * *"))
            }
            Self::LabelKey if !matches(LABEL_KEY, text) => {
                let cure = "write letters, digits, dashes, underscores and dots, at most 63 of them";
                Some(error(format!("{text:?} is not the key of a label"), cure))
            }
            _ => None,
        }
    }

    /// What the schema of a value says beyond its kind: nothing that refuses what the definition
    /// of the contract accepts.
    pub(crate) fn narrow(self, schema: &mut Value) {
        match self {
            Self::OneOf(words) | Self::Known(words, _) | Self::Advised(words, _) => {
                schema["enum"] = serde_json::json!(words)
            }
            Self::Numbers(least, most) => {
                // The contract's own minima: a zero there means the default.
                let least = if self == Self::PORT { 0 } else { least.max(-1) };
                schema["minimum"] = serde_json::json!(least);
                if most <= I32.1 {
                    schema["format"] = serde_json::json!("int32");
                }
            }
            Self::Cpu => schema["pattern"] = Value::from(format!("{CPU}|^$")),
            Self::Memory => schema["pattern"] = Value::from(format!("{MEMORY}|^$")),
            Self::Windows => schema["items"]["pattern"] = Value::from(WINDOW),
            Self::Schedule => schema["pattern"] = Value::from(format!("{PLAIN_SCHEDULE}|{SCHEDULE}")),
            Self::RoleSources => {
                let word = serde_json::json!({"type": "string"});
                let mut properties = serde_json::json!({"template": {"type": "boolean"}});
                for key in ROLE_SOURCE_KEYS {
                    properties[key] = word.clone();
                }
                *schema = serde_json::json!({
                    "type": "array",
                    "items": {"type": "object", "properties": properties},
                });
            }
            _ => {}
        }
    }

    /// The allowed values in words; empty where the kind says it all.
    pub(crate) fn words(self) -> String {
        match self {
            Self::OneOf(words) | Self::Known(words, _) | Self::Advised(words, _) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Self::Numbers(least, _) if least > I32.0 => format!("a whole number, {least} or more"),
            Self::Cpu => "a CPU quantity, `500m`".to_owned(),
            Self::Memory => "a memory quantity, `500Mi`".to_owned(),
            Self::MajorVersion => "a major version".to_owned(),
            Self::NamespacedName => "`name` or `namespace/name`".to_owned(),
            Self::Namespaces => "a namespace, several with commas, or `*`".to_owned(),
            Self::NameTemplate(known) | Self::DnsTemplate(known) => {
                let known: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
                format!("text with {}", known.join(", "))
            }
            Self::Document(kind, _) => format!("a {kind} as JSON or YAML"),
            Self::Expressions => "a list of regular expressions".to_owned(),
            Self::Windows => "a list of `01:00-06:00` or `Sat:01:00-06:00`".to_owned(),
            Self::Schedule => "a schedule of cron".to_owned(),
            Self::Toleration => "a map with `key`, `operator`, `value`, `effect`".to_owned(),
            Self::Retention => "a map with `when_deleted`, `when_scaled`".to_owned(),
            Self::Containers => "a list of containers; JSON or YAML in a ConfigMap".to_owned(),
            Self::RoleSources => "a list of sources; one, as a map, in a ConfigMap".to_owned(),
            _ => String::new(),
        }
    }
}

/// Keys of a source of infrastructure roles.
pub(crate) const ROLE_SOURCE_KEYS: [&str; 7] =
    ["secretname", "userkey", "passwordkey", "rolekey", "defaultuservalue", "defaultrolevalue", "details"];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn pairs(value: &Value) -> impl Iterator<Item = (&str, &str)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), text(value)))
}

fn number(value: &Value, least: i64, most: i64) -> Option<Objection> {
    let number = value.as_i64()?;
    if (least..=most).contains(&number) {
        return None;
    }
    Some(error(format!("{number} is out of range"), format!("write a number from {least} to {most}")))
}

fn quantity(text: &str, example: &str) -> Option<Objection> {
    if text.is_empty() || text == "null" || matches(QUANTITY, text) {
        return None;
    }
    let cure = format!("write a quantity such as {example}, or nothing");
    Some(error(format!("{text:?} is not a quantity: no StatefulSet could be made"), cure))
}

fn namespaces(text: &str) -> Option<Objection> {
    if text.is_empty() || text == "*" {
        return None;
    }
    let wrong = text.split(',').map(str::trim).find(|name| !matches(NAMESPACE, name))?;
    Some(error(
        format!("{wrong:?} is not the name of a namespace"),
        "write a namespace, several with commas, or *",
    ))
}

fn name_template(template: &str, known: &'static [&'static str]) -> Vec<Objection> {
    let mut found = Vec::new();
    for placeholder in name::unknown_placeholders(template, known) {
        let message = format!("{placeholder} is not replaced, and no name can hold braces");
        found.push(error(message, format!("use {}", known.join(", "))));
    }
    let lacks = |placeholder| known.contains(&placeholder) && !template.contains(placeholder);
    if template.is_empty() {
        found.push(error("is empty: objects need a name", "leave it out, or write a template"));
    } else if lacks("{username}") {
        let message = format!("{template:?} has no {{username}}: all users of a cluster share a Secret");
        found.push(error(message, "add {username}"));
    } else if lacks("{cluster}") {
        let message = format!("{template:?} has no {{cluster}}: clusters of a namespace share these objects");
        found.push(warning(message, "add {cluster}"));
    }
    found
}

fn dns_template(template: &str, known: &[&str]) -> Option<Objection> {
    let unknown = name::unknown_placeholders(template, known);
    let placeholder = unknown.first()?;
    Some(warning(format!("{placeholder} is not replaced"), format!("use {}", known.join(", "))))
}

fn document(text: &str, kind: &str, version: &str) -> Option<Objection> {
    if text.trim().is_empty() {
        return None;
    }
    let cure = format!("write one {kind} of {version} as JSON or YAML, or nothing");
    match serde_saphyr::from_str::<Value>(text) {
        Err(why) => {
            let why = why.to_string();
            let first = why.lines().next().unwrap_or_default();
            Some(error(format!("cannot be read: {first}"), cure))
        }
        Ok(object) if object["kind"] != kind || object["apiVersion"] != version => {
            Some(error(format!("is a {} of {}", object["kind"], object["apiVersion"]), cure))
        }
        Ok(_) => None,
    }
}

fn expression(text: &str) -> Option<Objection> {
    regex::Regex::new(text).err()?;
    let message = format!("{text:?} is not a regular expression: no annotation would be handed on");
    Some(error(message, "correct the expression"))
}

fn window(text: &str) -> Option<Objection> {
    let minutes = |time: &str| -> Option<u32> {
        let mut parts = time.rsplitn(3, ':');
        let minute: u32 = parts.next()?.trim().parse().ok()?;
        Some(parts.next()?.trim().parse::<u32>().ok()? * 60 + minute)
    };
    let cure = "it is passed over: write Sat:01:00-06:00 or 01:00-06:00, and two windows around midnight";
    if !matches(WINDOW, text) {
        return Some(warning(format!("{text:?} is not a window"), cure));
    }
    let (start, end) = text.split_once('-')?;
    (minutes(end) < minutes(start)).then(|| warning(format!("{text:?} ends before it starts"), cure))
}

fn labels(value: &Value) -> Vec<Objection> {
    let mut found = Vec::new();
    for (key, value) in pairs(value) {
        if !matches(LABEL_KEY, key) || !matches(LABEL_VALUE, value) {
            let message = format!("{key}:{value} is not a label");
            found.push(error(message, "write letters, digits, dashes, underscores and dots, at most 63"));
        }
    }
    found
}

fn toleration(value: &Value) -> Vec<Objection> {
    const KEYS: [&str; 4] = ["key", "operator", "value", "effect"];
    let unknown = pairs(value).filter(|(key, _)| !KEYS.contains(key));
    unknown
        .map(|(key, _)| {
            warning(format!("{key:?} is not part of a toleration"), format!("use {}", KEYS.join(", ")))
        })
        .collect()
}

fn retention(value: &Value) -> Vec<Objection> {
    let fine = |key: &str, value: &str| {
        matches!(key, "when_deleted" | "when_scaled") && matches!(value, "retain" | "delete")
    };
    let wrong = pairs(value).filter(|(key, value)| !fine(key, value));
    wrong
        .map(|(key, value)| {
            let cure = "claims are retained: write when_deleted and when_scaled, each retain or delete";
            warning(format!("{key}:{value} is not known"), cure)
        })
        .collect()
}

fn containers(value: &Value) -> Vec<Objection> {
    let cure = "write a list of containers, each with name and image";
    match value {
        Value::Null => Vec::new(),
        Value::Object(map) if map.is_empty() => Vec::new(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .filter(|(_, one)| text(&one["name"]).is_empty() || text(&one["image"]).is_empty())
            .map(|(index, _)| error(format!("container {index} has no name or no image"), cure))
            .collect(),
        other => vec![error(format!("{other} is not a list"), cure)],
    }
}

fn role_sources(value: &Value) -> Vec<Objection> {
    let cure = "write a list of sources, each with secretname, userkey and passwordkey";
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().enumerate().filter_map(|(i, one)| role_source(i, one)).collect(),
        other => vec![error(format!("{other} is not a list"), cure)],
    }
}

/// Why a source of infrastructure roles is of no use; the others are used all the same.
fn role_source(index: usize, source: &Value) -> Option<Objection> {
    let has = |key: &str| !text(&source[key]).is_empty();
    let missing = if !has("secretname") {
        "secretname"
    } else if !has("passwordkey") {
        "passwordkey"
    } else if !has("userkey") && !has("defaultuservalue") {
        "userkey"
    } else {
        return None;
    };
    Some(warning(format!("source {index} has no {missing} and is passed over"), format!("add {missing}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_can_be_read() {
        for pattern in [
            CPU,
            MEMORY,
            QUANTITY,
            WINDOW,
            PLAIN_SCHEDULE,
            SCHEDULE,
            NAMESPACE,
            LABEL_KEY,
            LABEL_VALUE,
            crate::number::DURATION,
        ] {
            assert!(regex::Regex::new(pattern).is_ok(), "{pattern}");
        }
    }
}
