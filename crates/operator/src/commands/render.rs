//! `matriarch render`: every object of a manifest as YAML, without a cluster.

use std::path::PathBuf;

use anyhow::bail;
use matriarch_cluster::{Facts, Intent, Level, Object, render_with};

use super::{manifest_file, references_file, settings_file};

/// Arguments of `matriarch render`.
#[derive(clap::Args)]
pub struct Options {
    /// The manifest.
    #[arg(short, long)]
    file: PathBuf,
    /// The operator's ConfigMap or OperatorConfiguration as a YAML file; without it, the defaults.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// ConfigMaps and Secrets that the settings name, in one YAML file.
    #[arg(long)]
    references: Option<PathBuf>,
    /// Level of rendering: 0 is what Zalando's operator 2.0.1 writes. Without it, the newest.
    #[arg(long)]
    level: Option<u32>,
    /// Namespace, where the manifest names none.
    #[arg(short, long, default_value = "default")]
    namespace: String,
}

/// Prints the objects in the order in which they are applied, and notices on standard error.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let level = level(options.level)?;
    let manifest = manifest_file::read(&options.file, &options.namespace)?;
    let settings = settings_file::read(options.settings.as_deref())?;
    let cluster = manifest_file::validated(&manifest, &settings)?;
    let references = references_file::read(options.references.as_deref(), &cluster.identity, &settings)?;
    let intent = render_with(&cluster, &settings, &references, &Facts::default());
    refuse_unresolved(&intent)?;
    for notice in &intent.notices {
        eprintln!("{notice}");
    }
    for object in intent.objects_at(level) {
        print(object)?;
    }
    Ok(())
}

fn level(number: Option<u32>) -> anyhow::Result<Level> {
    let Some(number) = number else { return Ok(Level::NEWEST) };
    let level = Level::of(number);
    if level.number() != number {
        bail!("--level {number} is not known: give one from 0 to {}", Level::NEWEST.number());
    }
    Ok(level)
}

fn refuse_unresolved(intent: &Intent) -> anyhow::Result<()> {
    for unresolved in &intent.unresolved {
        eprintln!("{}: {}", unresolved.field, unresolved.why);
    }
    if !intent.unresolved.is_empty() {
        bail!("what the settings above name is needed to render the StatefulSet");
    }
    Ok(())
}

/// Secrets with credentials have no data here: passwords are made when they are written.
fn print(object: &Object) -> anyhow::Result<()> {
    println!("---\n{}", serde_saphyr::to_string(&object.body)?.trim_end());
    Ok(())
}
