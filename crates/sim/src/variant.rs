//! The manifests that histories are made of. Each distinct one is rendered once, for all
//! histories: rendering is pure, and would take most of the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use matriarch_cluster::policy::Policy;
use matriarch_cluster::{Cluster, Intent, render};
use matriarch_plan::ObjectKey;
use matriarch_settings::Settings;
use serde_json::{Value, json};

/// Part of the name of an image that no node can pull.
pub const MISSING: &str = "/missing:";
/// Part of the name of an image that the API server lets nobody use.
pub const REFUSED: &str = "/refused:";
/// Part of the name of an image whose program ends at once.
pub const CRASHING: &str = "/crashing:";

/// What the pods are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Template {
    /// Image 1.
    One,
    /// Image 2.
    Two,
    /// An image that does not exist.
    MissingImage,
    /// A sidecar that ends at once.
    CrashingSidecar,
    /// A sidecar that the API server's admission refuses.
    RefusedSidecar,
    /// A CPU request that no node can satisfy.
    AbsurdRequest,
}

impl Template {
    /// Whether pods of it can run.
    pub fn is_good(self) -> bool {
        matches!(self, Self::One | Self::Two)
    }
}

/// A manifest, by what differs between manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// `spec.numberOfInstances`.
    pub instances: u32,
    /// Image, sidecars and resources.
    pub template: Template,
    /// `max_connections`, which takes a restart.
    pub connections: u32,
    /// Size of the volume in GiB.
    pub gibibytes: u32,
    /// A connection pooler of the primary.
    pub pooler: bool,
    /// A second user with a database of its own.
    pub second_user: bool,
    /// Setting `enable_owner_references`.
    pub owned: bool,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            instances: 2,
            template: Template::One,
            connections: 100,
            gibibytes: 1,
            pooler: false,
            second_user: false,
            owned: false,
        }
    }
}

/// Uid of every cluster's manifest.
pub const MANIFEST_UID: &str = "manifest-1";

impl Variant {
    /// The manifest of cluster `name`.
    pub fn manifest(&self, name: &str) -> Value {
        let mut spec = json!({
            "teamId": "acid",
            "numberOfInstances": self.instances,
            "volume": {"size": format!("{}Gi", self.gibibytes)},
            "postgresql": {"version": "17", "parameters": {"max_connections": self.connections.to_string()}},
            "dockerImage": "registry.example/instance:1",
            // The original does not understand it: the template differs between the levels.
            "enableShmVolume": false,
            "users": {"owner": ["createdb"], "app": []},
            "databases": {"app": "owner"},
        });
        match self.template {
            Template::One => {}
            Template::Two => spec["dockerImage"] = json!("registry.example/instance:2"),
            Template::MissingImage => spec["dockerImage"] = json!(format!("registry.example{MISSING}1")),
            Template::CrashingSidecar => {
                spec["sidecars"] =
                    json!([{"name": "extra", "image": format!("registry.example{CRASHING}1")}]);
            }
            Template::RefusedSidecar => {
                spec["sidecars"] = json!([{"name": "extra", "image": format!("registry.example{REFUSED}1")}]);
            }
            Template::AbsurdRequest => {
                spec["resources"] = json!({"requests": {"cpu": "1000", "memory": "1Gi"},
                    "limits": {"cpu": "1000", "memory": "1Gi"}});
            }
        }
        if self.pooler {
            spec["enableConnectionPooler"] = json!(true);
        }
        if self.second_user {
            spec["users"]["second"] = json!([]);
            spec["databases"]["second"] = json!("second");
        }
        json!({
            "apiVersion": "acid.zalan.do/v1", "kind": "postgresql",
            "metadata": {"name": name, "namespace": "sim", "uid": MANIFEST_UID, "generation": 1},
            "spec": spec,
        })
    }
}

/// A rendered manifest.
#[derive(Debug, Default)]
pub struct Rendered {
    /// Which.
    pub variant: Variant,
    /// What should exist.
    pub intent: Intent,
    /// The objects that the operator looks at for it, credentials aside.
    pub keys: Vec<ObjectKey>,
    /// Names of the Secrets with credentials.
    pub secrets: Vec<String>,
}

impl Rendered {
    /// The same under another policy, on which nothing that is rendered depends.
    pub fn under(&self, policy: Policy) -> Arc<Self> {
        Arc::new(Self {
            variant: self.variant,
            intent: Intent { policy, ..self.intent.clone() },
            keys: self.keys.clone(),
            secrets: self.secrets.clone(),
        })
    }
}

/// What was rendered so far.
#[derive(Debug, Default)]
pub struct Renderings(Mutex<BTreeMap<(String, Variant), Arc<Rendered>>>);

impl Renderings {
    /// The rendering of a variant for cluster `name`.
    ///
    /// # Errors
    /// Why the manifest is refused: a defect of the simulation.
    pub fn of(&self, name: &str, variant: Variant) -> Result<Arc<Rendered>, String> {
        let key = (name.to_owned(), variant);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let rendered = Arc::new(rendered(name, variant)?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&rendered));
        Ok(rendered)
    }
}

fn rendered(name: &str, variant: Variant) -> Result<Rendered, String> {
    let settings = Settings { enable_owner_references: variant.owned, ..Settings::default() };
    let cluster = Cluster::validate(&variant.manifest(name), &settings)
        .map_err(|problems| format!("{variant:?} is refused: {problems:?}"))?;
    let intent = render(&cluster, &settings);
    let secrets: Vec<String> = intent.secrets.iter().map(|secret| secret.object.name.clone()).collect();
    let wanted = intent
        .objects()
        .filter(|object| object.kind != "Secret" || !secrets.contains(&object.name))
        .map(|object| ObjectKey::new(&object.kind, &object.name));
    let unwanted = intent.unwanted.iter().map(|unwanted| ObjectKey::new(&unwanted.kind, &unwanted.name));
    let keys = wanted.chain(unwanted).collect();
    Ok(Rendered { variant, keys, secrets, intent })
}
