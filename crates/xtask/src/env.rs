//! `cargo xtask env`: shell lines for `eval`.

use std::path::Path;

use anyhow::{Result, bail};

use crate::checkout::Checkout;

/// Prints them.
pub fn env() -> Result<()> {
    let checkout = Checkout::find()?;
    if !checkout.kubeconfig().exists() {
        bail!("no local cluster here: run `cargo xtask up` first");
    }
    println!("export KUBECONFIG={}", quoted(&checkout.kubeconfig()));
    println!("export PATH={}:\"$PATH\"", quoted(&checkout.bin()));
    Ok(())
}

/// Single quotes, for any shell that knows POSIX.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quotes_survive_the_shell() {
        assert_eq!(quoted("/a b/it's".as_ref()), r"'/a b/it'\''s'");
    }
}
