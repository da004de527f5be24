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
pub fn copy_this_program(to: &Path) -> Result<()> {
    remove(to)?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy("/proc/self/exe", to)
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
