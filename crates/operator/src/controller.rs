//! `matriarch operator`: wires watches, queue and passes.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::{FutureExt, StreamExt};
use kube::api::DynamicObject;
use kube::runtime::controller::{Action as Next, Config as QueueConfig, Error as QueueError};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, watcher};
use kube::{Client, ResourceExt};
use tracing::{info, warn};

use crate::act::Hands;
use crate::metrics::Metrics;
use crate::observe::Eyes;
use crate::pass::{PassError, pass};
use crate::settings_source::SettingsSource;
use crate::{http, kinds, orphans};

/// Passes that run at the same time; one slow cluster delays no other.
const CONCURRENT_PASSES: u16 = 8;
/// A pass that takes longer is given up; the next one observes again.
const LONGEST_PASS: Duration = Duration::from_secs(180);
/// How often the first list is asked for.
const READY_POLL: Duration = Duration::from_millis(200);
/// First and longest delay after a failed pass, in seconds.
const BACKOFF_SECONDS: (u64, u64) = (1, 60);

/// Arguments and environment of the operator; the names are the original's.
#[derive(clap::Args)]
pub struct Options {
    /// The settings: `namespace/name` of a ConfigMap.
    #[arg(long, env = "CONFIG_MAP_NAME")]
    config_map_name: Option<String>,
    /// Watch this namespace only; `*` or nothing: all.
    #[arg(long, env = "WATCHED_NAMESPACE")]
    watched_namespace: Option<String>,
    /// Look after those manifests only whose annotation acid.zalan.do/controller is this; nothing:
    /// those without the annotation.
    #[arg(long, env = "CONTROLLER_ID", default_value = "")]
    controller_id: String,
    /// Port of /healthz, /readyz and /metrics.
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
}

/// What all passes share.
pub struct Context {
    /// Access to the API server.
    pub client: Client,
    /// Reads.
    pub eyes: Eyes,
    /// Writes.
    pub hands: Hands,
    /// Settings in force.
    pub settings: SettingsSource,
    /// Events.
    pub recorder: Recorder,
    /// Metrics.
    pub metrics: Metrics,
    /// The watched namespace; `None`: all.
    pub namespace: Option<String>,
    /// Which manifests are ours, see [`crate::controller_id`].
    pub controller_id: String,
    ready: AtomicBool,
    failures: Mutex<BTreeMap<(String, String), u32>>,
}

impl Context {
    /// Whether the manifests have been listed.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Counts failures in a row of a cluster, to wait longer each time.
    fn failed_again(&self, object: &DynamicObject) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key(object)).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn succeeded(&self, object: &DynamicObject) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(object));
    }
}

fn key(object: &DynamicObject) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Runs until a signal comes.
///
/// # Errors
/// When it cannot start: no cluster, invalid settings, port taken.
pub async fn run(options: Options) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "info,kube_runtime=warn".into()),
        )
        .init();
    let client =
        Client::try_default().await.context("no Kubernetes API: run in a cluster, or set KUBECONFIG")?;
    let settings = SettingsSource::start(&client, options.config_map_name.as_deref()).await?;
    let namespace = options.watched_namespace.clone().filter(|name| !name.is_empty() && name != "*");
    let patroni = matriarch_patroni::Client::new()?;
    let reporter = Reporter { controller: "postgres-operator".to_owned(), instance: None };
    let context = Arc::new(Context {
        eyes: Eyes::new(client.clone(), patroni.clone()),
        hands: Hands::new(client.clone(), patroni),
        recorder: Recorder::new(client.clone(), reporter),
        client,
        settings,
        metrics: Metrics::default(),
        namespace,
        controller_id: options.controller_id.clone(),
        ready: AtomicBool::new(false),
        failures: Mutex::default(),
    });
    info!(version = env!("CARGO_PKG_VERSION"), "starting");
    tokio::spawn(orphans::watch(Arc::clone(&context)));
    tokio::select! {
        result = http::serve(Arc::clone(&context), options.http_port) => result,
        () = watch(context) => Ok(()),
    }
}

/// The queue: an event of a manifest, or of an object that carries its labels, wakes
/// exactly its cluster.
async fn watch(context: Arc<Context>) {
    let client = &context.client;
    let namespace = context.namespace.as_deref();
    let kind = kinds::resource("postgresql");
    let settings = context.settings.current();
    let labels = settings.cluster_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let labelled = watcher::Config::default().labels(&labels.collect::<Vec<_>>().join(","));
    let mut controller = Controller::new_with(
        kinds::watched(client, "postgresql", namespace),
        watcher::Config::default(),
        kind.clone(),
    )
    .with_config(QueueConfig::default().concurrency(CONCURRENT_PASSES));
    for owned in ["Pod", "StatefulSet", "Service", "PodDisruptionBudget", "Secret"] {
        let (label, kind) = (settings.cluster_name_label.clone(), kind.clone());
        controller = controller.watches_with(
            kinds::watched(client, owned, namespace),
            kinds::resource(owned),
            labelled.clone(),
            move |object| {
                let name = object.labels().get(&label)?;
                let target = ObjectRef::new_with(name, kind.clone());
                Some(target.within(&object.namespace().unwrap_or_default()))
            },
        );
    }
    let store = controller.store();
    let listed = Arc::clone(&context);
    tokio::spawn(async move {
        // The queue's runner waits for the same store, and only the last waiter is woken:
        // ask again.
        loop {
            match tokio::time::timeout(READY_POLL, store.wait_until_ready()).await {
                Ok(Ok(())) => return listed.ready.store(true, Ordering::Relaxed),
                Ok(Err(_)) => return,
                Err(_) => {}
            }
        }
    });
    controller
        .shutdown_on_signal()
        .run(contained, on_error, context)
        .for_each(|result| async move {
            match result {
                // An event of a cluster whose manifest is gone, or never was.
                Ok(_) | Err(QueueError::ObjectNotFound(_)) => {}
                // Said by `on_error` already.
                Err(QueueError::ReconcilerFailed(..)) => {}
                Err(error) => warn!("queue: {error}"),
            }
        })
        .await;
    info!("stopped");
}

/// A panic or a hanging call is contained to its cluster.
async fn contained(object: Arc<DynamicObject>, context: Arc<Context>) -> Result<Next, PassError> {
    let running = AssertUnwindSafe(pass(Arc::clone(&object), Arc::clone(&context))).catch_unwind();
    let result = match tokio::time::timeout(LONGEST_PASS, running).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            context.metrics.count_panic();
            let text = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Err(PassError::Panicked(text.unwrap_or_else(|| "without a message".to_owned())))
        }
        Err(_) => Err(PassError::TimedOut(LONGEST_PASS.as_secs())),
    };
    if result.is_ok() {
        context.succeeded(&object);
    }
    result
}

fn on_error(object: Arc<DynamicObject>, error: &PassError, context: Arc<Context>) -> Next {
    let (first, longest) = BACKOFF_SECONDS;
    let times = context.failed_again(&object).min(16);
    let seconds = first.saturating_mul(1 << (times - 1)).min(longest);
    let (namespace, name) = key(&object);
    warn!("cluster {namespace}/{name}: {error}; again in {seconds} s");
    Next::requeue(Duration::from_secs(seconds))
}
