//! The command line and the environment of the operator.

use std::path::PathBuf;
use std::time::Duration;

use crate::arguments::go_bool;

/// Arguments and environment of the operator; the names are the original's (02 §3.1, §3.2).
#[derive(clap::Args)]
pub struct Options {
    /// The settings: `namespace/name` of a ConfigMap, or a name in the operator's namespace.
    #[arg(long, env = "CONFIG_MAP_NAME", default_value = "")]
    pub(super) config_map_name: String,
    /// The settings: name of an OperatorConfiguration in the operator's namespace. Stronger than a
    /// ConfigMap.
    #[arg(long, env = "POSTGRES_OPERATOR_CONFIGURATION_OBJECT", default_value = "")]
    pub(super) configuration_object: String,
    /// The operator's own namespace; otherwise that of its service account, or of the kubeconfig.
    #[arg(long, env = "OPERATOR_NAMESPACE", default_value = "")]
    pub(super) operator_namespace: String,
    /// Watch this namespace, or several with commas; `*`: all. Stronger than the option
    /// watched_namespace; without both, the operator's own.
    #[arg(long, env = "WATCHED_NAMESPACE", default_value = "")]
    pub(super) watched_namespace: String,
    /// Look after those manifests only whose annotation acid.zalan.do/controller is this; nothing:
    /// those without the annotation.
    #[arg(long, env = "CONTROLLER_ID", default_value = "")]
    pub(super) controller_id: String,
    /// The Lease by which replicas agree on who acts, in the operator's namespace. Those that are
    /// started alike have the same by themselves; `none`: no Lease, for one replica only.
    #[arg(long, env = "LEASE_NAME", default_value = "")]
    pub(super) lease_name: String,
    /// Write log lines as JSON; only `true` does.
    #[arg(long, env = "ENABLE_JSON_LOGGING", default_value = "")]
    pub(super) enable_json_logging: String,
    /// How often it is looked whether the definition of postgresql is established.
    #[arg(long, env = "CRD_READY_WAIT_INTERVAL", default_value = "4s", value_parser = wait)]
    pub(super) crd_ready_wait_interval: Duration,
    /// How long that is waited for.
    #[arg(long, env = "CRD_READY_WAIT_TIMEOUT", default_value = "30s", value_parser = wait)]
    pub(super) crd_ready_wait_timeout: Duration,
    /// Overrides the option scalyr_api_key.
    #[arg(long, env = "SCALYR_API_KEY", hide_env_values = true)]
    pub(super) scalyr_api_key: Option<String>,
    /// Use a kubeconfig instead of the pod's service account.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(super) outofcluster: Option<bool>,
    /// The kubeconfig for --outofcluster; without it KUBECONFIG.
    #[arg(long)]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Never connect to databases, whatever enable_database_access says.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(super) nodatabaseaccess: Option<bool>,
    /// Never ask the Teams API, whatever enable_teams_api says.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(super) noteamsapi: Option<bool>,
    /// Accepted for compatibility: requests are not limited here but by the API server.
    #[arg(long)]
    pub(super) kubeqps: Option<u32>,
    /// As --kubeqps.
    #[arg(long)]
    pub(super) kubeburst: Option<u32>,
    /// Port of /healthz, /readyz and /metrics; otherwise the option api_port.
    #[arg(long)]
    pub(super) http_port: Option<u16>,
}

fn wait(text: &str) -> Result<Duration, String> {
    use matriarch_settings::Kind as _;
    Duration::from_text(text)
}
