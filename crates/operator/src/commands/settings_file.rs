//! Settings from a file: a ConfigMap or an `OperatorConfiguration`, as the operator reads them.

use std::path::Path;

use anyhow::{Context, bail};
use matriarch_settings::{Reading, Settings};
use serde_json::Value;

/// Settings of the file; those that the project ships without one. Every value that is refused is
/// named on standard error.
pub fn read(path: Option<&Path>) -> anyhow::Result<Settings> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {shown}: give a file with --settings"))?;
    let object: Value = serde_saphyr::from_str(&text).with_context(|| {
        format!("{shown} is not one YAML document: give one ConfigMap or OperatorConfiguration")
    })?;
    let kind = object["kind"].as_str();
    if !matches!(kind, Some("OperatorConfiguration" | "ConfigMap")) {
        let kind = kind.map_or_else(|| "no Kubernetes object".to_owned(), |kind| format!("a {kind}"));
        bail!("{shown} is {kind}: give a ConfigMap or an OperatorConfiguration");
    }
    let Reading { settings, problems, warnings } = Reading::of_document(&object);
    for problem in warnings.iter().chain(&problems) {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("the settings are refused; correct the keys above and try again");
    }
    Ok(settings)
}
