//! The table of options. Everything else about options comes from it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::kind::{Kind, PodManagement};

/// One option, as documentation and schema need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt {
    /// Key in a ConfigMap, and in its group of an `OperatorConfiguration`.
    pub key: &'static str,
    /// Group in an `OperatorConfiguration`; empty for the top level.
    pub group: &'static str,
    /// Name of the kind of its value.
    pub kind: &'static str,
    /// Default when a ConfigMap does not have the key.
    pub default: &'static str,
    /// Default when an `OperatorConfiguration` does not have the key.
    pub default_in_object: &'static str,
    /// Value in the configuration that the project ships.
    pub shipped: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Opt {
    /// The option's path below `configuration`.
    pub fn path(&self) -> String {
        if self.group.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.group, self.key) }
    }
}

type Map = BTreeMap<String, String>;
type List = Vec<String>;

/// The first of two optional literals.
macro_rules! first {
    ($a:literal) => {
        $a
    };
    ($a:literal, $($rest:literal),+) => {
        $a
    };
}

/// `key: kind = "default" [object "default there"] [shipped "value"], "what it does";`
macro_rules! options {
    ($( group $group:literal { $(
        $key:ident : $kind:ty = $default:literal $(object $object:literal)? $(shipped $shipped:literal)?, $doc:literal;
    )* } )*) => {
        /// The operator's configuration. Field names are the keys of the options.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings { $($(
            #[doc = $doc]
            pub $key: $kind,
        )*)* }

        /// Every option, in the order of the documentation.
        pub const OPTIONS: &[Opt] = &[ $($( Opt {
            key: stringify!($key),
            group: $group,
            kind: <$kind as Kind>::NAME,
            default: $default,
            default_in_object: first!($($object,)? $default),
            shipped: first!($($shipped,)? $($object,)? $default),
            doc: $doc,
        }, )*)* ];

        impl Settings {
            /// What a ConfigMap without any key means.
            pub fn of_config_map() -> Self {
                Self { $($( $key: read($default), )*)* }
            }

            /// What an `OperatorConfiguration` without any field means.
            pub fn of_operator_configuration() -> Self {
                Self { $($( $key: read(first!($($object,)? $default)), )*)* }
            }

            /// Sets an option from text; `None` if there is no such option.
            pub(crate) fn set_text(&mut self, key: &str, text: &str) -> Option<Result<(), String>> {
                match key {
                    $($( stringify!($key) => Some(<$kind>::from_text(text).map(|value| self.$key = value)), )*)*
                    _ => None,
                }
            }

            /// Sets an option from JSON; `None` if there is no such option.
            pub(crate) fn set_json(&mut self, key: &str, json: &Value) -> Option<Result<(), String>> {
                match key {
                    $($( stringify!($key) => Some(<$kind>::from_json(json).map(|value| self.$key = value)), )*)*
                    _ => None,
                }
            }
        }

        /// The configuration that the project ships.
        impl Default for Settings {
            fn default() -> Self {
                Self { $($( $key: read(first!($($shipped,)? $($object,)? $default)), )*)* }
            }
        }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn every_default_can_be_read() {
                $($(
                    for text in [$default, first!($($object,)? $default), first!($($shipped,)? $($object,)? $default)] {
                        assert!(<$kind>::from_text(text).is_ok(), "{}: {text:?}", stringify!($key));
                    }
                )*)*
            }
        }
    };
}

/// Reads a default. A test makes sure that each can be read.
fn read<K: Kind + DefaultValue>(text: &str) -> K {
    K::from_text(text).unwrap_or_else(|_| K::zero())
}

/// Zero values, for the branch of [`read`] that never happens.
trait DefaultValue {
    fn zero() -> Self;
}

impl<T: Default> DefaultValue for T {
    fn zero() -> Self {
        T::default()
    }
}

