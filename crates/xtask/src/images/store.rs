//! The part of the machine's cache that belongs to images: files named after what went into them, each made
//! once, also when several checkouts want it at the same time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::checkout::{cache, hex};

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
        fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))
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

/// Digest of texts, each with its length, so that moving a border changes it.
pub fn digest_of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    }
    hex(&digest.finalize())
}

/// Digest of the contents of files, in this order.
pub fn digest_of_files(paths: &[&Path]) -> Result<String> {
    let mut digest = Sha256::new();
    for path in paths {
        let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        digest.update(file.metadata()?.len().to_be_bytes());
        io::copy(&mut file, &mut digest).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
