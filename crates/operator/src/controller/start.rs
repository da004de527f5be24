//! How the operator starts, and how it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::events::{EventType, Recorder, Reporter};
use kube::{Api, Client};
use matriarch_plan::scheduler::Why;
use matriarch_settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{info, warn};

use super::{Context, Options};
use crate::access::Access;
use crate::act::Hands;
use crate::cache::{self, Caches, Frame};
use crate::events::Events;
use crate::lease::{self, Campaign, Leadership};
use crate::logging::{self, LogLevel};
use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::nodes::Nodes;
use crate::observe::Eyes;
use crate::plain::plain;
use crate::queue::{self, Queue};
use crate::reads::Reads;
use crate::registration::{self, Patience};
use crate::said::Said;
use crate::settings_source::{Origin, Overrides, SettingsSource};
use crate::{http, kinds, orphans, report, requests, settings_change};

/// How often every cluster is looked at where a kind cannot be watched.
const POLL_WITHOUT_WATCH: Duration = Duration::from_secs(60);
/// Handing the Lease back takes no longer.
const HAND_BACK: Duration = Duration::from_secs(3);
/// Port of the HTTP API where nothing says another.
const DEFAULT_PORT: u16 = 8080;

/// Runs until a signal comes. Settings that are refused do not end it: it says so, and waits for
/// better ones.
///
/// # Errors
/// When it cannot start: no cluster, a watched namespace that does not exist, port taken.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let log_level = logging::start(options.enable_json_logging == "true")?;
    info!(version = env!("CARGO_PKG_VERSION"), "starting");
    let metrics = Metrics::default();
    let client = connect(&options, &metrics).await?;
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
    let parts = Parts { client, settings, recorder, metrics, own, log_level };
    let begun = begin(&options, parts, &served);
    tokio::select! {
        result = http::serve(served.clone(), port) => result,
        result = begun => result,
    }
}

/// What exists before the context does.
struct Parts {
    client: Client,
    settings: SettingsSource,
    recorder: Events,
    metrics: Metrics,
    own: String,
    log_level: LogLevel,
}

async fn port(settings: &SettingsSource) -> u16 {
    settings.fetch().await.map_or(DEFAULT_PORT, |fetched| port_of(&fetched.reading.settings))
}

fn port_of(settings: &Settings) -> u16 {
    u16::try_from(settings.api_port).ok().filter(|port| *port > 0).unwrap_or(DEFAULT_PORT)
}

/// As many places to work at as there are workers.
pub(super) fn desks(settings: &Settings) -> Arc<Semaphore> {
    let workers = usize::try_from(settings.workers).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS);
    Arc::new(Semaphore::new(workers))
}

