//! `matriarch operator`: wires watches, queue and passes.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DynamicObject;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action as Next, Config as QueueConfig, Error as QueueError};
use kube::runtime::events::{EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, ResourceExt};
use matriarch_settings::Settings;
use tracing::{info, warn};

use crate::access::Access;
use crate::act::Hands;
use crate::arguments::go_bool;
use crate::events::Events;
use crate::logging::{self, LogLevel};
use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::observe::Eyes;
use crate::pass::{PassError, pass};
use crate::registration::{self, Patience};
use crate::settings_source::{Origin, Overrides, SettingsSource};
use crate::{http, kinds, orphans, report, settings_change};

/// A pass that takes longer is given up; the next one observes again.
const LONGEST_PASS: Duration = Duration::from_secs(180);
/// Kinds whose changes wake their cluster, with their resources.
const WAKING: [(&str, &str); 5] = [
    ("Pod", "pods"),
    ("StatefulSet", "statefulsets"),
    ("Service", "services"),
    ("PodDisruptionBudget", "poddisruptionbudgets"),
    ("Secret", "secrets"),
];
/// How often every cluster is looked at where one of those cannot be watched.
const POLL_WITHOUT_WATCH: Duration = Duration::from_secs(60);
/// How often the first list is asked for.
const READY_POLL: Duration = Duration::from_millis(200);
/// First and longest delay after a failed pass, in seconds.
const BACKOFF_SECONDS: (u64, u64) = (1, 60);

/// Arguments and environment of the operator; the names are the original's (02 §3.1, §3.2).
#[derive(clap::Args)]
pub struct Options {
    /// The settings: `namespace/name` of a ConfigMap, or a name in the operator's namespace.
    #[arg(long, env = "CONFIG_MAP_NAME", default_value = "")]
    config_map_name: String,
    /// The settings: name of an OperatorConfiguration in the operator's namespace. Stronger than a
    /// ConfigMap.
    #[arg(long, env = "POSTGRES_OPERATOR_CONFIGURATION_OBJECT", default_value = "")]
    configuration_object: String,
    /// The operator's own namespace; otherwise that of its service account, or of the kubeconfig.
    #[arg(long, env = "OPERATOR_NAMESPACE", default_value = "")]
    operator_namespace: String,
    /// Watch this namespace, or several with commas; `*`: all. Stronger than the option
    /// watched_namespace; without both, the operator's own.
    #[arg(long, env = "WATCHED_NAMESPACE", default_value = "")]
    watched_namespace: String,
    /// Look after those manifests only whose annotation acid.zalan.do/controller is this; nothing:
    /// those without the annotation.
    #[arg(long, env = "CONTROLLER_ID", default_value = "")]
    controller_id: String,
    /// Write log lines as JSON; only `true` does.
    #[arg(long, env = "ENABLE_JSON_LOGGING", default_value = "")]
    enable_json_logging: String,
    /// How often it is looked whether the definition of postgresql is established.
    #[arg(long, env = "CRD_READY_WAIT_INTERVAL", default_value = "4s", value_parser = wait)]
    crd_ready_wait_interval: Duration,
    /// How long that is waited for.
    #[arg(long, env = "CRD_READY_WAIT_TIMEOUT", default_value = "30s", value_parser = wait)]
    crd_ready_wait_timeout: Duration,
    /// Overrides the option scalyr_api_key.
    #[arg(long, env = "SCALYR_API_KEY", hide_env_values = true)]
    scalyr_api_key: Option<String>,
    /// Use a kubeconfig instead of the pod's service account.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    outofcluster: Option<bool>,
    /// The kubeconfig for --outofcluster; without it KUBECONFIG.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Never connect to databases, whatever enable_database_access says.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    nodatabaseaccess: Option<bool>,
    /// Never ask the Teams API, whatever enable_teams_api says.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    noteamsapi: Option<bool>,
    /// Accepted for compatibility: requests are not limited here but by the API server.
    #[arg(long)]
    kubeqps: Option<u32>,
    /// As --kubeqps.
    #[arg(long)]
    kubeburst: Option<u32>,
    /// Port of /healthz, /readyz and /metrics; otherwise the option api_port.
    #[arg(long)]
    http_port: Option<u16>,
}

fn wait(text: &str) -> Result<Duration, String> {
    use matriarch_settings::Kind as _;
    Duration::from_text(text)
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
    pub recorder: Events,
    /// Metrics.
    pub metrics: Metrics,
    /// Which manifests are ours, see [`crate::controller_id`].
    pub controller_id: String,
    /// What the API server lets us do.
    pub access: Access,
    /// `WATCHED_NAMESPACE` and our own namespace.
    places: (String, String),
    log_level: LogLevel,
    stores: Mutex<Vec<Store<DynamicObject>>>,
    wake: tokio::sync::watch::Sender<u64>,
    reshape: tokio::sync::watch::Sender<u64>,
    ready: AtomicBool,
    failures: Mutex<BTreeMap<(String, String), u32>>,
}

