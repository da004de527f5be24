//! Every name, label and annotation key of the contract.

use matriarch_settings::Settings;

/// Label of the owning team.
pub const TEAM_LABEL: &str = "team";
/// Label of pods that must not be disturbed.
pub const CRITICAL_OPERATION_LABEL: &str = "critical-operation";
/// Label that tells database pods, pooler pods and backup pods apart.
pub const APPLICATION_LABEL: &str = "application";
/// Value of that label on backup pods and their CronJob.
pub const BACKUP_APPLICATION: &str = "spilo-logical-backup";
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
/// On a ServiceAccount: the role of AWS that the operator put there. The API server keeps no record of who
/// writes which field of a ServiceAccount.
pub const IRSA_WRITTEN_ANNOTATION: &str = "acid.zalan.do/irsa-role-arn";
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
/// Longest name of a CronJob: its Jobs add eleven characters.
const LONGEST_BACKUP_JOB: usize = 52;

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
    cut(&format!("{}{cluster}", settings.logical_backup_job_prefix), LONGEST_BACKUP_JOB)
}

/// The CronJob of a cluster whose first name another cluster's CronJob has: the two begin alike and
/// differ after the cut. A hash of the whole name keeps them apart. `None`: nothing is cut.
pub fn backup_job_apart(cluster: &str, settings: &Settings) -> Option<String> {
    let full = format!("{}{cluster}", settings.logical_backup_job_prefix);
    let hash = format!("{:08x}", hash(&full));
    let cut = cut(&full, LONGEST_BACKUP_JOB - hash.len() - 1);
    (full.chars().count() > LONGEST_BACKUP_JOB).then(|| format!("{cut}-{hash}"))
}

/// A new FabricEventStream of an application: always the same, unlike the original's.
pub fn stream(cluster: &str, application: &str) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rest = hash(application) as usize;
    let mut suffix = String::new();
    for _ in 0..5 {
        suffix.push(char::from(ALPHABET[rest % ALPHABET.len()]));
        rest /= ALPHABET.len();
    }
    format!("{cluster}-{suffix}")
}

/// Replication slot and publication of a stream.
pub fn stream_slot(database: &str, application: &str) -> String {
    format!("fes_{database}_{}", application.replace('-', "_"))
}

/// FNV-1a: short, the same everywhere, and no secret.
pub(crate) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn cut(text: &str, longest: usize) -> String {
    let cut: String = text.chars().take(longest).collect();
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
