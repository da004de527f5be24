//! `cargo xtask env`: shell lines for `eval`.

use std::path::Path;

use anyhow::{Result, bail};

use crate::checkout::Checkout;
use crate::files;

/// Prints them.
pub fn env() -> Result<()> {
    let checkout = Checkout::find()?;
    if !checkout.kubeconfig().exists() {
        bail!("no local cluster here: run `cargo xtask up` first");
    }
    link_matriarch(&checkout)?;
    println!("export KUBECONFIG={}", quoted(&checkout.kubeconfig()));
    println!("export PATH={}:\"$PATH\"", quoted(&checkout.bin()));
    Ok(())
}

/// `matriarch` beside `kubectl`: the one that cargo built into this program's folder, as
/// `up` does. The link follows later builds.
fn link_matriarch(checkout: &Checkout) -> Result<()> {
    let built = std::env::current_exe()?.with_file_name("matriarch");
    files::link(&built, &checkout.bin().join("matriarch"))
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
