//! The table of options. Everything else about options comes from it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::allowed::{Allowed, Allowed::*, I32, U32};
use crate::difference::SettingDifference;
use crate::effect::{Effect, Effect::*};
use crate::kind::{Kind, PodManagement};

/// One option, as documentation and schema need it.
#[derive(Clone, Copy, Debug)]
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
    /// What an empty value in an `OperatorConfiguration` means.
    pub empty_in_object: EmptyMeans,
    /// Value in the configuration that the project ships.
    pub shipped: &'static str,
    /// Which values are allowed.
    pub allowed: Allowed,
    /// What a change of the value touches on clusters that run.
    pub effects: &'static [Effect],
    /// Sources that have the option.
    pub sources: Sources,
    /// What it does.
    pub doc: &'static str,
    /// The schema of its value in the definition of `OperatorConfiguration`.
    pub(crate) schema: fn() -> Value,
}

/// What an empty text, list or map, or a zero, means in an `OperatorConfiguration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyMeans {
    /// What it says.
    Empty,
    /// As if it was left out.
    Default,
    /// This value.
    This(&'static str),
}

/// Which sources have an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// Both, by the same key.
    Both,
    /// Only a ConfigMap.
    ConfigMap,
    /// Only an `OperatorConfiguration`.
    Object,
}

impl Opt {
    /// The option's path below `configuration`.
    pub fn path(&self) -> String {
        if self.group.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.group, self.key) }
    }

    /// What an empty value in an object is replaced by, if it is.
    pub(crate) fn filler(&self) -> Option<&'static str> {
        match self.empty_in_object {
            EmptyMeans::Empty => None,
            EmptyMeans::Default => Some(self.default_in_object),
            EmptyMeans::This(text) => Some(text),
        }
    }

    /// The option with that key.
    pub fn of(key: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|option| option.key == key)
    }
}

type Map = BTreeMap<String, String>;
type List = Vec<String>;

/// The first of several literals.
macro_rules! first {
    ($a:expr) => {
        $a
    };
    ($a:expr, $($rest:expr),+) => {
        $a
    };
}

