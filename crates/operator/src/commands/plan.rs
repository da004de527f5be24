//! `matriarch plan`: the operator's own planner, with the hands tied.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use kube::Client;
use matriarch_cluster::{Intent, render};
use matriarch_plan::{ObjectKey, Observation, Plan, Seen, plan_cluster};
use serde_json::Value;

use super::{manifest_file, plan_all, settings_file};
use crate::kinds;
use crate::observe::Eyes;
use crate::reads::Reads;

/// What to compare with.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Against {
    /// The cluster that KUBECONFIG names.
    Cluster,
    /// Nothing: as if no object existed. Needs no cluster.
    Empty,
}

/// Arguments of `matriarch plan`.
#[derive(clap::Args)]
pub struct Options {
    /// The manifest.
    #[arg(short, long, required_unless_present = "all")]
    file: Option<PathBuf>,
    /// Every manifest in the cluster instead of a file: what the operator would do to each.
    #[arg(long, conflicts_with_all = ["file", "against"])]
    all: bool,
    /// What to compare with.
    #[arg(long, value_enum, default_value = "cluster")]
    against: Against,
    /// The operator's ConfigMap or OperatorConfiguration as a YAML file; without it, the defaults.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// Namespace: of the manifest, where it names none; with --all, the only one that is looked at.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Prints the plan. Exit code as of `diff`: 0 nothing to do, 2 something, 1 an error.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let settings = settings_file::read(options.settings.as_deref())?;
    let client = match options.against {
        Against::Empty => None,
        Against::Cluster => Some(
            Client::try_default()
                .await
                .context("no cluster to compare with: set KUBECONFIG, or add --against empty")?,
        ),
    };
    if let (true, Some(client)) = (options.all, client.clone()) {
        return plan_all::run(client, &settings, options.namespace.as_deref(), options.json).await;
    }
    let Some(file) = &options.file else { bail!("give a manifest with -f FILE, or --all") };
    let mut manifest = manifest_file::read(file, options.namespace.as_deref().unwrap_or("default"))?;
    if let Some(client) = &client {
        adopt_identity(client, &mut manifest).await?;
    }
    let cluster = manifest_file::validated(&manifest, &settings)?;
    let plan = match client {
        None => {
            let intent = render(&cluster, &settings);
            plan_cluster(&intent, &nothing(&intent))
        }
        Some(client) => {
            let eyes = Eyes::new(Reads::direct(client), matriarch_patroni::Client::new()?);
            let intent = eyes.intent(&cluster, &settings).await;
            plan_cluster(&intent, &eyes.observe(&manifest, &intent, &settings, None).await.observation)
        }
    };
    print(&plan, options.json)?;
    Ok(if plan.steps.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// What the API server added to the manifest of this name, if it has one: the file has none of it.
async fn adopt_identity(client: &Client, manifest: &mut Value) -> anyhow::Result<()> {
    let text = |key: &str| manifest["metadata"][key].as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let live = kinds::namespaced(client, "postgresql", &namespace).get_opt(&name).await;
    let live = live.with_context(|| format!("postgresql {namespace}/{name} cannot be read"))?;
    if let Some(live) = live {
        let live = serde_json::to_value(live.metadata)?;
        for key in ["uid", "generation", "finalizers"] {
            manifest["metadata"][key] = live[key].clone();
        }
    }
    Ok(())
}

fn print(plan: &Plan, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(plan)?);
    } else {
        print!("{plan}");
    }
    Ok(())
}

/// An observation of a world in which nothing exists.
pub fn nothing(intent: &Intent) -> Observation {
    let keys = intent.objects().map(|object| ObjectKey::new(&object.kind, &object.name));
    let keys = keys.chain(intent.unwanted.iter().map(|one| ObjectKey::new(&one.kind, &one.name)));
    let secrets = intent.secrets.iter().map(|secret| (secret.object.name.clone(), Seen::Absent));
    Observation {
        has_finalizer: false,
        objects: keys.map(|key| (key, Seen::Absent)).collect(),
        secrets: secrets.collect(),
        pods: Seen::Present(Vec::new()),
        revisions: BTreeMap::new(),
        claims: Seen::Present(Vec::new()),
        patroni_objects: Seen::Present(Vec::new()),
        user_lists: BTreeMap::new(),
        streams: Seen::Present(Vec::new()),
        leader: Seen::Absent,
        patroni: Seen::Absent,
        catalog: Seen::Absent,
        passwords: BTreeMap::new(),
        now: jiff::Timestamp::now(),
        ..Observation::default()
    }
}
