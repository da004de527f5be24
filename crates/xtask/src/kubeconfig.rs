//! Kubeconfig files of the parts and of the person at the terminal.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::certificates;

/// Writes a kubeconfig with everything in it, so that it works from anywhere.
/// JSON is YAML; kubectl rewrites it in its own style when it edits it.
pub fn write(path: &Path, pki: &Path, client: &str, server: &str, context: &str) -> Result<()> {
    let (certificate, key) = certificates::paths(pki, client);
    let (authority, _) = certificates::paths(pki, "ca");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": {
            "server": server,
            "certificate-authority-data": encoded(&authority)?,
        }}],
        "users": [{"name": client, "user": {
            "client-certificate-data": encoded(&certificate)?,
            "client-key-data": encoded(&key)?,
        }}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": client}}],
    });
    crate::files::write_atomically(path, &format!("{config:#}\n"))?;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

fn encoded(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(base64(&content))
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_with_every_padding() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
