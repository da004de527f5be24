//! The operator's ConfigMap (`CONFIG_MAP_NAME=namespace/name`), read at start and every
//! few seconds. An invalid one is refused and the last good one kept.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use matriarch_settings::Settings;
use tracing::{info, warn};

/// How often the ConfigMap is read.
const READ_EVERY: Duration = Duration::from_secs(10);

/// The settings in force.
#[derive(Clone, Default)]
pub struct SettingsSource {
    current: Arc<RwLock<Arc<Settings>>>,
}

impl SettingsSource {
    /// The settings of this moment; a pass keeps them to its end.
    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, settings: Settings) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Settings from a ConfigMap `namespace/name` (or a name in the operator's own
    /// namespace); without a name, the defaults.
    ///
    /// # Errors
    /// When the ConfigMap cannot be read or is invalid at start.
    pub async fn start(client: &Client, name: Option<&str>) -> anyhow::Result<Self> {
        let source = Self::default();
        let Some(name) = name else { return Ok(source) };
        let (namespace, name) = name.split_once('/').unwrap_or((client.default_namespace(), name));
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let settings = read(&api, name)
            .await
            .with_context(|| format!("ConfigMap {namespace}/{name}; correct it and start again"))?;
        source.replace(settings);
        let (follower, name) = (source.clone(), name.to_owned());
        tokio::spawn(async move { follower.follow(&api, &name).await });
        Ok(source)
    }

    async fn follow(&self, api: &Api<ConfigMap>, name: &str) {
        let mut last_refusal = String::new();
        loop {
            tokio::time::sleep(READ_EVERY).await;
            match read(api, name).await {
                Ok(settings) if settings == *self.current() => last_refusal.clear(),
                Ok(settings) => {
                    info!("ConfigMap {name} changed; the next passes use it");
                    self.replace(settings);
                }
                Err(error) => {
                    let refusal = format!("{error:#}");
                    if refusal != last_refusal {
                        warn!("ConfigMap {name} is refused, the last good one stays: {refusal}");
                        last_refusal = refusal;
                    }
                }
            }
        }
    }
}

async fn read(api: &Api<ConfigMap>, name: &str) -> anyhow::Result<Settings> {
    let map = api.get(name).await?;
    let (settings, problems) = Settings::from_config_map(&map.data.unwrap_or_default());
    if problems.is_empty() {
        return Ok(settings);
    }
    bail!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}
