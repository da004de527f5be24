//! `matriarch plan --all`: what the operator would do to every cluster, before it is let loose.

use std::fmt;
use std::process::ExitCode;

use anyhow::Context as _;
use kube::Client;
use kube::api::ListParams;
use matriarch_cluster::Cluster;
use matriarch_plan::{Consequence, Plan, plan_cluster};
use matriarch_settings::Settings;
use serde::Serialize;

use crate::kinds;
use crate::observe::Eyes;
use crate::reads::Reads;

/// What becomes of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum Effect {
    /// Nothing is written.
    Untouched,
    /// Objects are corrected; PostgreSQL and its pods go on.
    Corrected,
    /// PostgreSQL restarts in its pods.
    Restarted,
    /// Pods are made anew.
    Recreated,
    /// The manifest is refused; the cluster is left as it is.
    Refused,
}

impl Effect {
    const ALL: [Self; 5] =
        [Self::Untouched, Self::Corrected, Self::Restarted, Self::Recreated, Self::Refused];

    fn of(plan: &Plan) -> Self {
        match plan.consequence() {
            _ if plan.steps.is_empty() => Self::Untouched,
            Consequence::Restart => Self::Restarted,
            Consequence::Recreate | Consequence::Forbidden => Self::Recreated,
            Consequence::None | Consequence::Reload | Consequence::Replace => Self::Corrected,
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untouched => "untouched",
            Self::Corrected => "objects corrected, nobody restarts",
            Self::Restarted => "PostgreSQL restarts",
            Self::Recreated => "pods are recreated",
            Self::Refused => "refused, left as it is",
        })
    }
}

/// What is said of one cluster.
#[derive(Debug, Serialize)]
struct Entry {
    cluster: String,
    effect: Effect,
    plan: Option<Plan>,
    problems: Vec<String>,
}

/// Prints the plan of every manifest, then who is affected how. Exit code as of `diff`.
///
/// # Errors
/// When the manifests cannot be listed.
pub async fn run(
    client: Client,
    settings: &Settings,
    namespace: Option<&str>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let manifests = kinds::watched(&client, "postgresql", namespace);
    let manifests = manifests.list(&ListParams::default()).await.context("the manifests cannot be listed")?;
    let eyes = Eyes::new(Reads::direct(client), matriarch_patroni::Client::new()?);
    let mut entries = Vec::new();
    for manifest in manifests {
        let mut manifest = serde_json::to_value(manifest)?;
        // A list names its kind once.
        manifest["kind"] = "postgresql".into();
        entries.push(entry(&eyes, &manifest, settings).await);
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&entries)?);
    } else {
        print!("{}", text(&entries));
    }
    let touched = entries.iter().any(|entry| entry.effect > Effect::Untouched);
    Ok(if touched { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

async fn entry(eyes: &Eyes, manifest: &serde_json::Value, settings: &Settings) -> Entry {
    let text = |key: &str| manifest["metadata"][key].as_str().unwrap_or_default().to_owned();
    let cluster = format!("{}/{}", text("namespace"), text("name"));
    match Cluster::validate(manifest, settings) {
        Err(problems) => Entry {
            cluster,
            effect: Effect::Refused,
            plan: None,
            problems: problems.iter().map(ToString::to_string).collect(),
        },
        Ok(valid) => {
            let intent = eyes.intent(&valid, settings).await;
            let sight = eyes.observe(manifest, &intent, settings, None).await;
            let plan = plan_cluster(&intent, &sight.observation);
            Entry { cluster, effect: Effect::of(&plan), plan: Some(plan), problems: Vec::new() }
        }
    }
}

fn text(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        if let Some(plan) = &entry.plan {
            text.push_str(&format!("{plan}\n"));
        }
        for problem in &entry.problems {
            text.push_str(&format!("cluster {}\n  refused  {problem}\n\n", entry.cluster));
        }
    }
    text.push_str(&format!("{} clusters\n", entries.len()));
    for effect in Effect::ALL {
        let named: Vec<&str> = entries
            .iter()
            .filter(|entry| entry.effect == effect)
            .map(|entry| entry.cluster.as_str())
            .collect();
        if !named.is_empty() {
            text.push_str(&format!("  {:>4} {effect}: {}\n", named.len(), named.join(", ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use matriarch_plan::{Action, Step};

    fn with(consequence: Consequence) -> Plan {
        Plan { steps: vec![Step::new(Action::AddFinalizer, "x").costing(consequence)], ..Plan::default() }
    }

    #[test]
    fn effects_follow_from_consequences() {
        for (plan, effect) in [
            (Plan::default(), Effect::Untouched),
            (with(Consequence::None), Effect::Corrected),
            (with(Consequence::Reload), Effect::Corrected),
            (with(Consequence::Replace), Effect::Corrected),
            (with(Consequence::Restart), Effect::Restarted),
            (with(Consequence::Recreate), Effect::Recreated),
        ] {
            assert_eq!(Effect::of(&plan), effect);
        }
    }

    #[test]
    fn the_summary_names_every_cluster() {
        let entry = |cluster: &str, effect| Entry {
            cluster: cluster.to_owned(),
            effect,
            plan: None,
            problems: Vec::new(),
        };
        let entries = [entry("a/x", Effect::Untouched), entry("b/y", Effect::Recreated)];
        let text = text(&entries);
        assert!(
            text.contains("2 clusters\n     1 untouched: a/x\n     1 pods are recreated: b/y\n"),
            "{text}"
        );
    }
}
