//! `matriarch crds`.

use serde_json::Value;

/// The three definitions. That of the settings is made from their table.
pub fn definitions() -> Vec<Value> {
    let mut definitions = matriarch_api::crds();
    definitions.push(matriarch_settings::crd_operator_configuration());
    definitions
}

/// Prints the custom resource definitions as one YAML stream.
pub fn run() -> anyhow::Result<()> {
    for definition in definitions() {
        println!("---\n{}", serde_saphyr::to_string(&definition)?);
    }
    Ok(())
}
