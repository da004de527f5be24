//! The definitions of our kinds, put up to date at start (`enable_crd_registration`, 02 §3.6).

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use matriarch_plan::ownership::FIELD_MANAGER;
use matriarch_settings::Settings;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::commands::crds::definitions;
use crate::plain::plain;

/// How long the definitions are waited for, and how often they are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `CRD_READY_WAIT_INTERVAL`.
    pub interval: Duration,
    /// `CRD_READY_WAIT_TIMEOUT`.
    pub timeout: Duration,
}

/// Applies the definitions and waits until the API server serves them. Without the right to do so
/// they must exist, and that is all that is asked.
///
/// # Errors
/// When a definition is refused, or is not served in time.
pub async fn register(client: &Client, settings: &Settings, patience: Patience) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (name, definition) in registered(settings) {
        apply(&api, &name, &definition).await?;
    }
    wait(&api, "postgresqls.acid.zalan.do", patience).await
}

/// The definitions that the settings let us apply, by name.
fn registered(settings: &Settings) -> Vec<(String, Value)> {
    if !settings.enable_crd_registration {
        return Vec::new();
    }
    let named = |mut definition: Value| {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if name.starts_with("postgresqls.") {
            definition["spec"]["names"]["categories"] = json!(settings.crd_categories);
        }
        (name, definition)
    };
    definitions().into_iter().map(named).collect()
}

async fn apply(api: &Api<CustomResourceDefinition>, name: &str, definition: &Value) -> anyhow::Result<()> {
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    match api.patch(name, &parameters, &Patch::Apply(definition)).await {
        Ok(_) => info!("definition {name} is up to date"),
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            warn!("definition {name} cannot be registered: {}", status.message);
        }
        Err(error) => return Err(error).with_context(|| format!("definition {name} is refused")),
    }
    Ok(())
}

async fn wait(api: &Api<CustomResourceDefinition>, name: &str, patience: Patience) -> anyhow::Result<()> {
    let looks = patience.timeout.as_millis() / patience.interval.as_millis().max(1);
    for look in 0..=looks {
        match api.get_opt(name).await {
            Ok(Some(definition)) if is_established(&definition) => return Ok(()),
            // It cannot be looked at: the watches will tell.
            Err(kube::Error::Api(status)) if status.is_forbidden() => return Ok(()),
            Ok(None) if look == 0 => {
                warn!("definition {name} does not exist: apply the output of `matriarch crds`");
            }
            Err(error) if look == 0 => warn!("definition {name} cannot be read: {}", plain(&error)),
            _ => {}
        }
        tokio::time::sleep(patience.interval).await;
    }
    bail!("definition {name} is not established after {} s", patience.timeout.as_secs())
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|one| one.type_ == "Established" && one.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_follows_the_settings() {
        let found = registered(&Settings { crd_categories: vec!["db".to_owned()], ..Settings::default() });
        assert_eq!(found.len(), 3);
        let ours = found.iter().find(|(name, _)| name.starts_with("postgresqls.")).map(|(_, body)| body);
        assert_eq!(ours.map(|body| &body["spec"]["names"]["categories"]), Some(&json!(["db"])));
        assert_eq!(registered(&Settings { enable_crd_registration: false, ..Settings::default() }), vec![]);
    }
}
