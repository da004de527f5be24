//! The `spec` of a `postgresql` object: every field of the contract. What the API server judges
//! beyond types is in [`crate::rules`].

// Columns of the same type are no duplicates.
#![allow(clippy::duplicated_attributes)]

use std::collections::BTreeMap;

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::status::PostgresqlStatus;

/// A piece of a Kubernetes object that users write and we pass on, unknown fields included.
pub type Fragment = serde_json::Value;

/// What a user asks for: one PostgreSQL cluster.
///
/// Absent and null mean the same for every optional field.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "acid.zalan.do",
    version = "v1",
    kind = "postgresql",
    root = "Postgresql",
    plural = "postgresqls",
    singular = "postgresql",
    shortname = "pg",
    category = "all",
    namespaced,
    status = "PostgresqlStatus",
    scale(
        spec_replicas_path = ".spec.numberOfInstances",
        status_replicas_path = ".status.numberOfInstances",
        label_selector_path = ".status.labelSelector"
    ),
    printcolumn(name = "Team", type_ = "string", json_path = ".spec.teamId", description = "Owning team"),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".spec.postgresql.version",
        description = "PostgreSQL major version"
    ),
    printcolumn(
        name = "Pods",
        type_ = "integer",
        json_path = ".spec.numberOfInstances",
        description = "Number of pods wanted"
    ),
    printcolumn(
        name = "Volume",
        type_ = "string",
        json_path = ".spec.volume.size",
        description = "Size of a data volume"
    ),
    printcolumn(
        name = "CPU-Request",
        type_ = "string",
        json_path = ".spec.resources.requests.cpu",
        description = "CPU request of a database pod"
    ),
    printcolumn(
        name = "Memory-Request",
        type_ = "string",
        json_path = ".spec.resources.requests.memory",
        description = "Memory request of a database pod"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.PostgresClusterStatus",
        description = "Status word of the cluster"
    ),
    crates(kube_core = "::kube_core")
)]
#[serde(rename_all = "camelCase", default)]
pub struct PostgresqlSpec {
    /// Team that owns the cluster; the value of the label `team`.
    pub team_id: String,
    /// How many pods are wanted, limited by the operator's `min_instances` and `max_instances`.
    pub number_of_instances: i32,
    /// The data volume of each pod.
    pub volume: Volume,
    /// Version and parameters of PostgreSQL.
    pub postgresql: PostgresParameters,
    /// Image of the container `postgres`; empty means the operator's `docker_image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_image: Option<String>,
    /// Role name → flags. Null or an empty list makes a role that can only log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<BTreeMap<String, Option<Vec<String>>>>,
    /// Database name → owning role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databases: Option<BTreeMap<String, String>>,
    /// Options of Patroni.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patroni: Option<Patroni>,
    /// Resources of the container `postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Mount a memory volume at `/dev/shm`; absent means the operator's `enable_shm_volume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_shm_volume: Option<bool>,
    /// Scheduler of the database pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Priority class of the database pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_priority_class_name: Option<String>,
    /// Annotations of database pods, over the operator's `custom_pod_annotations`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_annotations: Option<BTreeMap<String, String>>,
    /// Annotations of both services, over the operator's `custom_service_annotations`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_annotations: Option<BTreeMap<String, String>>,
    /// Annotations of the service of the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_service_annotations: Option<BTreeMap<String, String>>,
    /// Annotations of the service of the replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_service_annotations: Option<BTreeMap<String, String>>,
    /// Further environment of the container `postgres`; the operator's own variables win.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub env: Option<Vec<Fragment>>,
    /// Environment of the container `postgres` from ConfigMaps and Secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub env_from: Option<Vec<Fragment>>,
    /// Liveness probe of the container `postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragment")]
    pub liveness_probe: Option<Fragment>,
    /// Tolerations of the pods; a non-empty list replaces the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub tolerations: Option<Vec<Fragment>>,
    /// Node affinity of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragment")]
    pub node_affinity: Option<Fragment>,
    /// Topology spread constraints of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub topology_spread_constraints: Option<Vec<Fragment>>,
    /// Init containers of the pods, taken as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub init_containers: Option<Vec<Fragment>>,
    /// Containers that run beside PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecars: Option<Vec<Sidecar>>,
    /// Further volumes of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_volumes: Option<Vec<AdditionalVolume>>,
    /// Certificate of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Start as a copy of another cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clone: Option<CloneSource>,
    /// Follow another cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby: Option<StandbySource>,
    /// User id of the pods' processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spilo_run_as_user: Option<i64>,
    /// Group id of the pods' processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spilo_run_as_group: Option<i64>,
    /// Group that owns the pods' volumes.
    #[serde(rename = "spiloFSGroup", skip_serializing_if = "Option::is_none")]
    pub spilo_fs_group: Option<i64>,
    /// When disruptive work is allowed, `Sat:01:00-06:00` or `01:00-06:00`, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_windows: Option<Vec<String>>,
    /// Networks that may reach load balancers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_source_ranges: Option<Vec<String>>,
    /// Type LoadBalancer for the service of the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_master_load_balancer: Option<bool>,
    /// Type LoadBalancer for the service of the replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_replica_load_balancer: Option<bool>,
    /// Old spelling of `enableMasterLoadBalancer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_load_balancer: Option<bool>,
    /// Old spelling of `enableReplicaLoadBalancer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_load_balancer: Option<bool>,
    /// Old spelling of `initContainers`.
    #[serde(rename = "init_containers", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub old_init_containers: Option<Vec<Fragment>>,
    /// Old spelling of `podPriorityClassName`.
    #[serde(rename = "pod_priority_class_name", skip_serializing_if = "Option::is_none")]
    pub old_pod_priority_class_name: Option<String>,
    /// Type NodePort for the service of the primary; wins over the load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_master_node_port: Option<bool>,
    /// Type NodePort for the service of the replicas; wins over the load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_replica_node_port: Option<bool>,
    /// Fixed node port of the primary; 0 lets Kubernetes choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_node_port: Option<i32>,
    /// Fixed node port of the replicas; 0 lets Kubernetes choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_node_port: Option<i32>,
    /// Type LoadBalancer for the service of the pooler of the primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_master_pooler_load_balancer: Option<bool>,
    /// Type LoadBalancer for the service of the pooler of the replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_replica_pooler_load_balancer: Option<bool>,
    /// Type NodePort for the service of the pooler of the primary; wins over the load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_master_pooler_node_port: Option<bool>,
    /// Type NodePort for the service of the pooler of the replicas; wins over the load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_replica_pooler_node_port: Option<bool>,
    /// Fixed node port of the pooler of the primary; 0 lets Kubernetes choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_pooler_node_port: Option<i32>,
    /// Fixed node port of the pooler of the replicas; 0 lets Kubernetes choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_pooler_node_port: Option<i32>,
    /// A pooler in front of the primary; absent means: if `connectionPooler` is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_connection_pooler: Option<bool>,
    /// A pooler in front of the replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_replica_connection_pooler: Option<bool>,
    /// Options of both poolers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pooler: Option<ConnectionPooler>,
    /// Database name → schemas, roles and extensions; `{}` means one database named like the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepared_databases: Option<BTreeMap<String, PreparedDatabase>>,
    /// Change streams that are published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<Vec<Stream>>,
    /// A CronJob that dumps the databases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_logical_backup: Option<bool>,
    /// Schedule of that CronJob; absent means the operator's `logical_backup_schedule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logical_backup_schedule: Option<String>,
    /// How long dumps are kept in S3, such as `3 months`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logical_backup_retention: Option<String>,
    /// Users whose passwords rotate with a new role each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_with_secret_rotation: Option<Vec<String>>,
    /// Users whose passwords rotate while the role stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_with_in_place_secret_rotation: Option<Vec<String>>,
    /// Users whose passwords never rotate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_ignoring_secret_rotation: Option<Vec<String>>,
}

