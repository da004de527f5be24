//! Running other programs: every failure names the command and its last words.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// A command with its arguments.
pub fn command<I, S>(program: impl AsRef<OsStr>, arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs to the end and returns the standard output.
pub fn output(command: &mut Command) -> Result<String> {
    command.stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot run {}", describe(command)))?;
    printed(command, &output)
}

/// Runs a line of words; for words without spaces only.
pub fn line(words: &str) -> Result<String> {
    let mut words = words.split_whitespace();
    let program = words.next().context("an empty command line")?;
    output(&mut command(program, words))
}

/// Runs to the end with a text as standard input.
pub fn with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", describe(command)))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output()?;
    printed(command, &output)
}

/// The standard output of a command that ended well, or the command with its last words.
fn printed(command: &Command, output: &Output) -> Result<String> {
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", describe(command), output.status, last_lines(&words, 8));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it.
pub fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// The last `count` lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Whether a program is on the PATH.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).is_file())
}

/// Takes out of a command's environment what `cargo run` set for this program. A cargo started with it would
/// think that the environment of build scripts had changed, and compile their crates and all that use them anew.
pub fn without_cargos_own(command: &mut Command) -> &mut Command {
    const OWN: [&str; 4] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OWN.iter().any(|start| text.starts_with(start)) || text == "CARGO_PRIMARY_PACKAGE" {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_last_words() {
        let error = output(&mut command("sh", ["-c", "echo broken >&2; exit 3"]))
            .expect_err("the command fails")
            .to_string();
        assert!(error.contains("sh -c") && error.contains("broken"), "{error}");
    }

    #[test]
    fn a_failure_with_input_does_so_too() {
        let error = with_input(&mut command("sh", ["-c", "cat >&2; exit 3"]), "broken")
            .expect_err("the command fails")
            .to_string();
        assert!(error.contains("sh -c") && error.contains("broken"), "{error}");
    }

    #[test]
    fn last_lines_of_short_and_long_texts() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
