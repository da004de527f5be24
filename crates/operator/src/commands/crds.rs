//! `matriarch crds`.

/// Prints the custom resource definitions as one YAML stream.
pub fn run() -> anyhow::Result<()> {
    for definition in matriarch_api::crds() {
        println!("---\n{}", serde_saphyr::to_string(&definition)?);
    }
    Ok(())
}
