//! Settings from a file: a ConfigMap or an `OperatorConfiguration`, as the operator reads them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use matriarch_settings::Settings;
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
    let (settings, problems) = match object["kind"].as_str() {
        Some("OperatorConfiguration") => Settings::from_operator_configuration(&object),
        Some("ConfigMap") => {
            let data: BTreeMap<String, String> = serde_json::from_value(object["data"].clone())
                .with_context(|| {
                    format!("{shown}: data must map texts to texts; quote numbers and booleans")
                })?;
            Settings::from_config_map(&data)
        }
        kind => bail!(
            "{shown} is {}: give a ConfigMap or an OperatorConfiguration",
            kind.map_or_else(|| "no Kubernetes object".to_owned(), |kind| format!("a {kind}"))
        ),
    };
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("the settings are refused; correct the keys above and try again");
    }
    Ok(settings)
}
