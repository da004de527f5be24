//! The programs that go into the images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// Compiles one package in the development profile and returns its program, debug information included.
pub fn build(root: &Path, package: &str) -> Result<PathBuf> {
    let [program] = build_all(root, [package], &[])?;
    Ok(program)
}

/// Compiles packages together, so that what they share is compiled once; `more` are arguments for
/// cargo.
pub fn build_all<const N: usize>(root: &Path, packages: [&str; N], more: &[&str]) -> Result<[PathBuf; N]> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = shell::command(cargo, ["build", "--message-format=json-render-diagnostics"]);
    for package in packages {
        command.args(["-p", package]);
    }
    shell::without_cargos_own(&mut command).args(more).current_dir(root);
    let messages = shell::output(&mut command).with_context(|| {
        format!("cannot compile {}: fix the errors and run this again", packages.join(" and "))
    })?;
    let mut programs = [const { PathBuf::new() }; N];
    for (program, package) in programs.iter_mut().zip(packages) {
        *program =
            executable(&messages, package).with_context(|| format!("cargo built no program {package}"))?;
    }
    Ok(programs)
}

/// The path of a program in cargo's messages, one JSON object per line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name && message["target"]["kind"][0] == "bin")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"matriarch","kind":["lib"]},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"matriarch","kind":["bin"]},"executable":"/t/debug/matriarch"}"#,
        );
        assert_eq!(executable(messages, "matriarch"), Some(PathBuf::from("/t/debug/matriarch")));
        assert_eq!(executable(messages, "other"), None);
    }
}
