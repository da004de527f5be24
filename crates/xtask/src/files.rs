//! Small file operations that must not leave half a file behind.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file so that a reader sees the old or the new content, never a part.
pub fn write_atomically(path: &Path, content: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let draft = path.with_file_name(format!(".{}.{}", name.unwrap_or_default(), std::process::id()));
    fs::write(&draft, content).with_context(|| format!("cannot write {}", draft.display()))?;
    fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Puts `link` in place, whatever was there before.
pub fn link(target: &Path, link: &Path) -> Result<()> {
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent)?;
    }
    if link.symlink_metadata().is_ok() {
        fs::remove_file(link).with_context(|| format!("cannot replace {}", link.display()))?;
    }
    std::os::unix::fs::symlink(target, link).with_context(|| format!("cannot create {}", link.display()))
}

/// A copy of the running program that later builds don't touch. Read through the
/// kernel's link: a build may already have replaced the file that was started.
///
/// Another process writes it: whatever this one starts in another thread holds our open files for a
/// moment, and a program that anybody still has open for writing cannot be started ("Text file busy").
pub fn copy_this_program(to: &Path) -> Result<()> {
    remove(to)?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let program = format!("/proc/{}/exe", std::process::id());
    let mut copy = crate::shell::command("cp", [program.as_str()]);
    crate::shell::output(copy.arg(to))
        .map(|_| ())
        .with_context(|| format!("cannot copy this program to {}", to.display()))
}

/// Removes a file or a directory tree; nothing there is fine.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

/// The last lines of a log, or a word that there is none.
pub fn tail(path: &Path, lines: usize) -> String {
    match fs::read(path) {
        Ok(content) => crate::shell::last_lines(&String::from_utf8_lossy(&content), lines),
        Err(_) => format!("(no log at {})", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text file busy: the copy was started while a child of another thread still had it open.
    #[test]
    fn a_copy_of_this_program_starts_while_others_are_started() {
        let place = std::env::temp_dir().join(format!("matriarch-copy-{}", std::process::id()));
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = std::process::Command::new("true").status();
                }
            });
            for _ in 0..5 {
                copy_this_program(&place).expect("a copy");
                let started = std::process::Command::new(&place).arg("--list").output();
                assert!(started.expect("it starts").status.success());
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        remove(&place).expect("removed");
    }
}
