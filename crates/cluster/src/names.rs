//! Every name, label and annotation key of the contract.

use matriarch_settings::Settings;

/// Label of the owning team.
pub const TEAM_LABEL: &str = "team";
/// Label of pods that must not be disturbed.
pub const CRITICAL_OPERATION_LABEL: &str = "critical-operation";
/// Label of pooler objects.
pub const POOLER_LABEL: &str = "connection-pooler";
/// Value of the label `application` on pooler objects.
pub const POOLER_APPLICATION: &str = "db-connection-pooler";
/// Value of the role label on the primary.
pub const PRIMARY: &str = "master";
/// Value of the role label on replicas.
pub const REPLICA: &str = "replica";
/// Finalizer of clusters.
pub const FINALIZER: &str = "postgres-operator.acid.zalan.do";
/// Annotation of a manifest that says which operator looks after it.
pub const CONTROLLER_ANNOTATION: &str = "acid.zalan.do/controller";
/// Annotation that external-dns reads.
pub const DNS_ANNOTATION: &str = "external-dns.alpha.kubernetes.io/hostname";
/// Annotation of pods with an AWS role.
pub const IAM_ROLE_ANNOTATION: &str = "iam.amazonaws.com/role";
/// Annotation of a service account with an AWS role.
pub const IRSA_ANNOTATION: &str = "eks.amazonaws.com/role-arn";
/// Name of the database container.
pub const POSTGRES_CONTAINER: &str = "postgres";
/// Name of the data volume and of its claim template.
pub const DATA_VOLUME: &str = "pgdata";
/// Where the data volume is mounted.
pub const DATA_MOUNT: &str = "/home/postgres/pgdata";
/// Port of PostgreSQL.
pub const POSTGRES_PORT: u16 = 5432;
/// Port of Patroni.
pub const PATRONI_PORT: u16 = 8008;
/// Longest name of a cluster. The StatefulSet controller puts the name, a dash and ten characters
/// into a pod label of at most 63.
pub const LONGEST_CLUSTER_NAME: usize = 52;

/// Service of the primary; also the name of the StatefulSet.
pub fn primary_service(cluster: &str) -> String {
    cluster.to_owned()
}

/// Service of the replicas.
pub fn replica_service(cluster: &str) -> String {
    format!("{cluster}-repl")
}

/// Name of a pooler.
pub fn pooler(cluster: &str, role: &str) -> String {
    if role == REPLICA { format!("{cluster}-pooler-repl") } else { format!("{cluster}-pooler") }
}

/// Pod `ordinal` of the StatefulSet.
pub fn pod(cluster: &str, ordinal: u32) -> String {
    format!("{cluster}-{ordinal}")
}

/// Data claim of pod `ordinal`.
pub fn claim(cluster: &str, ordinal: u32) -> String {
    format!("{DATA_VOLUME}-{cluster}-{ordinal}")
}

/// Patroni's object with that suffix: `leader`, `config`, `sync` or `failover`.
pub fn patroni_object(cluster: &str, suffix: &str) -> String {
    format!("{cluster}-{suffix}")
}

/// Budget of the primary.
pub fn primary_budget(cluster: &str, settings: &Settings) -> String {
    settings.pdb_name_format.replace("{cluster}", cluster)
}

/// Budget of critical operations.
pub fn critical_budget(cluster: &str) -> String {
    format!("postgres-{cluster}-critical-op-pdb")
}

/// Secret with the password of `user`.
pub fn credential_secret(user: &str, cluster: &str, settings: &Settings) -> String {
    settings
        .secret_name_template
        .replace("{username}", &user.replace('_', "-"))
        .replace("{cluster}", cluster)
        .replace("{tprkind}", matriarch_api::KIND)
        .replace("{tprgroup}", matriarch_api::API_GROUP)
}

/// CronJob of logical backups: at most 52 characters, no dash at the end.
pub fn backup_job(cluster: &str, settings: &Settings) -> String {
    let full = format!("{}{cluster}", settings.logical_backup_job_prefix);
    let cut: String = full.chars().take(52).collect();
    cut.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names() {
        let settings = Settings::default();
        assert_eq!(
            credential_secret("foo_user", "acid-minimal-cluster", &settings),
            "foo-user.acid-minimal-cluster.credentials.postgresql.acid.zalan.do"
        );
    }

    #[test]
    fn vectors_03_17_10_backup_jobs() {
        let with = |prefix: &str, cluster: &str| {
            backup_job(cluster, &Settings { logical_backup_job_prefix: prefix.into(), ..Settings::default() })
        };
        let cases = [
            ("", "short-name", "short-name"),
            (
                "",
                "very-very-very-very-very-very-very-very-very-long-db-name",
                "very-very-very-very-very-very-very-very-very-long-db",
            ),
            (
                "",
                "very-very-very-very-very-very-very-very-very-----------long-db-name",
                "very-very-very-very-very-very-very-very-very",
            ),
            (
                "test-long-prefix-so-name-must-be-trimmed-",
                "acid-test-cluster",
                "test-long-prefix-so-name-must-be-trimmed-acid-test-c",
            ),
            ("logical-backup-", "acid-test-cluster", "logical-backup-acid-test-cluster"),
            ("lb-", "acid-test-cluster", "lb-acid-test-cluster"),
            ("", "acid-test-cluster", "acid-test-cluster"),
        ];
        for (prefix, cluster, expected) in cases {
            assert_eq!(with(prefix, cluster), expected);
        }
    }

    #[test]
    fn budget_names() {
        let settings =
            Settings { pdb_name_format: "postgres-{cluster}-databass-budget".into(), ..Settings::default() };
        assert_eq!(primary_budget("myapp-database", &settings), "postgres-myapp-database-databass-budget");
        assert_eq!(primary_budget("myapp-database", &Settings::default()), "postgres-myapp-database-pdb");
    }
}
