//! Programs from Go modules: built once per machine for each content of their folder, under a
//! lock, so that two checkouts never build one twice.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::checkout::{Checkout, cache, hex};
use crate::progress::Stage;
use crate::{files, go_toolchain, shell};

/// Names under which the binary is called; each runs another part.
pub const PARTS: [&str; 8] = [
    "etcd",
    "coredns",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
];

/// A folder with a Go module and what is made from it.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Folder below `dev`, also in the cache.
    folder: &'static str,
    /// The binary.
    program: &'static str,
    linker_flags: &'static str,
    /// About how many packages a build from nothing compiles.
    packages: usize,
    /// What a person should know about the time that takes.
    how_long: &'static str,
}

/// The binary with all parts of Kubernetes. Without the version the server calls itself v0.0.0
/// and clients stumble.
pub const KUBERNETES: Module = Module {
    folder: "kubernetes",
    program: "parts",
    linker_flags: "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.37.2 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=37",
    packages: 2700,
    how_long: "compiling Kubernetes: the longest stage, about 10 minutes on 2 cores when nothing is cached",
};

/// What keeps nodes and pods alive that nobody runs.
pub const KWOK: Module = Module {
    folder: "kwok",
    program: "kwok",
    linker_flags: "-s -w",
    packages: 1300,
    how_long: "compiling kwok: about 3 minutes on 2 cores when nothing is cached",
};

/// The binary of a module, from the cache or built now.
pub fn ensure(checkout: &Checkout, module: &Module, stage: &Stage) -> Result<PathBuf> {
    let source = checkout.root.join("dev").join(module.folder);
    let dir = cache()?.join(module.folder).join(key(&source, module.linker_flags)?);
    let binary = dir.join(module.program);
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let lock = File::create(dir.join("lock"))?;
    if lock.try_lock().is_err() {
        stage.say("another checkout builds it already: waiting for that build");
        lock.lock()?;
    }
    if !binary.is_file() {
        build(checkout, module, &source, &binary, stage)?;
    }
    Ok(binary)
}

/// Content of the module and everything else that changes the result.
fn key(source: &Path, linker_flags: &str) -> Result<String> {
    let mut digest = Sha256::new();
    for name in ["go.mod", "go.sum", "main.go"] {
        let path = source.join(name);
        digest.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        digest.update([0]);
    }
    digest.update(linker_flags);
    digest.update(std::env::consts::ARCH);
    Ok(hex(&digest.finalize())[..16].to_owned())
}

fn build(checkout: &Checkout, module: &Module, source: &Path, binary: &Path, stage: &Stage) -> Result<()> {
    let go = go_toolchain::ensure(checkout, stage)?;
    stage.say(module.how_long);
    let draft = binary.with_extension("draft");
    let mut child = Command::new(&go)
        .args(["build", "-v", "-trimpath", "-ldflags", module.linker_flags, "-o"])
        .arg(&draft)
        .arg(".")
        .current_dir(source)
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", go.display()))?;
    let words = child.stderr.take().context("go build has no standard error")?;
    let mut lines = Vec::new();
    let mut compiled = 0;
    for line in BufReader::new(words).lines().map_while(Result::ok) {
        if line.starts_with("go: downloading ") {
            stage.step(&line);
        } else if !line.contains(' ') {
            compiled += 1;
            stage.step(&format!("{compiled} of about {} packages compiled", module.packages));
        }
        lines.push(line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "go build ended with {status}:\n{}\nIt goes on where it stopped when you run this again.",
            shell::last_lines(&lines.join("\n"), 15)
        );
    }
    fs::rename(&draft, binary).with_context(|| format!("cannot write {}", binary.display()))
}

/// Puts the binary and a link per part into the state directory, so that the
/// cluster lives on when the cache is emptied.
pub fn install(binary: &Path, bin: &Path) -> Result<()> {
    fs::create_dir_all(bin)?;
    let own = bin.join("parts");
    let same = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.len(), meta.modified().ok()));
    if !own.exists() || same(&own) != same(binary) {
        files::remove(&own)?;
        if fs::hard_link(binary, &own).is_err() {
            fs::copy(binary, &own).with_context(|| format!("cannot write {}", own.display()))?;
        }
    }
    for part in PARTS {
        files::link(Path::new("parts"), &bin.join(part))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_the_content() {
        let dir = std::env::temp_dir().join(format!("matriarch-go-key-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        for name in ["go.mod", "go.sum", "main.go"] {
            fs::write(dir.join(name), name).expect("a file");
        }
        let before = key(&dir, "-s").expect("a key");
        assert_eq!(before, key(&dir, "-s").expect("a key"));
        assert_ne!(before, key(&dir, "-w").expect("a key"));
        fs::write(dir.join("main.go"), "other").expect("a file");
        assert_ne!(before, key(&dir, "-s").expect("a key"));
        fs::remove_dir_all(&dir).expect("removed");
    }
}