async fn connect(options: &Options, metrics: &Metrics) -> anyhow::Result<Client> {
    let config = match &options.kubeconfig {
        Some(path) if options.outofcluster.unwrap_or_default() => {
            let file =
                Kubeconfig::read_from(path).with_context(|| format!("kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
        }
        _ => kube::Config::infer().await.context("no Kubernetes API: run in a cluster, or set KUBECONFIG")?,
    };
    requests::client(config, metrics).context("the Kubernetes API cannot be used")
}

/// The order of a start: settings, rights, namespaces, definitions, watches (02 §3.5).
async fn begin(options: &Options, parts: Parts, served: &http::Served) -> anyhow::Result<()> {
    settings_change::first(&parts.settings, &parts.recorder).await;
    let current = parts.settings.current();
    parts.log_level.set(current.debug_logging);
    let namespaces = Namespaces::of(Some(&options.watched_namespace), &current.watched_namespace, &parts.own);
    info!("settings from {}; watching {namespaces}", parts.settings.origin);
    namespaces_exist(&parts.client, &namespaces).await?;
    let lease_in = (options.lease_name != lease::NONE).then_some(parts.own.as_str());
    let access = Access::ask(&parts.client, &namespaces, lease_in).await;
    say_missing(&access, &parts.settings, &parts.recorder).await;
    let patience =
        Patience { interval: options.crd_ready_wait_interval, timeout: options.crd_ready_wait_timeout };
    registration::register(&parts.client, &current, patience).await?;
    let leadership =
        if options.lease_name == lease::NONE { Leadership::forever() } else { Leadership::none() };
    parts.recorder.quiet_unless(&leadership);
    parts.settings.quiet_unless(&leadership);
    let campaign = campaign(options, &parts, &leadership);
    let (queue, inbox) = Queue::new();
    let frame = Frame::of(namespaces, &current, &access);
    let caches = Caches::start(&parts.client, &frame, &queue);
    let nodes = Nodes::default();
    let context =
        Arc::new(context(options, parts, access, queue, caches, leadership.clone(), nodes.clone())?);
    let _ = served.context.set(Arc::clone(&context));
    if context.access.can_watch("nodes") {
        tokio::spawn(nodes.watch(Arc::clone(&context)));
    }
    let ended = ended()?;
    let (stop, stopped) = oneshot::channel();
    // What it yields goes on beside the queue.
    #[allow(clippy::async_yields_async)]
    let work = async {
        context.caches().listed().await;
        context.ready.store(true, Ordering::Relaxed);
        info!("{} clusters are known", context.clusters().len());
        tokio::spawn(orphans::watch(Arc::clone(&context)));
        tokio::spawn(settings_change::follow(Arc::clone(&context)));
        tokio::spawn(poll(Arc::clone(&context)));
        tokio::spawn(reshape(Arc::clone(&context), frame));
        // Only now: whoever leads can go on at once. A panic of the campaign would end leading: the
        // deadline passes, and others go on.
        tokio::spawn(async move {
            if let Some(campaign) = campaign {
                campaign.run(async { drop(stopped.await) }).await;
            }
        })
    };
    tokio::pin!(ended);
    tokio::select! {
        campaign = work => {
            queue::run(&context, inbox, &leadership, ended).await;
            // Handed back when the last pass has ended, and not before.
            let _ = stop.send(());
            let _ = tokio::time::timeout(HAND_BACK, campaign).await;
        }
        () = &mut ended => {}
    }
    info!("stopped");
    Ok(())
}

/// Takes part in the election, unless no Lease is wanted.
fn campaign(options: &Options, parts: &Parts, leadership: &Leadership) -> Option<Campaign> {
    if options.lease_name == lease::NONE {
        return None;
    }
    let name = match options.lease_name.as_str() {
        "" => {
            let settings = parts.settings.origin.to_string();
            lease::name(&options.controller_id, &options.watched_namespace, &settings)
        }
        name => name.to_owned(),
    };
    Some(Campaign::new(&parts.client, &parts.own, name, leadership.clone()))
}

fn context(
    options: &Options,
    parts: Parts,
    access: Access,
    queue: Queue,
    caches: Caches,
    leadership: Leadership,
    nodes: Nodes,
) -> anyhow::Result<Context> {
    let patroni = matriarch_patroni::Client::new()?;
    let caches = Arc::new(RwLock::new(Arc::new(caches)));
    let places = (options.watched_namespace.clone(), parts.own);
    let reads = Reads::cached(parts.client.clone(), Arc::clone(&caches), places);
    Ok(Context {
        eyes: Eyes::new(reads.clone(), patroni.clone()).with_nodes(nodes).with_access(&access),
        hands: Hands::new(&reads, patroni, leadership.clone()),
        reads,
        recorder: parts.recorder,
        client: parts.client,
        desks: RwLock::new(desks(&parts.settings.current())),
        settings: parts.settings,
        metrics: parts.metrics,
        controller_id: options.controller_id.clone(),
        access,
        said: Said::default(),
        queue,
        log_level: parts.log_level,
        caches,
        leadership,
        reshape: watch::Sender::new(0),
        ready: AtomicBool::new(false),
    })
}

/// Done when the process is asked to end.
fn ended() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be received")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}

/// A namespace that does not exist is a mistake that waiting does not heal.
async fn namespaces_exist(client: &Client, namespaces: &Namespaces) -> anyhow::Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    for name in namespaces.each().into_iter().flatten() {
        match api.get_opt(name).await {
            Ok(Some(_)) => {}
            Ok(None) => bail!("the watched namespace {name} does not exist: create it, or watch another"),
            Err(error) => warn!("the watched namespace {name} cannot be read: {}", plain(&error)),
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
    let can_watch = |kind: &str| context.access.can_watch(&kinds::resource(kind).plural);
    if cache::watched(&context.settings.current()).into_iter().all(can_watch) {
        return;
    }
    loop {
        tokio::time::sleep(POLL_WITHOUT_WATCH).await;
        context.queue.wake_all(Why::Resync);
    }
}

/// When the settings give the watches another shape, others take the place of those that run, as
/// soon as they know as much.
async fn reshape(context: Arc<Context>, mut frame: Frame) {
    let mut changes = context.reshape.subscribe();
    while changes.changed().await.is_ok() {
        let new = context.frame();
        if new == frame {
            continue;
        }
        info!("the watches begin anew with the new settings; watching {}", new.namespaces);
        let before = context.clusters();
        let caches = Caches::start(&context.client, &new, &context.queue);
        caches.listed().await;
        *context.caches.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(caches);
        for key in before.into_iter().filter(|key| !context.clusters().contains(key)) {
            context.queue.forget(key);
        }
        context.queue.wake_all(Why::Settings);
        frame = new;
    }
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
    fn there_are_as_many_desks_as_workers() {
        let desks = |workers| desks(&Settings { workers, ..Settings::default() }).available_permits();
        assert_eq!((desks(8), desks(1), desks(0)), (8, 1, 1));
    }
}
