//! The machine's register of clusters: one locked file per running supervisor.
//! The lock, not the content, says whether a cluster is alive: the kernel drops
//! it with the process, however that ended.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// Not below the cache: a run with another cache must see the same register.
const REGISTER: &str = "/run/matriarch";

/// Who holds an entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Owner {
    /// Process id of the supervisor on the host.
    pub process: i32,
    /// The process that holds the cluster's mount, PID and network namespaces;
    /// 0 until they exist.
    pub namespaces: i32,
    /// State directory of its checkout.
    pub state: PathBuf,
    /// Inode of that directory: a folder made anew at the same path differs.
    pub inode: u64,
}

/// An entry that this process holds.
pub struct Entry {
    file: File,
    path: PathBuf,
}

impl Entry {
    /// Takes the entry of a cluster, or says that a living supervisor has it.
    pub fn take(id: &str) -> Result<Option<Self>> {
        fs::create_dir_all(REGISTER).with_context(|| format!("cannot create {REGISTER}"))?;
        let path = path(id);
        let mut attempts = 5;
        loop {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                // Somebody may only be looking: `owner` holds the lock for a moment.
                Err(TryLockError::WouldBlock) if attempts > 0 => {
                    attempts -= 1;
                    std::thread::sleep(std::time::Duration::from_millis(40));
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => bail!("cannot lock {}: {error}", path.display()),
            }
            // Whoever held it before may have removed the file after we opened it.
            let same =
                fs::metadata(&path).is_ok_and(|now| file.metadata().is_ok_and(|own| own.ino() == now.ino()));
            if same {
                return Ok(Some(Self { file, path }));
            }
        }
    }

    /// Writes down who holds the entry.
    pub fn sign(&mut self, owner: &Owner) -> Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(owner)?.as_bytes())?;
        Ok(())
    }

    /// Takes the entry out of the register.
    pub fn remove(self) -> Result<()> {
        fs::remove_file(&self.path)?;
        // Not empty while other clusters run.
        fs::remove_dir(REGISTER).ok();
        Ok(())
    }
}

/// The living owner of a cluster's entry, if there is one.
pub fn owner(id: &str) -> Result<Option<Owner>> {
    let Ok(mut file) = File::options().read(true).open(path(id)) else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::Error(error)) => bail!("cannot look at the lock {}: {error}", path(id).display()),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(serde_json::from_str(&text).ok())
        }
    }
}

/// Ids of all entries, living or not.
pub fn ids() -> Vec<String> {
    let Ok(entries) = fs::read_dir(REGISTER) else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".lock").map(str::to_owned))
        .collect()
}

/// Inode of a directory, 0 when there is none.
pub fn inode(dir: &Path) -> u64 {
    fs::metadata(dir).map_or(0, |meta| meta.ino())
}

fn path(id: &str) -> PathBuf {
    Path::new(REGISTER).join(format!("{id}.lock"))
}
