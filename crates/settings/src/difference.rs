//! What differs between two settings.

use std::fmt;

use serde_json::Value;

use crate::allowed::Allowed;
use crate::effect::{self, Effect};
use crate::table::Opt;

/// Longest value in a line; the rest is cut.
const LONGEST_VALUE: usize = 120;

/// One option that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDifference {
    /// Path of the option below `configuration`; in a ConfigMap its last part is the key.
    pub path: String,
    /// Key of the option.
    pub key: &'static str,
    /// The value before, as text; three stars for a secret one.
    pub from: String,
    /// The value after.
    pub to: String,
    /// What the change touches.
    pub effects: &'static [Effect],
}

impl SettingDifference {
    pub(crate) fn new(option: &Opt, from: &Value, to: &Value) -> Self {
        let show = |value| if option.allowed == Allowed::Confidential { hidden(value) } else { shown(value) };
        Self { path: option.path(), key: option.key, from: show(from), to: show(to), effects: option.effects }
    }
}

impl fmt::Display for SettingDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {} ({})", self.key, self.from, self.to, effect::line(self.effects))
    }
}

fn hidden(value: &Value) -> String {
    if value.as_str() == Some("") { shown(value) } else { "***".to_owned() }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "(nothing)".to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST_VALUE {
        return text;
    }
    text.chars().take(LONGEST_VALUE).chain(['…']).collect()
}