/// Version and parameters of PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PostgresParameters {
    /// Major version.
    pub version: String,
    /// Server parameters, values as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, String>>,
}

/// The data volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Size as a Kubernetes quantity.
    pub size: String,
    /// Storage class; empty means the default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// Label selector for existing volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragment")]
    pub selector: Option<Fragment>,
    /// Path inside the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
    /// `subPath` is an expression over the container's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_sub_path_expr: Option<bool>,
    /// Operations per second of an EBS volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iops: Option<i32>,
    /// Throughput of an EBS volume in MB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<i32>,
    /// Type of an EBS volume.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
}

/// Options of Patroni, spelled as Patroni spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Patroni {
    /// Options of `initdb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initdb: Option<BTreeMap<String, String>>,
    /// Lines of `pg_hba.conf`; replaces the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pg_hba: Option<Vec<String>>,
    /// Seconds until a leader that does not renew loses its lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Seconds between two rounds of Patroni.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loop_wait: Option<i64>,
    /// Seconds that Patroni retries an operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_timeout: Option<i64>,
    /// Bytes that a replica may lag behind and still become the leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_lag_on_failover: Option<i64>,
    /// Permanent replication slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<BTreeMap<String, BTreeMap<String, String>>>,
    /// Commits wait for a synchronous replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronous_mode: Option<bool>,
    /// Commits wait even if there is no replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronous_mode_strict: Option<bool>,
    /// How many replicas are synchronous; absent means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronous_node_count: Option<i64>,
    /// The leader stays leader without Kubernetes as long as it reaches all members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failsafe_mode: Option<bool>,
}

