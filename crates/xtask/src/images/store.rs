//! The part of the machine's cache that belongs to images: files named after what went into them, each made
//! once, also when several checkouts want it at the same time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::checkout::{cache, hex};
use crate::shell;

/// A folder of content-addressed files.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store in the machine's cache; created when it is not there.
    pub fn open() -> Result<Self> {
        let root = cache()?.join("images");
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Self { root })
    }

    /// Where a file of this kind with this content is.
    pub fn file(&self, name: &str, digest: &str, suffix: &str) -> PathBuf {
        self.root.join(format!("{name}-{}.{suffix}", &digest[..16.min(digest.len())]))
    }

    /// A folder of the store.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes `path` with `make` unless it is there. `make` gets the path of a draft that becomes the file only
    /// when it is whole. Whoever comes second waits for the first and finds the file.
    pub fn once(&self, path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if path.exists() {
            return Ok(());
        }
        let _lock = self.lock(path)?;
        if path.exists() {
            return Ok(());
        }
        // The ending decides the format for mmdebstrap, so the draft keeps it.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let draft = path.with_file_name(format!("draft-{name}"));
        fs::remove_file(&draft).ok();
        make(&draft)?;
        fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
        forget_older(path);
        Ok(())
    }

    /// Waits until nobody else on this machine makes `path`. The lock ends with the returned file, also when
    /// its process is killed.
    pub fn lock(&self, path: &Path) -> Result<File> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let path = self.root.join(format!("{name}.lock"));
        let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(lock)
    }
}

/// How many versions of a file stay, for checkouts that are at another commit.
const KEPT: usize = 4;

/// Removes the oldest versions of a file that was just made. What cannot be removed only takes space.
fn forget_older(path: &Path) {
    let Some((start, suffix)) = path.file_name().and_then(|name| name.to_str()).and_then(version_free) else {
        return;
    };
    let Some(entries) = path.parent().and_then(|folder| fs::read_dir(folder).ok()) else { return };
    let mut versions: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().and_then(version_free) == Some((start, suffix)))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    versions.sort();
    for (_, old) in versions.iter().rev().skip(KEPT) {
        fs::remove_file(old).ok();
    }
}

/// `instance-dev-0123456789abcdef.tar` without its digest: `instance-dev` and `tar`.
fn version_free(name: &str) -> Option<(&str, &str)> {
    let (rest, suffix) = name.split_once('.')?;
    let (start, digest) = rest.rsplit_once('-')?;
    (digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some((start, suffix))
}

/// Digest of texts, each with its length, so that moving a border changes it.
pub fn digest_of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    }
    hex(&digest.finalize())
}

/// Digest of the contents of files, in this order. The program of the system does it: compiled programs have
/// hundreds of megabytes, and this one is built without optimisation.
pub fn digest_of_files(paths: &[&Path]) -> Result<String> {
    let lines = shell::output(&mut shell::command("sha256sum", paths))?;
    Ok(digest_of_texts(lines.lines().filter_map(|line| line.split_whitespace().next())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_file_are_recognised() {
        assert_eq!(
            version_free("operator-dev-tools-0123456789abcdef.tar"),
            Some(("operator-dev-tools", "tar"))
        );
        assert_eq!(
            version_free("operator-dev-0123456789abcdef.tar.lock"),
            Some(("operator-dev", "tar.lock"))
        );
        assert_eq!(version_free("draft-pause.bin"), None);
    }

    #[test]
    fn a_border_between_texts_counts() {
        assert_ne!(digest_of_texts(["ab", "c"]), digest_of_texts(["a", "bc"]));
    }

    #[test]
    fn a_file_is_made_once_and_never_half() {
        let root = std::env::temp_dir().join(format!("matriarch-store-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a folder");
        let store = Store { root: root.clone() };
        let path = store.file("thing", "0123456789abcdef01", "txt");
        assert!(path.ends_with("thing-0123456789abcdef.txt"));
        store
            .once(&path, |draft| {
                fs::write(draft, "half")?;
                anyhow::bail!("broken off")
            })
            .expect_err("the failure is passed on");
        assert!(!path.exists());
        store.once(&path, |draft| Ok(fs::write(draft, "whole")?)).expect("made");
        store.once(&path, |_| panic!("made a second time")).expect("found");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "whole");
        fs::remove_dir_all(root).ok();
    }
}
