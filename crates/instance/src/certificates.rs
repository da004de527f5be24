//! The certificate's files: written before the start, watched afterwards.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::environment::Environment;
use crate::layout::Layout;
use crate::rest;
use crate::tls::{TlsFiles, self_signed};

/// Kubelets bring a changed Secret into the pod after about a minute; looking more often gains nothing.
const PERIOD: Duration = Duration::from_secs(30);

/// Writes the files whose text is in the environment, and a self-signed pair when there is no key at all. A key
/// that is there stays: it is a mounted one, or the one of an earlier start of this container.
///
/// # Errors
/// Names the file that could not be written.
pub fn write(env: &Environment, layout: &Layout, hostname: &str) -> Result<()> {
    let files = TlsFiles::of(env, layout);
    let contents = files.contents(env);
    for file in &contents {
        write_file(&file.path, &file.content, file.mode)?;
    }
    if contents.is_empty() && !files.key.exists() {
        let (certificate, key) =
            self_signed(vec![hostname.to_owned()]).context("cannot make a self-signed certificate")?;
        write_file(&files.certificate, &certificate, 0o644)?;
        write_file(&files.key, &key, 0o600)?;
    }
    Ok(())
}

/// Writes a file that never has a wider mode than it ends up with.
pub fn write_file(path: &Path, content: &str, mode: u32) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether the certificate can change while the container runs: it is a mounted file then.
pub fn can_change(env: &Environment) -> bool {
    env.get("SSL_PRIVATE_KEY_FILE").is_some()
}

/// Looks at the files for ever and asks Patroni for a reload after a change.
///
/// # Errors
/// Never returns otherwise; what fails is tried again.
pub fn watch() -> Result<()> {
    let env = Environment::of_this_process();
    let files = TlsFiles::of(&env, &Layout::of(&env));
    let watched: Vec<&Path> =
        [Some(&files.certificate), Some(&files.key), files.authority.as_ref(), files.revocations.as_ref()]
            .into_iter()
            .flatten()
            .map(std::path::PathBuf::as_path)
            .collect();
    let mut seen = times(&watched);
    loop {
        thread::sleep(PERIOD);
        let now = times(&watched);
        if now == seen {
            continue;
        }
        match rest::request("127.0.0.1", env.or("APIPORT", "8008"), "POST", "/reload", "") {
            Ok(_) => {
                eprintln!("certificate changed, PostgreSQL reloads it");
                seen = now;
            }
            Err(error) => eprintln!(
                "certificate changed, and the reload did not work: {error:#}; next try in {PERIOD:?}"
            ),
        }
    }
}

fn times(paths: &[&Path]) -> Vec<Option<SystemTime>> {
    paths.iter().map(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok()).collect()
}