/// Resource requests and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    /// What the scheduler reserves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceValues>,
    /// What the container may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceValues>,
}

/// Amounts, as Kubernetes quantities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceValues {
    /// CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Bytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Bytes in huge pages of 2 MiB.
    #[serde(rename = "hugepages-2Mi", skip_serializing_if = "Option::is_none")]
    pub hugepages_2mi: Option<String>,
    /// Bytes in huge pages of 1 GiB.
    #[serde(rename = "hugepages-1Gi", skip_serializing_if = "Option::is_none")]
    pub hugepages_1gi: Option<String>,
}

/// A container beside PostgreSQL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sidecar {
    /// Container name; absent means `sidecar-` and the position in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Resources, with the defaults of the container `postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub ports: Option<Vec<Fragment>>,
    /// Environment, after the variables that the operator adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::fragments")]
    pub env: Option<Vec<Fragment>>,
    /// Command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

/// A volume beside the data volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AdditionalVolume {
    /// Name of volume and mount.
    pub name: String,
    /// Where it is mounted.
    pub mount_path: String,
    /// What is mounted, as in a pod.
    #[schemars(schema_with = "schema::fragment")]
    pub volume_source: Fragment,
    /// Containers that get it: names, or `all`; none means `postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_containers: Option<Vec<String>>,
    /// Path inside the volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
    /// `subPath` is an expression over the container's environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_sub_path_expr: Option<bool>,
}

/// Certificate of the server. An empty `secretName` means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tls {
    /// Secret with certificate and key.
    pub secret_name: String,
    /// File of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<String>,
    /// File of the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_file: Option<String>,
    /// File of the certificate authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Secret with the certificate authority, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_name: Option<String>,
}

/// Which cluster a new one is a copy of. An empty `cluster` means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CloneSource {
    /// Name of the source.
    pub cluster: String,
    /// `metadata.uid` of the source; part of its path in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Point in time to restore; absent means a base backup of the running source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Path of the archive, if it is not the operator's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_wal_path: Option<String>,
    /// Address of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_endpoint: Option<String>,
    /// Access key of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_access_key_id: Option<String>,
    /// Secret key of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_secret_access_key: Option<String>,
    /// Address buckets by path instead of by host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_force_path_style: Option<bool>,
}

/// What a standby cluster follows: a host, an archive or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StandbySource {
    /// Path of the source's archive in S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_wal_path: Option<String>,
    /// Path of the source's archive in Google's storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gs_wal_path: Option<String>,
    /// Host of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby_host: Option<String>,
    /// Port of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby_port: Option<String>,
    /// Replication slot on the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby_primary_slot_name: Option<String>,
}

/// Options of the poolers (01 §2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionPooler {
    /// Pods of each pooler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_instances: Option<i32>,
    /// Schema of the lookup function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Role of the pooler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `session` or `transaction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Image of the pooler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_image: Option<String>,
    /// Connections to PostgreSQL, all pods of a pooler together.
    #[serde(rename = "maxDBConnections", skip_serializing_if = "Option::is_none")]
    pub max_db_connections: Option<i32>,
    /// Resources of the pooler's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// Schemas, roles and extensions of a database (01 §3.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PreparedDatabase {
    /// Make login roles of the database too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_users: Option<bool>,
    /// Extension → schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<BTreeMap<String, String>>,
    /// Schemas; absent or empty means one schema `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schemas: Option<BTreeMap<String, PreparedSchema>>,
    /// Namespace of the login roles' Secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_namespace: Option<String>,
}

/// A schema of a prepared database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PreparedSchema {
    /// Make owner, reader and writer roles of the schema; absent means true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_roles: Option<bool>,
    /// Make login roles of the schema too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_users: Option<bool>,
}

/// A change stream (01 §2.16).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Stream {
    /// Application that reads the stream.
    pub application_id: String,
    /// Database that is published.
    pub database: String,
    /// Table (`schema.table`, or `table` of schema `public`) → how it is published.
    pub tables: BTreeMap<String, StreamTable>,
    /// Table → filter expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<BTreeMap<String, String>>,
    /// Events sent at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// CPUs of the reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Memory of the reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Send events that fail to a dead letter queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_recovery: Option<bool>,
}

/// A table of a change stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamTable {
    /// Type of the events.
    pub event_type: String,
    /// Column with the id of a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// Column with the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_column: Option<String>,
    /// Type of the events in the dead letter queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_event_type: Option<String>,
    /// Pass over events that fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_recovery: Option<bool>,
}
