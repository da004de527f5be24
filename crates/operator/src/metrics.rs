//! Metrics in the OpenMetrics format; label sets are closed.

use std::sync::atomic::AtomicU64;

use std::time::Duration;

use matriarch_api::PostgresqlStatus;
use matriarch_plan::scheduler::Turn;
use matriarch_plan::{Outcome, Step};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClusterLabels {
    namespace: String,
    cluster: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    lane: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabels {
    why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabels {
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLabels {
    of: &'static str,
}

/// Upper bounds of the time that a cluster is due before its pass begins, in seconds.
const WAITED: [f64; 10] = [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

/// Counts requests to the API server; cheap to clone.
#[derive(Clone)]
pub struct Requests(Family<VerbLabels, Counter>);

impl Requests {
    /// Counts one.
    pub fn count(&self, verb: &'static str) {
        self.0.get_or_create(&VerbLabels { verb }).inc();
    }
}

/// How a kind's watches fare.
pub struct Watched {
    /// The kind.
    pub kind: &'static str,
    /// Objects that are known.
    pub objects: usize,
    /// What they take, in bytes.
    pub bytes: usize,
    /// Events since the start.
    pub events: u64,
    /// Errors since the start.
    pub errors: u64,
    /// Since the last event.
    pub quiet: Option<Duration>,
}

/// What is told of each kind that is watched.
struct WatchMetrics {
    objects: Family<KindLabels, Gauge>,
    bytes: Family<KindLabels, Gauge>,
    events: Family<KindLabels, Gauge>,
    errors: Family<KindLabels, Gauge>,
    quiet: Family<KindLabels, Gauge>,
}

/// What is told of the queue.
struct QueueMetrics {
    turns: Family<WhyLabels, Counter>,
    waited: Histogram,
    waiting: Gauge,
    running: Gauge,
    troubled: Gauge,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    passes: Counter<u64, AtomicU64>,
    refusals: Counter<u64, AtomicU64>,
    panics: Counter<u64, AtomicU64>,
    steps: Family<StepLabels, Counter>,
    ready: Family<ClusterLabels, Gauge>,
    valid: Family<ClusterLabels, Gauge>,
    orphans: Gauge,
    leads: Gauge,
    queue: QueueMetrics,
    watches: WatchMetrics,
    requests: Requests,
    timeouts: Family<OfLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("matriarch"),
            passes: Counter::default(),
            refusals: Counter::default(),
            panics: Counter::default(),
            steps: Family::default(),
            ready: Family::default(),
            valid: Family::default(),
            orphans: Gauge::default(),
            leads: Gauge::default(),
            queue: QueueMetrics {
                turns: Family::default(),
                waited: Histogram::new(WAITED),
                waiting: Gauge::default(),
                running: Gauge::default(),
                troubled: Gauge::default(),
            },
            watches: WatchMetrics {
                objects: Family::default(),
                bytes: Family::default(),
                events: Family::default(),
                errors: Family::default(),
                quiet: Family::default(),
            },
            requests: Requests(Family::default()),
            timeouts: Family::default(),
        };
        metrics.register_engine();
        let registry = &mut metrics.registry;
        registry.register("passes", "Passes over clusters", metrics.passes.clone());
        registry.register("refused_manifests", "Passes that refused a manifest", metrics.refusals.clone());
        registry.register("panics", "Passes that panicked", metrics.panics.clone());
        registry.register("steps", "Steps by lane and outcome", metrics.steps.clone());
        registry.register("cluster_ready", "1 when primary and all members stream", metrics.ready.clone());
        registry.register("cluster_valid", "1 when the manifest is accepted", metrics.valid.clone());
        registry.register("leads", "1 in the replica that acts, 0 in the others", metrics.leads.clone());
        registry.register("orphaned_clusters", "Clusters without a manifest", metrics.orphans.clone());
        metrics
    }
}

impl Metrics {
    /// The queue, the watches and the requests.
    fn register_engine(&mut self) {
        let registry = &mut self.registry;
        let queue = &self.queue;
        registry.register("turns", "Passes that began, by their best reason", queue.turns.clone());
        registry.register(
            "queue_seconds",
            "How long clusters were due before their pass began",
            queue.waited.clone(),
        );
        registry.register("clusters_waiting", "Clusters that are due", queue.waiting.clone());
        registry.register("passes_running", "Passes that run", queue.running.clone());
        registry.register(
            "passes_running_troubled",
            "Passes that run for clusters that fail, wait or are slow",
            queue.troubled.clone(),
        );
        let watches = &self.watches;
        registry.register("watched_objects", "Objects that are known, by kind", watches.objects.clone());
        registry.register("watched_bytes", "What they take in memory", watches.bytes.clone());
        registry.register("watch_events", "Events of watches since the start", watches.events.clone());
        registry.register("watch_errors", "Errors of watches since the start", watches.errors.clone());
        registry.register("watch_quiet_seconds", "Since the last event of a watch", watches.quiet.clone());
        registry.register("api_requests", "Requests to the Kubernetes API", self.requests.0.clone());
        registry.register("timeouts", "What was given up because it took too long", self.timeouts.clone());
    }

    /// Counts requests to the API server.
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// Counts a turn that begins.
    pub fn count_turn(&self, turn: &Turn) {
        let why = turn.why.first().map_or("event", |why| why.word());
        self.queue.turns.get_or_create(&WhyLabels { why }).inc();
        self.queue.waited.observe(turn.waited.as_secs_f64());
    }

    /// How the queue stands.
    pub fn set_queue(&self, waiting: usize, running: usize, troubled: usize) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue.waiting.set(number(waiting));
        self.queue.running.set(number(running));
        self.queue.troubled.set(number(troubled));
    }

    /// Counts something that was given up because it took too long.
    pub fn count_timeout(&self, of: &'static str) {
        self.timeouts.get_or_create(&OfLabels { of }).inc();
    }

    /// How a kind's watches fare.
    pub fn set_watched(&self, watched: &Watched) {
        let labels = KindLabels { kind: watched.kind };
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.watches.objects.get_or_create(&labels).set(number(watched.objects));
        self.watches.bytes.get_or_create(&labels).set(number(watched.bytes));
        self.watches.events.get_or_create(&labels).set(count(watched.events));
        self.watches.errors.get_or_create(&labels).set(count(watched.errors));
        if let Some(quiet) = watched.quiet {
            self.watches.quiet.get_or_create(&labels).set(count(quiet.as_secs()));
        }
    }

    /// Counts a pass over a valid manifest.
    pub fn count_pass(
        &self,
        outcomes: &[(Step, Outcome)],
        after: &PostgresqlStatus,
        namespace: &str,
        cluster: &str,
    ) {
        self.passes.inc();
        for (step, outcome) in outcomes {
            let outcome = match outcome {
                Outcome::Applied => "applied",
                Outcome::Outdated(_) => "outdated",
                Outcome::Failed(_) => "failed",
                Outcome::Skipped(_) => "skipped",
            };
            let labels = StepLabels { lane: step.action.lane().word(), outcome };
            self.steps.get_or_create(&labels).inc();
        }
        let ready = after.postgres_cluster_status == "Running";
        self.ready.get_or_create(&labels(namespace, cluster)).set(i64::from(ready));
        self.valid.get_or_create(&labels(namespace, cluster)).set(1);
    }

    /// Counts a refused manifest.
    pub fn count_refusal(&self, namespace: &str, cluster: &str) {
        self.refusals.inc();
        self.valid.get_or_create(&labels(namespace, cluster)).set(0);
    }

    /// Counts a panic that was contained.
    pub fn count_panic(&self) {
        self.panics.inc();
    }

    /// Drops the series of a deleted cluster.
    pub fn forget(&self, namespace: &str, cluster: &str) {
        self.ready.remove(&labels(namespace, cluster));
        self.valid.remove(&labels(namespace, cluster));
    }

    /// Whether this replica acts.
    pub fn set_leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }

    /// Number of clusters without a manifest.
    pub fn set_orphans(&self, count: usize) {
        self.orphans.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The exposition text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# metrics cannot be encoded: {error}\n"),
        }
    }
}

fn labels(namespace: &str, cluster: &str) -> ClusterLabels {
    ClusterLabels { namespace: namespace.to_owned(), cluster: cluster.to_owned() }
}
