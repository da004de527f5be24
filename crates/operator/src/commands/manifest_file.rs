//! A manifest from a file.

use std::path::Path;

use anyhow::{Context, bail};
use matriarch_cluster::Cluster;
use matriarch_settings::Settings;
use serde_json::{Value, json};

/// The manifest of the file, in `namespace` if it names none.
pub fn read(path: &Path, namespace: &str) -> anyhow::Result<Value> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {shown}: give the manifest with -f FILE"))?;
    let mut manifest: Value = serde_saphyr::from_str(&text)
        .with_context(|| format!("{shown} is not one YAML document; give one manifest per file"))?;
    if manifest["kind"] != "postgresql" {
        bail!("{shown} is a {}, not a postgresql; give a postgresql manifest", manifest["kind"]);
    }
    if manifest["metadata"]["namespace"].is_null() {
        manifest["metadata"]["namespace"] = json!(namespace);
    }
    Ok(manifest)
}

/// The cluster of a manifest. Every field that is refused is named on standard error.
pub fn validated(manifest: &Value, settings: &Settings) -> anyhow::Result<Cluster> {
    Cluster::validate(manifest, settings).map_err(|problems| {
        for problem in &problems {
            eprintln!("{problem}");
        }
        anyhow::anyhow!("the manifest is refused; correct the fields above and try again")
    })
}
