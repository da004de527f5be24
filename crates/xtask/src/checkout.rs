//! Where things are: the checkout, its state directory and the cache of the machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// A checkout of this repository and the places that belong to it.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Root of the repository.
    pub root: PathBuf,
    /// Eight hexadecimal digits that follow from the canonical path of the root:
    /// they name the checkout's cgroups and its entry in the machine's register.
    pub id: String,
}

impl Checkout {
    /// The checkout that the current command belongs to.
    pub fn find() -> Result<Self> {
        let root = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => root_above(Path::new(&manifest)),
            None => root_above(&std::env::current_dir()?),
        };
        let Some(root) = root else {
            bail!("no checkout of Matriarch here: run this command inside the repository");
        };
        Self::at(&root)
    }

    /// The checkout at a known root.
    pub fn at(root: &Path) -> Result<Self> {
        let root = root.canonicalize().with_context(|| format!("cannot resolve {}", root.display()))?;
        let id = id(&root);
        Ok(Self { root, id })
    }

    /// Everything of the checkout that is not source: removed with the folder.
    /// The supervisor mounts it at [`INSIDE`].
    pub fn state(&self) -> PathBuf {
        self.root.join(".local")
    }

    /// One log file per part.
    pub fn logs(&self) -> PathBuf {
        self.state().join("logs")
    }

    /// What `cargo xtask env` puts on the PATH.
    pub fn bin(&self) -> PathBuf {
        self.state().join("bin")
    }

    /// Kubectl of the cluster's own version.
    pub fn kubectl(&self) -> PathBuf {
        self.bin().join("kubectl")
    }

    /// The administrator's kubeconfig for processes of the host.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state().join("kubeconfig")
    }
}

/// The state directory as the processes of the cluster see it. Short, because
/// paths of Unix sockets hold about a hundred bytes, and constant, so that
/// nothing inside depends on where the checkout is.
pub const INSIDE: &str = "/run/matriarch";

/// What is built once per machine.
pub fn cache() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("MATRIARCH_CACHE") {
        return Ok(PathBuf::from(dir));
    }
    if let Some(dir) = std::env::var_os("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(dir).join("matriarch"));
    }
    let home = std::env::var_os("HOME")
        .context("neither MATRIARCH_CACHE nor HOME is set: set one of them, the cache needs a place")?;
    Ok(PathBuf::from(home).join(".cache/matriarch"))
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn id(root: &Path) -> String {
    hex(&Sha256::digest(root.as_os_str().as_encoded_bytes()))[..8].to_owned()
}

fn root_above(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|dir| dir.join("dev/kubernetes/go.mod").is_file()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_found_from_a_crate() {
        let checkout = Checkout::find().expect("a checkout");
        assert!(checkout.root.join("Cargo.toml").is_file());
        assert_eq!(checkout.id.len(), 8);
    }
}
