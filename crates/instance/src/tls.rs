//! Which certificate PostgreSQL serves: one from a mounted file, one given as text, or a self-signed one.

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::layout::Layout;

/// The files that PostgreSQL is told to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Server certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificate authority for client certificates, when one is wanted.
    pub authority: Option<PathBuf>,
    /// Revocation list, when one is wanted.
    pub revocations: Option<PathBuf>,
}

/// Contents of one file that must be written before PostgreSQL starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// Where it goes.
    pub path: PathBuf,
    /// What it holds.
    pub content: String,
    /// Its mode.
    pub mode: u32,
}

impl TlsFiles {
    /// The paths, from the environment where it names them.
    #[must_use]
    pub fn of(env: &Environment, layout: &Layout) -> Self {
        let directory = layout.certificates();
        let given = |name: &str, text: &str, file: &str| {
            env.get(name).map(PathBuf::from).or_else(|| env.get(text).map(|_| directory.join(file)))
        };
        Self {
            certificate: env
                .get("SSL_CERTIFICATE_FILE")
                .map_or_else(|| directory.join("server.crt"), PathBuf::from),
            key: env.get("SSL_PRIVATE_KEY_FILE").map_or_else(|| directory.join("server.key"), PathBuf::from),
            authority: given("SSL_CA_FILE", "SSL_CA", "ca.crt"),
            revocations: given("SSL_CRL_FILE", "SSL_CRL", "server.crl"),
        }
    }

    /// The files whose contents the environment carries; none unless both halves of the pair are there.
    #[must_use]
    pub fn contents(&self, env: &Environment) -> Vec<FileContent> {
        let (Some(certificate), Some(key)) = (env.get("SSL_CERTIFICATE"), env.get("SSL_PRIVATE_KEY")) else {
            return Vec::new();
        };
        let file = |path: &Path, content: &str, mode| FileContent {
            path: path.to_owned(),
            content: content.to_owned(),
            mode,
        };
        let mut files = vec![file(&self.certificate, certificate, 0o644), file(&self.key, key, 0o600)];
        for (path, name) in [(&self.authority, "SSL_CA"), (&self.revocations, "SSL_CRL")] {
            if let (Some(path), Some(content)) = (path, env.get(name)) {
                files.push(file(path, content, 0o644));
            }
        }
        files
    }
}

/// A self-signed pair for `names`, valid for ten years: clients that only encrypt need no more, and one that
/// verifies needs a certificate of its own anyway.
///
/// # Errors
/// When the key or the certificate cannot be made.
pub fn self_signed(names: Vec<String>) -> Result<(String, String), rcgen::Error> {
    let mut parameters = rcgen::CertificateParams::new(names)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "matriarch self-signed");
    parameters.not_before = rcgen::date_time_ymd(2025, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2045, 1, 1);
    let key = rcgen::KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> (Environment, TlsFiles) {
        let env: Environment = pairs.iter().copied().collect();
        let files = TlsFiles::of(&env, &Layout::of(&env));
        (env, files)
    }

    #[test]
    fn without_anything_the_pair_is_ours_and_nothing_comes_from_the_environment() {
        let (env, files) = of(&[]);
        assert_eq!(files.key, Path::new("/run/certs/server.key"));
        assert_eq!(files.authority, None);
        assert!(files.contents(&env).is_empty());
    }

    #[test]
    fn mounted_files_are_used_as_named() {
        let (_, files) = of(&[("SSL_PRIVATE_KEY_FILE", "/tls/tls.key"), ("SSL_CA_FILE", "/tlsca/ca.crt")]);
        assert_eq!(files.key, Path::new("/tls/tls.key"));
        assert_eq!(files.authority.as_deref(), Some(Path::new("/tlsca/ca.crt")));
    }

    #[test]
    fn text_becomes_files_with_a_private_key_nobody_else_reads() {
        let (env, files) = of(&[("SSL_CERTIFICATE", "C"), ("SSL_PRIVATE_KEY", "K"), ("SSL_CA", "A")]);
        let written: Vec<(String, u32)> = files
            .contents(&env)
            .into_iter()
            .map(|file| (file.path.display().to_string(), file.mode))
            .collect();
        assert_eq!(
            written,
            [
                ("/run/certs/server.crt".to_owned(), 0o644),
                ("/run/certs/server.key".to_owned(), 0o600),
                ("/run/certs/ca.crt".to_owned(), 0o644),
            ]
        );
    }

    #[test]
    fn a_pair_can_be_made() {
        let (certificate, key) = self_signed(vec!["acid-minimal-cluster-0".to_owned()]).unwrap_or_default();
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}