options! {
    group "" {
        enable_crd_registration: bool = "true", "Create or update the definition of `postgresql` at start.";
        crd_categories: List = "all", "Categories of that definition.";
        enable_lazy_spilo_upgrade: bool = "false", "A new image is put into the StatefulSet only; pods get it when something else restarts them.";
        enable_maintenance_windows: bool = "true", "Honour maintenance windows; false means every moment is inside one.";
        maintenance_windows: List = "", "Windows of clusters that name none: `Sat:01:00-06:00` or `01:00-06:00`, in UTC.";
        enable_pgversion_env_var: bool = "true", "Tell the image the major version in `PGVERSION`; false puts `bin_dir` into its configuration.";
        enable_shm_volume: bool = "true", "Mount a memory volume at `/dev/shm` of PostgreSQL.";
        enable_spilo_wal_path_compat: bool = "false", "Set `ENABLE_WAL_PATH_COMPAT` in the image.";
        enable_team_id_clustername_prefix: bool = "false", "Refuse clusters whose name does not start with their team and a dash.";
        etcd_host: String = "", "Address of an etcd that Patroni uses instead of Kubernetes.";
        kubernetes_use_configmaps: bool = "true", "Patroni keeps its state in ConfigMaps; false means in Endpoints.";
        docker_image: String = "ghcr.io/zalando/spilo-18:4.1-p2", "Image of database pods.";
        sidecar_docker_images: Map = "", "Sidecars of every cluster, name and image. Deprecated.";
        sidecars: Option<Value> = "", "Sidecars of every cluster, a list of containers.";
        workers: i64 = "8", "How many clusters are worked on at the same time.";
        max_instances: i64 = "-1", "Most pods of a cluster; negative means no limit.";
        min_instances: i64 = "-1", "Fewest pods of a cluster; negative means no limit.";
        ignore_instance_limits_annotation_key: String = "", "Annotation that, with the value `true`, lifts `min_instances` and `max_instances` for a cluster.";
        ignore_resources_limits_annotation_key: String = "", "Annotation that, with the value `true`, lifts minimum limits and maximum requests for a cluster.";
        resync_period: Duration = "30m", "How often every cluster is looked at without a reason.";
        repair_period: Duration = "5m", "How often a failed cluster is tried again.";
        set_memory_request_to_limit: bool = "false", "Raise memory requests to the limit.";
    }
    group "users" {
        super_username: String = "postgres", "Superuser of new clusters.";
        replication_username: String = "standby", "Role that replicas connect with.";
        additional_owner_roles: List = "", "Roles that every owner of a database becomes a member of.";
        enable_password_rotation: bool = "false", "Rotate passwords of login roles.";
        password_rotation_interval: i64 = "90", "Days between two rotations.";
        password_rotation_user_retention: i64 = "180" object "120" shipped "180", "Days that rotated roles are kept.";
    }
    group "major_version_upgrade" {
        major_version_upgrade_mode: String = "manual", "`off`, `manual`: on a higher version in the manifest, `full`: also below the minimal version.";
        major_version_upgrade_team_allow_list: List = "", "Teams whose clusters are upgraded in mode `off` too.";
        minimal_major_version: String = "14", "Versions below it are upgraded in mode `full`.";
        target_major_version: String = "18", "Version that mode `full` upgrades to.";
    }
    group "kubernetes" {
        enable_finalizers: bool = "false", "Without effect: every cluster that is looked after has the finalizer.";
        enable_owner_references: bool = "false", "Objects of a cluster point to it as their owner.";
        delete_annotation_date_key: String = "", "Annotation that must hold today's date for a deletion to be carried out.";
        delete_annotation_name_key: String = "", "Annotation that must hold the cluster's name for a deletion to be carried out.";
        pod_service_account_name: String = "postgres-pod", "ServiceAccount of the pods.";
        pod_service_account_definition: String = "", "ServiceAccount to create, as JSON or YAML.";
        pod_service_account_role_binding_definition: String = "", "RoleBinding to create, as JSON or YAML.";
        pod_terminate_grace_period: Duration = "5m", "Time that a pod has to stop.";
        liveness_probe: Option<Value> = "", "Liveness probe of the container `postgres`.";
        spilo_privileged: bool = "false", "Run the container `postgres` privileged.";
        spilo_allow_privilege_escalation: bool = "true", "Processes of the container `postgres` may gain privileges.";
        spilo_runasuser: Option<i64> = "", "User id of the pods' processes.";
        spilo_runasgroup: Option<i64> = "", "Group id of the pods' processes.";
        spilo_fsgroup: Option<i64> = "", "Group that owns the pods' volumes.";
        additional_pod_capabilities: List = "", "Capabilities of the container `postgres`.";
        watched_namespace: String = "", "Namespace whose clusters are managed; `*` means all, empty the operator's own.";
        pdb_name_format: String = "postgres-{cluster}-pdb", "Name of the budget of the primary.";
        pdb_master_label_selector: bool = "true", "That budget selects the primary only; false means all pods.";
        enable_pod_disruption_budget: bool = "true", "Budgets protect pods; false means they allow everything.";
        storage_resize_mode: String = "pvc", "How volumes grow: `pvc`, `ebs`, `mixed` or `off`.";
        enable_init_containers: bool = "true", "Manifests may have init containers.";
        enable_sidecars: bool = "true", "Manifests may have sidecars.";
        share_pgsocket_with_sidecars: bool = "false", "Share the socket's directory with sidecars.";
        secret_name_template: String = "{username}.{cluster}.credentials.{tprkind}.{tprgroup}", "Name of credential secrets.";
        cluster_domain: String = "cluster.local", "DNS suffix of the Kubernetes cluster.";
        oauth_token_secret_name: String = "postgresql-operator", "Secret with the token for the Teams API.";
        infrastructure_roles_secret_name: String = "", "Secret with infrastructure roles in the old numbered format.";
        infrastructure_roles_secrets: Option<Value> = "", "Secrets with infrastructure roles.";
        inherited_annotations: List = "", "Annotations that a cluster hands on to its objects.";
        inherited_labels: List = "", "Labels that a cluster hands on to its objects.";
        downscaler_annotations: List = "", "Regular expressions of annotations that a cluster hands on to its StatefulSet.";
        ignored_annotations: List = "", "Annotations that are left out of comparisons.";
        pod_role_label: String = "spilo-role", "Label that tells the primary from replicas.";
        cluster_labels: Map = "application:spilo", "Labels of every object.";
        cluster_name_label: String = "cluster-name", "Label that names the cluster of an object.";
        node_readiness_label: Map = "", "Labels that nodes must have to carry database pods.";
        node_readiness_label_merge: String = "OR", "How they are combined with the affinity of a manifest: `OR` or `AND`.";
        toleration: Map = "", "Toleration of pods whose manifest has none: key, operator, value, effect.";
        pod_environment_configmap: String = "", "ConfigMap whose keys become environment of PostgreSQL, `namespace/name`.";
        pod_environment_secret: String = "", "Secret of the cluster's namespace whose keys become environment of PostgreSQL.";
        pod_priority_class_name: String = "", "Priority class of database pods.";
        master_pod_move_timeout: Duration = "20m", "How long moving primaries off a drained node is tried.";
        enable_pod_antiaffinity: bool = "false", "Pods of a cluster run on different nodes.";
        pod_antiaffinity_topology_key: String = "kubernetes.io/hostname", "Node label that says what different means.";
        pod_antiaffinity_preferred_during_scheduling: bool = "false", "Prefer different nodes instead of requiring them.";
        pod_management_policy: PodManagement = "ordered_ready", "Order in which pods are made: `ordered_ready` or `parallel`.";
        persistent_volume_claim_retention_policy: Map = "when_deleted:retain,when_scaled:retain", "What a StatefulSet does with claims: `when_deleted` and `when_scaled`, `retain` or `delete`.";
        enable_secrets_deletion: bool = "true", "Delete credential secrets with their cluster.";
        enable_persistent_volume_claim_deletion: bool = "true", "Delete volume claims with their cluster.";
        enable_readiness_probe: bool = "false", "Ask Patroni whether a pod is ready.";
        enable_cross_namespace_secret: bool = "false", "A user `namespace.name` has its secret in that namespace.";
        custom_pod_annotations: Map = "", "Annotations of pods.";
    }
    group "postgres_pod_resources" {
        default_cpu_request: String = "" shipped "100m", "CPU request of containers that have none.";
        default_memory_request: String = "" shipped "100Mi", "Memory request of containers that have none.";
        default_cpu_limit: String = "" shipped "1", "CPU limit of containers that have none.";
        default_memory_limit: String = "" shipped "500Mi", "Memory limit of containers that have none.";
        min_cpu_limit: String = "", "Smallest CPU limit of the container `postgres`.";
        min_memory_limit: String = "", "Smallest memory limit of the container `postgres`.";
        max_cpu_request: String = "", "Largest CPU request of the container `postgres`.";
        max_memory_request: String = "", "Largest memory request of the container `postgres`.";
    }
    group "timeouts" {
        resource_check_interval: Duration = "3s", "How often a change of an object is looked for.";
        resource_check_timeout: Duration = "10m", "How long a change of an object may take before it is a problem.";
        pod_label_wait_timeout: Duration = "10m", "How long a pod may take to get its role before it is a problem.";
        pod_deletion_wait_timeout: Duration = "10m", "How long a pod may take to go before it is a problem.";
        ready_wait_interval: Duration = "4s", "Without effect.";
        ready_wait_timeout: Duration = "30s", "Without effect.";
        patroni_api_check_interval: Duration = "1s", "Pause between two requests to Patroni after a failure.";
        patroni_api_check_timeout: Duration = "5s", "How long requests to Patroni are repeated.";
    }
    group "load_balancer" {
        db_hosted_zone: String = "db.example.com", "DNS zone of load balancers.";
        enable_master_load_balancer: bool = "true" object "false", "Service of the primary is a load balancer.";
        enable_master_pooler_load_balancer: bool = "false", "Service of the primary's pooler is a load balancer.";
        enable_replica_load_balancer: bool = "false", "Service of the replicas is a load balancer.";
        enable_replica_pooler_load_balancer: bool = "false", "Service of the replicas' pooler is a load balancer.";
        enable_master_node_port: bool = "false", "Service of the primary has a node port.";
        enable_master_pooler_node_port: bool = "false", "Service of the primary's pooler has a node port.";
        enable_replica_node_port: bool = "false", "Service of the replicas has a node port.";
        enable_replica_pooler_node_port: bool = "false", "Service of the replicas' pooler has a node port.";
        custom_service_annotations: Map = "", "Annotations of services.";
        master_dns_name_format: String = "{cluster}.{namespace}.{hostedzone}", "DNS name of the primary.";
        master_legacy_dns_name_format: String = "{cluster}.{team}.{hostedzone}", "Second DNS name of the primary, if the cluster's name starts with its team.";
        replica_dns_name_format: String = "{cluster}-repl.{namespace}.{hostedzone}", "DNS name of the replicas.";
        replica_legacy_dns_name_format: String = "{cluster}-repl.{team}.{hostedzone}", "Second DNS name of the replicas.";
        external_traffic_policy: String = "Cluster", "`externalTrafficPolicy` of load balancers and node ports.";
    }
    group "aws_or_gcp" {
        wal_s3_bucket: String = "", "S3 bucket of the WAL archive.";
        wal_gs_bucket: String = "", "Google bucket of the WAL archive.";
        gcp_credentials: String = "", "Path of Google credentials in the container.";
        wal_az_storage_account: String = "", "Azure account of the WAL archive.";
        log_s3_bucket: String = "", "S3 bucket for logs.";
        kube_iam_role: String = "", "AWS role of pods, as an annotation.";
        irsa_role_arn: String = "", "AWS role of the pods' service account.";
        aws_region: String = "eu-central-1", "Region of the operator's own AWS requests.";
        additional_secret_mount: String = "", "Secret mounted into all containers.";
        additional_secret_mount_path: String = "", "Where it is mounted.";
    }
    group "logical_backup" {
        logical_backup_cpu_request: String = "", "CPU request of the backup.";
        logical_backup_memory_request: String = "", "Memory request of the backup.";
        logical_backup_cpu_limit: String = "", "CPU limit of the backup.";
        logical_backup_memory_limit: String = "", "Memory limit of the backup.";
        logical_backup_docker_image: String = "ghcr.io/zalando/postgres-operator/logical-backup:v2.0.1", "Image of the backup.";
        logical_backup_google_application_credentials: String = "", "Path of Google credentials in the container.";
        logical_backup_job_prefix: String = "logical-backup-", "Start of the job's name.";
        logical_backup_provider: String = "s3", "Where backups go: `s3`, `gcs` or `az`.";
        logical_backup_azure_storage_account_name: String = "", "Azure account.";
        logical_backup_azure_storage_container: String = "", "Azure container.";
        logical_backup_azure_storage_account_key: String = "", "Azure key.";
        logical_backup_s3_access_key_id: String = "", "S3 access key.";
        logical_backup_s3_bucket: String = "" shipped "my-bucket-url", "Bucket of all providers.";
        logical_backup_s3_bucket_prefix: String = "spilo", "First part of paths in the bucket.";
        logical_backup_s3_endpoint: String = "", "S3 address.";
        logical_backup_s3_region: String = "", "S3 region.";
        logical_backup_s3_secret_access_key: String = "", "S3 secret key.";
        logical_backup_s3_sse: String = "" shipped "AES256", "S3 server side encryption.";
        logical_backup_s3_retention_time: String = "", "How long backups are kept, `3 days`; empty means for ever.";
        logical_backup_schedule: String = "30 00 * * *", "When backups are made.";
        logical_backup_cronjob_environment_secret: String = "", "Secret whose keys become environment of the backup.";
        logical_backup_successful_jobs_history_limit: i64 = "3", "Successful jobs that are kept.";
        logical_backup_failed_jobs_history_limit: i64 = "3", "Failed jobs that are kept.";
        logical_backup_ttl_seconds_after_finished: i64 = "86400", "Seconds that finished jobs are kept.";
    }
    group "debug" {
        debug_logging: bool = "true", "Log details.";
        enable_database_access: bool = "true", "Connect to databases to keep roles and databases.";
    }
    group "teams_api" {
        enable_teams_api: bool = "true" object "false", "Ask the Teams API for members.";
        teams_api_url: String = "https://teams.example.com/api/", "Address of the Teams API.";
        team_api_role_configuration: Map = "log_statement:all", "Parameters of members' roles.";
        enable_team_superuser: bool = "false", "Members of a cluster's team are superusers.";
        team_admin_role: String = "admin", "Role that members are granted.";
        enable_admin_role_for_users: bool = "true", "That role administers the roles of manifests.";
        pam_role_name: String = "zalandos", "Role of all people; the image's `HUMAN_ROLE`.";
        pam_configuration: String = "https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees", "How people's tokens are checked; the image's `PAM_OAUTH2`.";
        protected_role_names: List = "admin,cron_admin", "Roles that manifests must not use.";
        postgres_superuser_teams: List = "", "Teams whose members are superusers everywhere.";
        role_deletion_suffix: String = "_deleted", "End of the names of roles of people who left.";
        enable_team_member_deprecation: bool = "false", "Rename roles of people who left.";
        enable_postgres_team_crd: bool = "false" object "true", "Read `PostgresTeam` objects.";
        enable_postgres_team_crd_superusers: bool = "false", "Honour their superuser teams.";
    }
    group "logging_rest_api" {
        api_port: i64 = "8080", "Port of the operator's HTTP API.";
        ring_log_lines: i64 = "100", "Log lines kept per cluster.";
        cluster_history_entries: i64 = "1000", "Changes kept per cluster.";
    }
    group "scalyr" {
        scalyr_api_key: String = "", "Key of the Scalyr sidecar. Deprecated.";
        scalyr_image: String = "", "Image of the Scalyr sidecar. Deprecated.";
        scalyr_server_url: String = "https://upload.eu.scalyr.com", "Server of the Scalyr sidecar. Deprecated.";
        scalyr_cpu_request: String = "100m", "CPU request of the Scalyr sidecar. Deprecated.";
        scalyr_memory_request: String = "50Mi", "Memory request of the Scalyr sidecar. Deprecated.";
        scalyr_cpu_limit: String = "1", "CPU limit of the Scalyr sidecar. Deprecated.";
        scalyr_memory_limit: String = "500Mi", "Memory limit of the Scalyr sidecar. Deprecated.";
    }
    group "connection_pooler" {
        connection_pooler_number_of_instances: i64 = "2", "Pods of a pooler.";
        connection_pooler_schema: String = "pooler", "Schema of the pooler's lookup function.";
        connection_pooler_user: String = "pooler", "Role of the pooler.";
        connection_pooler_image: String = "ghcr.io/zalando/postgres-operator/pgbouncer:v2.0.1", "Image of poolers.";
        connection_pooler_mode: String = "transaction", "`session` or `transaction`.";
        connection_pooler_max_db_connections: i64 = "60", "Connections of all pods of a pooler to one database.";
        connection_pooler_default_cpu_request: String = "" shipped "500m", "CPU request of poolers.";
        connection_pooler_default_memory_request: String = "" shipped "100Mi", "Memory request of poolers.";
        connection_pooler_default_cpu_limit: String = "" shipped "1", "CPU limit of poolers.";
        connection_pooler_default_memory_limit: String = "" shipped "100Mi", "Memory limit of poolers.";
    }
    group "patroni" {
        enable_patroni_failsafe_mode: bool = "false", "A leader stays leader without Kubernetes as long as it reaches all members.";
    }
}
