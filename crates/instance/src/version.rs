//! Which of the installed major versions runs.

use serde_json::Value;

use crate::environment::Environment;
use crate::machine::{Machine, bin_dir};
use crate::refusal::Refusal;

/// The major version to run. Data that is there decides, whatever is asked: new binaries on old data would not
/// start, and the upgrade is a step of its own. Then the configuration's `bin_dir`, `PGVERSION`, the newest.
///
/// # Errors
/// When the version that is needed is not in the image.
pub fn chosen(env: &Environment, user: &Value, machine: &Machine) -> Result<u32, Refusal> {
    let (asked_by, major) = if let Some(major) = machine.data_major {
        ("PG_VERSION of the data directory", Some(major))
    } else if let Some(text) = user.pointer("/postgresql/bin_dir").and_then(Value::as_str) {
        (
            "SPILO_CONFIGURATION.postgresql.bin_dir",
            machine.majors.keys().copied().find(|major| bin_dir(*major) == text.trim_end_matches('/')),
        )
    } else if let Some(text) = env.get("PGVERSION") {
        ("PGVERSION", text.parse().ok())
    } else {
        ("PGVERSION", machine.majors.keys().next_back().copied())
    };
    major
        .filter(|major| machine.majors.contains_key(major))
        .ok_or_else(|| absent(asked_by, env, user, machine))
}

fn absent(asked_by: &str, env: &Environment, user: &Value, machine: &Machine) -> Refusal {
    let wanted = match (asked_by, machine.data_major) {
        ("PGVERSION", _) => env.or("PGVERSION", "a version").to_owned(),
        (_, Some(major)) => major.to_string(),
        _ => user.pointer("/postgresql/bin_dir").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    let there: Vec<String> = machine.majors.keys().map(u32::to_string).collect();
    Refusal {
        asked_by: asked_by.to_owned(),
        asked: format!("asks for PostgreSQL {wanted}, and this image has {}", there.join(", ")),
        cure:
            "Set spec.postgresql.version to one of these, or use an image that has the version (docker_image)"
                .to_owned(),
    }
}
