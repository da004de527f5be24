//! `matriarch remove-orphan`: removes a cluster whose manifest is gone. Nobody infers that it should
//! go: a person says so.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use kube::Client;
use matriarch_cluster::{Cluster, Intent, names, render};
use matriarch_plan::{Observation, Outcome, Plan, Seen, plan_deletion};
use matriarch_settings::Settings;
use serde_json::{Value, json};

use super::settings_file;
use crate::act::{Hands, Workpiece};
use crate::lease::Leadership;
use crate::observe::{Eyes, Sight};
use crate::reads::Reads;

/// Looks at the cluster before it is given up: pods that shut down may take some minutes.
const ROUNDS: u32 = 300;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Arguments of `matriarch remove-orphan`.
#[derive(clap::Args)]
pub struct Options {
    /// Name of the cluster.
    cluster: String,
    /// Its namespace.
    #[arg(short, long)]
    namespace: String,
    /// Remove it; without this the plan is printed and nothing is done.
    #[arg(long)]
    yes: bool,
    /// The operator's ConfigMap or OperatorConfiguration as a YAML file; without it, the defaults. It
    /// says which labels the cluster has, and whether its Secrets and volume claims are kept.
    #[arg(long)]
    settings: Option<PathBuf>,
}

/// Removes the orphan, or prints what would be removed. Exit code: 0 nothing is left to do, 2 there is
/// something to do and `--yes` was not given.
///
/// # Errors
/// When the cluster has a manifest or does not exist, when a step fails, or when it takes too long.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let settings = settings_file::read(options.settings.as_deref())?;
    let client = Client::try_default().await.context("no cluster: set KUBECONFIG")?;
    let orphan = Orphan::find(client, &settings, &options.namespace, &options.cluster).await?;
    if options.yes { orphan.remove().await } else { orphan.print().await }
}

/// A cluster without a manifest.
struct Orphan<'a> {
    eyes: Eyes,
    hands: Hands,
    settings: &'a Settings,
    manifest: Value,
    intent: Intent,
}

impl<'a> Orphan<'a> {
    async fn find(
        client: Client,
        settings: &'a Settings,
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<Self> {
        let reads = Reads::direct(client);
        let manifest = reads.get("postgresql", namespace, name).await;
        if manifest.context("the manifest cannot be looked for")?.is_some() {
            bail!(
                "cluster {namespace}/{name} has a manifest: it is no orphan. To remove it: kubectl --namespace \
                 {namespace} delete postgresql {name}"
            );
        }
        let set = reads.get("StatefulSet", namespace, name).await;
        let set = set.context("the StatefulSet cannot be looked for")?.unwrap_or_default();
        let team = set["metadata"]["labels"][names::TEAM_LABEL].as_str().unwrap_or_default();
        let manifest = words(namespace, name, team);
        let (cluster, _) = Cluster::read(&manifest, settings);
        let intent = render(&cluster, settings);
        let patroni = matriarch_patroni::Client::new()?;
        let hands = Hands::new(&reads, patroni.clone(), Leadership::forever());
        let eyes = Eyes::new(reads, patroni);
        let orphan = Self { eyes, hands, settings, manifest, intent };
        let plan = orphan.look().await.1;
        if plan.is_settled() {
            bail!(
                "nothing of a cluster {name} is in namespace {namespace} that carries the labels {}: look at \
                 the name, the namespace, and --settings",
                orphan.labels()
            );
        }
        Ok(orphan)
    }

    fn labels(&self) -> String {
        let labels = self.intent.selector.iter().map(|(key, value)| format!("{key}={value}"));
        labels.collect::<Vec<_>>().join(",")
    }

    async fn look(&self) -> (Sight, Plan) {
        let sight = self.eyes.observe_all(&self.manifest, &self.intent, self.settings).await;
        let mut plan = plan_deletion(&self.intent, self.settings, &sight.observation);
        let (namespace, name) = (&self.intent.identity.namespace, &self.intent.identity.name);
        plan.subject = format!("removal of the orphan {namespace}/{name}");
        (sight, plan)
    }

    async fn print(&self) -> anyhow::Result<ExitCode> {
        let (sight, plan) = self.look().await;
        print!("{plan}");
        println!("{}", afterwards(self.settings, &sight.observation));
        println!("nothing was done: add --yes");
        Ok(ExitCode::from(2))
    }

    async fn remove(&self) -> anyhow::Result<ExitCode> {
        let mut said = String::new();
        for _ in 0..ROUNDS {
            let (sight, plan) = self.look().await;
            if plan.is_settled() {
                println!("nothing of it is left that the settings do not keep");
                return Ok(ExitCode::SUCCESS);
            }
            let text = plan.to_string();
            if text != said {
                print!("{text}");
                said = text;
            }
            let seen = &sight.observation;
            let work = Workpiece {
                intent: &self.intent,
                settings: self.settings,
                seen,
                addresses: &sight.addresses,
            };
            for (step, outcome) in self.hands.act(&plan, &work).await {
                if let Outcome::Failed(why) = outcome {
                    bail!("{}: {why}", step.action);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("it takes too long; run the command again, it goes on where it was")
    }
}

/// What goes later, once the pods are gone.
fn afterwards(settings: &Settings, seen: &Observation) -> String {
    let claims = match &seen.claims {
        Seen::Present(claims) => claims.len().to_string(),
        Seen::Absent => "0".to_owned(),
        Seen::Unknown(why) => format!("(unknown: {why})"),
    };
    if settings.enable_persistent_volume_claim_deletion {
        format!("afterwards: {claims} volume claims WITH THE DATA, and Patroni's objects")
    } else {
        format!("afterwards: Patroni's objects; {claims} volume claims stay")
    }
}

/// A manifest that says no more than a deletion needs.
fn words(namespace: &str, name: &str, team: &str) -> Value {
    json!({
        "apiVersion": matriarch_api::API_VERSION, "kind": matriarch_api::KIND,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"teamId": team, "numberOfInstances": 1, "volume": {"size": "1Gi"}, "postgresql": {}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels and names come from the name alone, whatever the team.
    #[test]
    fn a_name_is_enough_to_find_what_belongs_to_it() {
        let settings = Settings::default();
        for team in ["acid", ""] {
            let (cluster, _) = Cluster::read(&words("demo", "acid-gone", team), &settings);
            let intent = render(&cluster, &settings);
            assert_eq!(intent.selector["cluster-name"], "acid-gone");
            assert_eq!((intent.stateful_set.name.as_str(), intent.identity.uid.as_str()), ("acid-gone", ""));
            let unwanted: Vec<_> = intent.unwanted.iter().map(|one| one.name.as_str()).collect();
            assert!(unwanted.contains(&"acid-gone-pooler"), "{unwanted:?}");
        }
    }
}