impl Context {
    /// Whether the manifests have been listed.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// The namespaces that are watched.
    pub fn namespaces(&self) -> Namespaces {
        self.namespaces_of(&self.settings.current())
    }

    fn namespaces_of(&self, settings: &Settings) -> Namespaces {
        Namespaces::of(Some(&self.places.0), &settings.watched_namespace, &self.places.1)
    }

    /// Every manifest that is known, of all operators.
    pub fn manifests(&self) -> Vec<Arc<DynamicObject>> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.iter().flat_map(Store::state).collect()
    }

    /// Every cluster is looked at with the new settings; the watches begin anew where the settings
    /// give them another shape.
    pub fn settings_changed(&self, before: &Settings, after: &Settings) {
        self.log_level.set(after.debug_logging);
        let shape = |settings: &Settings| {
            (
                self.namespaces_of(settings),
                settings.cluster_labels.clone(),
                settings.cluster_name_label.clone(),
                settings.workers,
            )
        };
        if shape(before) != shape(after) {
            self.reshape.send_modify(|count| *count += 1);
        }
        self.wake_all();
    }

    /// Looks at every cluster now.
    pub fn wake_all(&self) {
        self.wake.send_modify(|count| *count += 1);
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

/// Runs until a signal comes. Settings that are refused do not end it: it says so, and waits for
/// better ones.
///
/// # Errors
/// When it cannot start: no cluster, a watched namespace that does not exist, port taken.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let log_level = logging::start(options.enable_json_logging == "true")?;
    info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let client = connect(&options).await?;
    let own = Some(options.operator_namespace.clone()).filter(|name| !name.is_empty());
    let own = own.unwrap_or_else(|| client.default_namespace().to_owned());
    let origin = Origin::of(&options.config_map_name, &options.configuration_object, &own);
    let origin = origin.map_err(anyhow::Error::msg)?;
    let overrides = Overrides {
        no_database_access: options.nodatabaseaccess.unwrap_or_default(),
        no_teams_api: options.noteamsapi.unwrap_or_default(),
        scalyr_api_key: options.scalyr_api_key.clone(),
    };
    let settings = SettingsSource::new(client.clone(), origin, overrides);
    let reporter = Reporter { controller: "postgres-operator".to_owned(), instance: None };
    let recorder = Events::new(client.clone(), Recorder::new(client.clone(), reporter));
    // The port may be a setting: it is asked for even in settings that are refused.
    let port = match options.http_port {
        Some(port) => port,
        None => port(&settings).await,
    };
    let served = http::Served { settings: settings.clone(), context: Arc::default() };
    let begun = begin(&options, client, settings, recorder, (own, log_level), &served);
    tokio::select! {
        result = http::serve(served.clone(), port) => result,
        result = begun => result,
    }
}

async fn port(settings: &SettingsSource) -> u16 {
    settings.fetch().await.map_or(DEFAULT_PORT, |fetched| port_of(&fetched.reading.settings))
}

/// Port of the HTTP API where nothing says another.
const DEFAULT_PORT: u16 = 8080;

fn port_of(settings: &Settings) -> u16 {
    u16::try_from(settings.api_port).ok().filter(|port| *port > 0).unwrap_or(DEFAULT_PORT)
}

/// Passes that run at once in each of so many watches.
fn per_watch(settings: &Settings, watches: usize) -> u16 {
    let workers = usize::try_from(settings.workers).unwrap_or(1).max(1);
    u16::try_from((workers / watches.max(1)).max(1)).unwrap_or(u16::MAX)
}

async fn connect(options: &Options) -> anyhow::Result<Client> {
    let client = match &options.kubeconfig {
        Some(path) if options.outofcluster.unwrap_or_default() => {
            let file =
                Kubeconfig::read_from(path).with_context(|| format!("kubeconfig {}", path.display()))?;
            let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
            Client::try_from(config)
        }
        _ => Client::try_default().await,
    };
    client.context("no Kubernetes API: run in a cluster, or set KUBECONFIG")
}