/// `key: kind = "default" [object "default there"] [or "value"] [shipped "value"] => [effects]
/// [only source] [in allowed], "what it does";` where `or` says what an empty value in an object
/// means: `default`, or a text.
macro_rules! options {
    ($( group $group:literal { $(
        $key:ident : $kind:ty = $default:literal $(object $object:literal)?
            $(or $filled:tt)? $(shipped $shipped:literal)?
            => [$($effect:ident),*] $(only $only:ident)? $(in $allowed:expr)?, $doc:literal;
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
            empty_in_object: first!($(filled!($filled),)? EmptyMeans::Empty),
            shipped: first!($($shipped,)? $($object,)? $default),
            allowed: first!($($allowed,)? Anything),
            effects: &[$($effect),*],
            sources: first!($(Sources::$only,)? Sources::Both),
            doc: $doc,
            schema: <$kind as Kind>::schema,
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

            /// The value of an option as JSON: text, number, boolean, list or map; null when there
            /// is no such option.
            pub fn value(&self, key: &str) -> Value {
                match key {
                    $($( stringify!($key) => self.$key.to_json(), )*)*
                    _ => Value::Null,
                }
            }

            /// What `other` has otherwise, in the order of the table. Values that are secret are
            /// not shown.
            pub fn differences(&self, other: &Self) -> Vec<SettingDifference> {
                let mut found = Vec::new();
                $($(
                    if self.$key != other.$key {
                        found.push((stringify!($key), self.$key.to_json(), other.$key.to_json()));
                    }
                )*)*
                let options = OPTIONS.iter().map(|option| (option.key, option)).collect::<BTreeMap<_, _>>();
                found
                    .into_iter()
                    .filter_map(|(key, from, to)| Some(SettingDifference::new(options.get(key)?, &from, &to)))
                    .collect()
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

            #[test]
            fn every_value_survives_being_written_as_json() {
                for settings in
                    [Settings::of_config_map(), Settings::of_operator_configuration(), Settings::default()]
                {
                    $($( assert_eq!(
                        <$kind>::from_json(&settings.$key.to_json()).as_ref(), Ok(&settings.$key),
                        "{}", stringify!($key)
                    ); )*)*
                }
            }
        }
    };
}

/// What an empty value in an object means for an option that is marked so.
macro_rules! filled {
    (default) => {
        EmptyMeans::Default
    };
    ($own:literal) => {
        EmptyMeans::This($own)
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
        enable_crd_registration: bool = "true" => [Operator], "Create or update the definition of `postgresql` at start.";
        crd_categories: List = "all" or default => [Operator], "Categories of that definition.";
        enable_lazy_spilo_upgrade: bool = "false" => [Template], "A new image is put into the StatefulSet only; pods get it when something else restarts them.";
        enable_maintenance_windows: bool = "true" => [Operator], "Honour maintenance windows; false means every moment is inside one.";
        maintenance_windows: List = "" => [Operator] in Windows, "Windows of clusters that name none: `Sat:01:00-06:00` or `01:00-06:00`, in UTC.";
        enable_pgversion_env_var: bool = "true" => [Pods], "Tell the image the major version in `PGVERSION`; false puts `bin_dir` into its configuration.";
        enable_shm_volume: bool = "true" => [Pods], "Mount a memory volume at `/dev/shm` of PostgreSQL.";
        enable_spilo_wal_path_compat: bool = "false" => [Pods], "Set `ENABLE_WAL_PATH_COMPAT` in the image.";
        enable_team_id_clustername_prefix: bool = "false" => [Operator], "Refuse clusters whose name does not start with their team and a dash.";
        etcd_host: String = "" => [Pods, Breaks], "Address of an etcd that Patroni uses instead of Kubernetes.";
        kubernetes_use_configmaps: bool = "true" => [Pods, Objects, Breaks], "Patroni keeps its state in ConfigMaps; false means in Endpoints.";
        docker_image: String = "ghcr.io/zalando/spilo-18:4.1-p2" or default => [Pods] in Filled, "Image of database pods.";
        sidecar_docker_images: Map = "" => [Pods], "Sidecars of every cluster, name and image. Deprecated.";
        sidecars: Option<Value> = "" => [Pods] in Containers, "Sidecars of every cluster, a list of containers.";
        workers: i64 = "8" or default => [Operator] in Numbers(1, 4_294_967_295), "How many clusters are worked on at the same time.";
        max_instances: i64 = "-1" => [Objects] in Numbers(I32.0, I32.1), "Most pods of a cluster; negative means no limit.";
        min_instances: i64 = "-1" => [Objects] in Numbers(I32.0, I32.1), "Fewest pods of a cluster; negative means no limit.";
        ignore_instance_limits_annotation_key: String = "" => [Objects], "Annotation that, with the value `true`, lifts `min_instances` and `max_instances` for a cluster.";
        ignore_resources_limits_annotation_key: String = "" => [Pods], "Annotation that, with the value `true`, lifts minimum limits and maximum requests for a cluster.";
        resync_period: Duration = "30m" or default => [Operator] in Positive, "How often every cluster is looked at without a reason.";
        repair_period: Duration = "5m" or default => [Operator], "How often a failed cluster is tried again.";
        set_memory_request_to_limit: bool = "false" => [Pods], "Raise memory requests to the limit.";
    }
    group "users" {
        super_username: String = "postgres" or default => [Breaks], "Superuser of new clusters.";
        replication_username: String = "standby" or default => [Breaks], "Role that replicas connect with.";
        additional_owner_roles: List = "" => [Sql], "Roles that every owner of a database becomes a member of.";
        enable_password_rotation: bool = "false" => [Sql, Objects], "Rotate passwords of login roles.";
        password_rotation_interval: i64 = "90" or default => [Sql, Objects] in Numbers(0, U32), "Days between two rotations.";
        password_rotation_user_retention: i64 = "180" object "120" or "180" shipped "180" => [Sql] in Numbers(0, U32), "Days that rotated roles are kept.";
    }
    group "major_version_upgrade" {
        major_version_upgrade_mode: String = "manual" or default => [Pods] in Known(&["off", "manual", "full"], "manual"), "`off`, `manual`: on a higher version in the manifest, `full`: also below the minimal version.";
        major_version_upgrade_team_allow_list: List = "" => [Operator], "Teams whose clusters are upgraded in mode `off` too.";
        minimal_major_version: String = "14" or default => [Pods] in MajorVersion, "Versions below it are upgraded in mode `full`.";
        target_major_version: String = "18" or default => [Pods] in MajorVersion, "Version that mode `full` upgrades to.";
    }
    group "kubernetes" {
        enable_finalizers: Option<bool> = "" => [Objects], "The finalizer in manifests, without which a deletion goes unseen while the operator is down. Only an explicit `false` leaves it out.";
        enable_owner_references: bool = "false" => [Template, Objects], "Objects of a cluster point to it as their owner.";
        delete_annotation_date_key: String = "" => [Operator], "Annotation that must hold today's date for a deletion to be carried out.";
        delete_annotation_name_key: String = "" => [Operator], "Annotation that must hold the cluster's name for a deletion to be carried out.";
        pod_service_account_name: String = "postgres-pod" or default => [Pods], "ServiceAccount of the pods.";
        pod_service_account_definition: String = "" => [NewOnly] in Document("ServiceAccount", "v1"), "ServiceAccount to create, as JSON or YAML.";
        pod_service_account_role_binding_definition: String = "" => [NewOnly] in Document("RoleBinding", "rbac.authorization.k8s.io/v1"), "RoleBinding to create, as JSON or YAML.";
        pod_terminate_grace_period: Duration = "5m" or default => [Pods, Objects], "Time that a pod has to stop.";
        liveness_probe: Option<Value> = "" => [Pods] only Object, "Liveness probe of the container `postgres`.";
        spilo_privileged: bool = "false" => [Pods], "Run the container `postgres` privileged.";
        spilo_allow_privilege_escalation: bool = "true" => [Pods], "Processes of the container `postgres` may gain privileges.";
        spilo_runasuser: Option<i64> = "" => [Pods] in Numbers(0, i64::MAX), "User id of the pods' processes.";
        spilo_runasgroup: Option<i64> = "" => [Pods] in Numbers(0, i64::MAX), "Group id of the pods' processes.";
        spilo_fsgroup: Option<i64> = "" => [Pods] in Numbers(0, i64::MAX), "Group that owns the pods' volumes.";
        additional_pod_capabilities: List = "" => [Pods], "Capabilities of the container `postgres`.";
        watched_namespace: String = "" => [Operator] in Namespaces, "Namespace whose clusters are managed; `*` means all, empty the operator's own.";
        pdb_name_format: String = "postgres-{cluster}-pdb" => [Objects, Breaks] in NameTemplate(&["{cluster}"]), "Name of the budget of the primary.";
        pdb_master_label_selector: bool = "true" => [Objects], "That budget selects the primary only; false means all pods.";
        enable_pod_disruption_budget: bool = "true" => [Pods, Objects], "Budgets protect pods; false means they allow everything.";
        storage_resize_mode: String = "pvc" or default => [Operator] in Known(&["pvc", "ebs", "mixed", "off"], "pvc"), "How volumes grow: `pvc`, `ebs`, `mixed` or `off`.";
        enable_init_containers: bool = "true" => [NewOnly], "Manifests may have init containers.";
        enable_sidecars: bool = "true" => [NewOnly], "Manifests may have sidecars.";
        share_pgsocket_with_sidecars: bool = "false" => [Pods], "Share the socket's directory with sidecars.";
        secret_name_template: String = "{username}.{cluster}.credentials.{tprkind}.{tprgroup}" => [Pods, Objects, Breaks] in NameTemplate(&["{username}", "{cluster}", "{tprkind}", "{tprgroup}"]), "Name of credential secrets.";
        cluster_domain: String = "cluster.local" or default => [Operator], "DNS suffix of the Kubernetes cluster.";
        oauth_token_secret_name: String = "postgresql-operator" object "postgres-operator" shipped "postgresql-operator" => [Operator] in NamespacedName, "Secret with the token for the Teams API.";
        infrastructure_roles_secret_name: String = "" => [Sql] in NamespacedName, "Secret with infrastructure roles in the old numbered format.";
        infrastructure_roles_secrets: Option<Value> = "" => [Sql, Objects] in RoleSources, "Secrets with infrastructure roles.";
        inherited_annotations: List = "" => [Template, Objects], "Annotations that a cluster hands on to its objects.";
        inherited_labels: List = "" => [Pods, Objects], "Labels that a cluster hands on to its objects.";
        downscaler_annotations: List = "" => [Template] in Expressions, "Regular expressions of annotations that a cluster hands on to its StatefulSet.";
        ignored_annotations: List = "" => [Operator], "Annotations that are left out of comparisons.";
        pod_role_label: String = "spilo-role" or default => [Breaks] in LabelKey, "Label that tells the primary from replicas.";
        cluster_labels: Map = "application:spilo" or default => [Breaks] in Labels, "Labels of every object.";
        cluster_name_label: String = "cluster-name" or default => [Breaks] in LabelKey, "Label that names the cluster of an object.";
        node_readiness_label: Map = "" => [Pods] in Labels, "Labels that nodes must have to carry database pods.";
        node_readiness_label_merge: String = "OR" object "" => [Pods] in Advised(&["OR", "AND"], "OR"), "How they are combined with the affinity of a manifest: `OR` or `AND`.";
        toleration: Map = "" => [Pods] in Toleration, "Toleration of pods whose manifest has none: key, operator, value, effect.";
        pod_environment_configmap: String = "" => [Pods] in NamespacedName, "ConfigMap whose keys become environment of PostgreSQL, `namespace/name`.";
        pod_environment_secret: String = "" => [Pods], "Secret of the cluster's namespace whose keys become environment of PostgreSQL.";
        pod_priority_class_name: String = "" => [Pods], "Priority class of database pods.";
        master_pod_move_timeout: Duration = "20m" or "10m" => [Operator], "How long moving primaries off a drained node is tried.";
        enable_pod_antiaffinity: bool = "false" => [Pods], "Pods of a cluster run on different nodes.";
        pod_antiaffinity_topology_key: String = "kubernetes.io/hostname" or default => [Pods], "Node label that says what different means.";
        pod_antiaffinity_preferred_during_scheduling: bool = "false" => [Pods], "Prefer different nodes instead of requiring them.";
        pod_management_policy: PodManagement = "ordered_ready" => [Template], "Order in which pods are made: `ordered_ready` or `parallel`.";
        persistent_volume_claim_retention_policy: Map = "when_deleted:retain,when_scaled:retain" => [Template] in Retention, "What a StatefulSet does with claims: `when_deleted` and `when_scaled`, `retain` or `delete`.";
        enable_secrets_deletion: bool = "true" => [Operator], "Delete credential secrets with their cluster.";
        enable_persistent_volume_claim_deletion: bool = "true" => [Operator], "Delete volume claims with their cluster.";
        enable_readiness_probe: bool = "false" => [Pods], "Ask Patroni whether a pod is ready.";
        enable_cross_namespace_secret: bool = "false" => [Objects, Sql], "A user `namespace.name` has its secret in that namespace.";
        custom_pod_annotations: Map = "" => [Template], "Annotations of pods.";
    }
    group "postgres_pod_resources" {
        default_cpu_request: String = "" shipped "100m" => [Pods] in Cpu, "CPU request of containers that have none.";
        default_memory_request: String = "" shipped "100Mi" => [Pods] in Memory, "Memory request of containers that have none.";
        default_cpu_limit: String = "" shipped "1" => [Pods] in Cpu, "CPU limit of containers that have none.";
        default_memory_limit: String = "" shipped "500Mi" => [Pods] in Memory, "Memory limit of containers that have none.";
        min_cpu_limit: String = "" => [Pods] in Cpu, "Smallest CPU limit of the container `postgres`.";
        min_memory_limit: String = "" => [Pods] in Memory, "Smallest memory limit of the container `postgres`.";
        max_cpu_request: String = "" => [Pods] in Cpu, "Largest CPU request of the container `postgres`.";
        max_memory_request: String = "" => [Pods] in Memory, "Largest memory request of the container `postgres`.";
    }
    group "timeouts" {
        resource_check_interval: Duration = "3s" or default => [Operator], "How often a change of an object is looked for.";
        resource_check_timeout: Duration = "10m" or default => [Operator], "How long a change of an object may take before it is a problem.";
        pod_label_wait_timeout: Duration = "10m" or default => [Operator], "How long a pod may take to get its role before it is a problem.";
        pod_deletion_wait_timeout: Duration = "10m" or default => [Operator], "How long a pod may take to go before it is a problem.";
        ready_wait_interval: Duration = "4s" or default => [Nothing], "Without effect.";
        ready_wait_timeout: Duration = "30s" or default => [Nothing], "Without effect.";
        patroni_api_check_interval: Duration = "1s" or default => [Operator], "Pause between two requests to Patroni after a failure.";
        patroni_api_check_timeout: Duration = "5s" or default => [Operator], "How long requests to Patroni are repeated.";
    }
    group "load_balancer" {
        db_hosted_zone: String = "db.example.com" or default => [Objects], "DNS zone of load balancers.";
        enable_master_load_balancer: bool = "true" object "false" => [Objects], "Service of the primary is a load balancer.";
        enable_master_pooler_load_balancer: bool = "false" => [Objects], "Service of the primary's pooler is a load balancer.";
        enable_replica_load_balancer: bool = "false" => [Objects], "Service of the replicas is a load balancer.";
        enable_replica_pooler_load_balancer: bool = "false" => [Objects], "Service of the replicas' pooler is a load balancer.";
        enable_master_node_port: bool = "false" => [Objects], "Service of the primary has a node port.";
        enable_master_pooler_node_port: bool = "false" => [Objects], "Service of the primary's pooler has a node port.";
        enable_replica_node_port: bool = "false" => [Objects], "Service of the replicas has a node port.";
        enable_replica_pooler_node_port: bool = "false" => [Objects], "Service of the replicas' pooler has a node port.";
        custom_service_annotations: Map = "" => [Objects], "Annotations of services.";
        master_dns_name_format: String = "{cluster}.{namespace}.{hostedzone}" => [Objects] in DnsTemplate(&["{cluster}", "{namespace}", "{team}", "{hostedzone}"]), "DNS name of the primary.";
        master_legacy_dns_name_format: String = "{cluster}.{team}.{hostedzone}" => [Objects] in DnsTemplate(&["{cluster}", "{team}", "{hostedzone}"]), "Second DNS name of the primary, if the cluster's name starts with its team.";
        replica_dns_name_format: String = "{cluster}-repl.{namespace}.{hostedzone}" => [Objects] in DnsTemplate(&["{cluster}", "{namespace}", "{team}", "{hostedzone}"]), "DNS name of the replicas.";
        replica_legacy_dns_name_format: String = "{cluster}-repl.{team}.{hostedzone}" => [Objects] in DnsTemplate(&["{cluster}", "{team}", "{hostedzone}"]), "Second DNS name of the replicas.";
        enable_load_balancer: Option<bool> = "" => [Nothing] only ConfigMap, "Without effect: a switch of old releases that stands in some ConfigMaps.";
        external_traffic_policy: String = "Cluster" or default => [Objects] in OneOf(&["Cluster", "Local"]), "`externalTrafficPolicy` of load balancers and node ports.";
    }
    group "aws_or_gcp" {
        wal_s3_bucket: String = "" => [Pods], "S3 bucket of the WAL archive.";
        wal_gs_bucket: String = "" => [Pods], "Google bucket of the WAL archive.";
        gcp_credentials: String = "" => [Pods], "Path of Google credentials in the container.";
        wal_az_storage_account: String = "" => [Pods], "Azure account of the WAL archive.";
        log_s3_bucket: String = "" => [Pods], "S3 bucket for logs.";
        kube_iam_role: String = "" => [Template], "AWS role of pods, as an annotation.";
        irsa_role_arn: String = "" => [Objects, Pods], "AWS role of the pods' service account.";
        aws_region: String = "eu-central-1" => [Operator], "Region of the operator's own AWS requests.";
        additional_secret_mount: String = "" => [Pods], "Secret mounted into all containers.";
        additional_secret_mount_path: String = "" => [Pods], "Where it is mounted.";
    }
    group "logical_backup" {
        logical_backup_cpu_request: String = "" => [Objects] in Cpu, "CPU request of the backup.";
        logical_backup_memory_request: String = "" => [Objects] in Memory, "Memory request of the backup.";
        logical_backup_cpu_limit: String = "" => [Objects] in Cpu, "CPU limit of the backup.";
        logical_backup_memory_limit: String = "" => [Objects] in Memory, "Memory limit of the backup.";
        logical_backup_docker_image: String = "ghcr.io/zalando/postgres-operator/logical-backup:v2.0.1" or default => [Objects], "Image of the backup.";
        logical_backup_google_application_credentials: String = "" => [Objects], "Path of Google credentials in the container.";
        logical_backup_job_prefix: String = "logical-backup-" or default => [Objects, Breaks], "Start of the job's name.";
        logical_backup_provider: String = "s3" or default => [Objects] in OneOf(&["s3", "gcs", "az"]), "Where backups go: `s3`, `gcs` or `az`.";
        logical_backup_azure_storage_account_name: String = "" => [Objects], "Azure account.";
        logical_backup_azure_storage_container: String = "" => [Objects], "Azure container.";
        logical_backup_azure_storage_account_key: String = "" => [Objects] in Confidential, "Azure key.";
        logical_backup_s3_access_key_id: String = "" => [Objects] in Confidential, "S3 access key.";
        logical_backup_s3_bucket: String = "" shipped "my-bucket-url" => [Objects], "Bucket of all providers.";
        logical_backup_s3_bucket_prefix: String = "spilo" or default => [Objects], "First part of paths in the bucket.";
        logical_backup_s3_endpoint: String = "" => [Objects], "S3 address.";
        logical_backup_s3_region: String = "" => [Objects], "S3 region.";
        logical_backup_s3_secret_access_key: String = "" => [Objects] in Confidential, "S3 secret key.";
        logical_backup_s3_sse: String = "" shipped "AES256" => [Objects], "S3 server side encryption.";
        logical_backup_s3_retention_time: String = "" => [Objects], "How long backups are kept, `3 days`; empty means for ever.";
        logical_backup_schedule: String = "30 00 * * *" or default => [Objects] in Schedule, "When backups are made.";
        logical_backup_cronjob_environment_secret: String = "" => [Objects], "Secret whose keys become environment of the backup.";
        logical_backup_successful_jobs_history_limit: i64 = "3" => [Objects] in Numbers(0, I32.1), "Successful jobs that are kept.";
        logical_backup_failed_jobs_history_limit: i64 = "3" => [Objects] in Numbers(0, I32.1), "Failed jobs that are kept.";
        logical_backup_ttl_seconds_after_finished: i64 = "86400" => [Objects] in Numbers(0, I32.1), "Seconds that finished jobs are kept.";
    }
    group "debug" {
        debug_logging: bool = "true" => [Operator], "Log details.";
        enable_database_access: bool = "true" => [Sql], "Connect to databases to keep roles and databases.";
    }
    group "teams_api" {
        enable_teams_api: bool = "true" object "false" => [Sql], "Ask the Teams API for members.";
        teams_api_url: String = "https://teams.example.com/api/" or default => [Sql], "Address of the Teams API.";
        team_api_role_configuration: Map = "log_statement:all" or default => [Sql], "Parameters of members' roles.";
        enable_team_superuser: bool = "false" => [Sql], "Members of a cluster's team are superusers.";
        team_admin_role: String = "admin" => [Sql], "Role that members are granted.";
        enable_admin_role_for_users: bool = "true" => [Sql], "That role administers the roles of manifests.";
        pam_role_name: String = "zalandos" or default => [Pods, Sql], "Role of all people; the image's `HUMAN_ROLE`.";
        pam_configuration: String = "https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees" or default => [Pods], "How people's tokens are checked; the image's `PAM_OAUTH2`.";
        protected_role_names: List = "admin,cron_admin" or default => [Sql], "Roles that manifests must not use.";
        postgres_superuser_teams: List = "" => [Sql], "Teams whose members are superusers everywhere.";
        role_deletion_suffix: String = "_deleted" or default => [Sql], "End of the names of roles of people who left.";
        enable_team_member_deprecation: bool = "false" => [Sql], "Rename roles of people who left.";
        enable_postgres_team_crd: bool = "false" object "true" => [Operator, Sql], "Read `PostgresTeam` objects.";
        enable_postgres_team_crd_superusers: bool = "false" => [Sql], "Honour their superuser teams.";
    }
    group "logging_rest_api" {
        api_port: i64 = "8080" or default => [Operator] in Allowed::PORT, "Port of the operator's HTTP API.";
        ring_log_lines: i64 = "100" or default => [Operator] in Numbers(0, I32.1), "Log lines kept per cluster.";
        cluster_history_entries: i64 = "1000" or default => [Operator] in Numbers(0, I32.1), "Changes kept per cluster.";
    }
    group "scalyr" {
        scalyr_api_key: String = "" => [Pods] in Confidential, "Key of the Scalyr sidecar. Deprecated.";
        scalyr_image: String = "" => [Pods], "Image of the Scalyr sidecar. Deprecated.";
        scalyr_server_url: String = "https://upload.eu.scalyr.com" => [Pods], "Server of the Scalyr sidecar. Deprecated.";
        scalyr_cpu_request: String = "100m" => [Pods] in Cpu, "CPU request of the Scalyr sidecar. Deprecated.";
        scalyr_memory_request: String = "50Mi" => [Pods] in Memory, "Memory request of the Scalyr sidecar. Deprecated.";
        scalyr_cpu_limit: String = "1" => [Pods] in Cpu, "CPU limit of the Scalyr sidecar. Deprecated.";
        scalyr_memory_limit: String = "500Mi" => [Pods] in Memory, "Memory limit of the Scalyr sidecar. Deprecated.";
    }
    group "connection_pooler" {
        connection_pooler_number_of_instances: i64 = "2" => [Objects] in Numbers(1, I32.1), "Pods of a pooler.";
        connection_pooler_schema: String = "pooler" or default => [Objects, Sql], "Schema of the pooler's lookup function.";
        connection_pooler_user: String = "pooler" or default => [Objects, Sql], "Role of the pooler.";
        connection_pooler_image: String = "ghcr.io/zalando/postgres-operator/pgbouncer:v2.0.1" or default => [Objects], "Image of poolers.";
        connection_pooler_mode: String = "transaction" or default => [NewOnly] in OneOf(&["session", "transaction", "statement"]), "`session` or `transaction`.";
        connection_pooler_max_db_connections: i64 = "60" => [NewOnly] in Numbers(0, I32.1), "Connections of all pods of a pooler to one database.";
        connection_pooler_default_cpu_request: String = "" shipped "500m" => [Objects] in Cpu, "CPU request of poolers.";
        connection_pooler_default_memory_request: String = "" shipped "100Mi" => [Objects] in Memory, "Memory request of poolers.";
        connection_pooler_default_cpu_limit: String = "" shipped "1" => [Objects] in Cpu, "CPU limit of poolers.";
        connection_pooler_default_memory_limit: String = "" shipped "100Mi" => [Objects] in Memory, "Memory limit of poolers.";
    }
    group "patroni" {
        enable_patroni_failsafe_mode: bool = "false" => [Patroni], "A leader stays leader without Kubernetes as long as it reaches all members.";
    }
}
