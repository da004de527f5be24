//! Metrics in the OpenMetrics format; label sets are closed.

use std::sync::atomic::AtomicU64;

use matriarch_api::PostgresqlStatus;
use matriarch_plan::{Outcome, Step};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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
        };
        let registry = &mut metrics.registry;
        registry.register("passes", "Passes over clusters", metrics.passes.clone());
        registry.register("refused_manifests", "Passes that refused a manifest", metrics.refusals.clone());
        registry.register("panics", "Passes that panicked", metrics.panics.clone());
        registry.register("steps", "Steps by lane and outcome", metrics.steps.clone());
        registry.register("cluster_ready", "1 when primary and all members stream", metrics.ready.clone());
        registry.register("cluster_valid", "1 when the manifest is accepted", metrics.valid.clone());
        registry.register("orphaned_clusters", "Clusters without a manifest", metrics.orphans.clone());
        metrics
    }
}

impl Metrics {
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