/// The order of a start: settings, rights, namespaces, definitions, watches (02 §3.5).
async fn begin(
    options: &Options,
    client: Client,
    settings: SettingsSource,
    recorder: Events,
    (own, log_level): (String, LogLevel),
    served: &http::Served,
) -> anyhow::Result<()> {
    settings_change::first(&settings, &recorder).await;
    let current = settings.current();
    log_level.set(current.debug_logging);
    let places = (options.watched_namespace.clone(), own);
    let namespaces = Namespaces::of(Some(&places.0), &current.watched_namespace, &places.1);
    info!("settings from {}; watching {namespaces}", settings.origin);
    namespaces_exist(&client, &namespaces).await?;
    let access = Access::ask(&client, &namespaces).await;
    say_missing(&access, &settings, &recorder).await;
    let patience =
        Patience { interval: options.crd_ready_wait_interval, timeout: options.crd_ready_wait_timeout };
    registration::register(&client, &current, patience).await?;
    let patroni = matriarch_patroni::Client::new()?;
    let context = Arc::new(Context {
        eyes: Eyes::new(client.clone(), patroni.clone()),
        hands: Hands::new(client.clone(), patroni),
        recorder,
        client,
        settings,
        metrics: Metrics::default(),
        controller_id: options.controller_id.clone(),
        access,
        places,
        log_level,
        stores: Mutex::default(),
        wake: tokio::sync::watch::Sender::new(0),
        reshape: tokio::sync::watch::Sender::new(0),
        ready: AtomicBool::new(false),
        failures: Mutex::default(),
    });
    let _ = served.context.set(Arc::clone(&context));
    tokio::spawn(orphans::watch(Arc::clone(&context)));
    tokio::spawn(settings_change::follow(Arc::clone(&context)));
    tokio::spawn(poll(Arc::clone(&context)));
    watch_all(context).await;
    Ok(())
}

/// A namespace that does not exist is a mistake that waiting does not heal.
async fn namespaces_exist(client: &Client, namespaces: &Namespaces) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    for name in namespaces.each().into_iter().flatten() {
        match api.get_opt(name).await {
            Ok(Some(_)) => {}
            Ok(None) => bail!("the watched namespace {name} does not exist: create it, or watch another"),
            Err(error) => warn!("the watched namespace {name} cannot be read: {error}"),
        }
    }
    Ok(())
}

/// What is not allowed is said once, in the log, in an event and in the body of /readyz.
async fn say_missing(access: &Access, settings: &SettingsSource, recorder: &Events) {
    let lines = access.lines();
    if lines.is_empty() {
        return;
    }
    for line in &lines {
        warn!("missing right: {line}");
    }
    settings.tell(|standing| standing.missing_rights.clone_from(&lines));
    let regarding = match settings.fetch().await {
        Ok(fetched) => fetched.regarding,
        Err(_) => settings.regarding(),
    };
    if regarding.name.is_some() {
        let note = format!("rights are missing; everything else works. {}", lines.join("; "));
        report::publish(recorder, &regarding, EventType::Warning, "MissingRights", &note).await;
    }
}

/// Where changes of objects cannot be watched, every cluster is looked at from time to time.
async fn poll(context: Arc<Context>) {
    if WAKING.iter().all(|(_, plural)| context.access.can_watch(plural)) {
        return;
    }
    loop {
        tokio::time::sleep(POLL_WITHOUT_WATCH).await;
        context.wake_all();
    }
}

/// Watches until a signal comes; begins anew when the settings give the watches another shape.
async fn watch_all(context: Arc<Context>) {
    loop {
        let shape = *context.reshape.borrow();
        let settings = context.settings.current();
        let namespaces = context.namespaces();
        let each = namespaces.each();
        let per_watch = per_watch(&settings, each.len());
        context.stores.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let watches =
            each.into_iter().map(|namespace| watch(Arc::clone(&context), &settings, namespace, per_watch));
        futures::future::join_all(watches).await;
        if *context.reshape.borrow() == shape {
            break;
        }
        info!("the watches begin anew with the new settings");
    }
    info!("stopped");
}

/// The queue: an event of a manifest, or of an object that carries its labels, wakes
/// exactly its cluster.
async fn watch(context: Arc<Context>, settings: &Settings, namespace: Option<&str>, concurrency: u16) {
    let client = &context.client;
    let kind = kinds::resource("postgresql");
    let labels = settings.cluster_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let labelled = watcher::Config::default().labels(&labels.collect::<Vec<_>>().join(","));
    let mut controller = Controller::new_with(
        kinds::watched(client, "postgresql", namespace),
        watcher::Config::default(),
        kind.clone(),
    )
    .with_config(QueueConfig::default().concurrency(concurrency));
    for (owned, plural) in WAKING {
        if !context.access.can_watch(plural) {
            continue;
        }
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
    context.stores.lock().unwrap_or_else(PoisonError::into_inner).push(store.clone());
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
    let mut reshape = context.reshape.subscribe();
    let wake = futures::stream::unfold(context.wake.subscribe(), |mut wake| async move {
        wake.changed().await.ok()?;
        Some(((), wake))
    });
    controller
        .shutdown_on_signal()
        .graceful_shutdown_on(async move {
            // The sender lives as long as the context does.
            let _ = reshape.changed().await;
        })
        .reconcile_all_on(wake)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_follows_api_port() {
        let port = |api_port| port_of(&Settings { api_port, ..Settings::default() });
        assert_eq!((port(7), port(0), port(70000)), (7, 8080, 8080));
    }

    #[test]
    fn workers_are_shared_between_watches() {
        let share = |workers, watches| per_watch(&Settings { workers, ..Settings::default() }, watches);
        assert_eq!((share(8, 1), share(8, 3), share(1, 3), share(0, 1)), (8, 2, 1, 1));
    }
}
