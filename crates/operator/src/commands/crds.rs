//! `matriarch crds`.

use serde_json::Value;

/// The three definitions. That of the settings is made from their table.
pub fn definitions() -> Vec<Value> {
    let settings = matriarch_settings::crd_operator_configuration();
    let name = settings["metadata"]["name"].clone();
    let others = matriarch_api::crds().into_iter();
    others
        .map(|definition| if definition["metadata"]["name"] == name { settings.clone() } else { definition })
        .collect()
}

/// Prints the custom resource definitions as one YAML stream.
pub fn run() -> anyhow::Result<()> {
    for definition in definitions() {
        println!("---\n{}", serde_saphyr::to_string(&definition)?);
    }
    Ok(())
}
