//! docs/reference/acceptance.md tells the truth about the acceptance tests. Needs no cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The original's tests, by name.
const NAMES: [&str; 31] = [
    "additional_owner_roles",
    "additional_pod_capabilities",
    "additional_teams_and_members",
    "config_update",
    "cross_namespace_secrets",
    "custom_ssl_certificate",
    "enable_disable_connection_pooler",
    "enable_load_balancer",
    "ignored_annotations",
    "infrastructure_roles",
    "lazy_spilo_upgrade",
    "logical_backup_cron_job",
    "major_version_upgrade",
    "multi_namespace_support",
    "node_affinity",
    "node_readiness_label",
    "overwrite_pooler_deployment",
    "owner_references",
    "password_rotation",
    "persistent_volume_claim_retention_policy",
    "resource_generation",
    "rolling_update_flag",
    "rolling_update_label_timeout",
    "scaling",
    "service_annotations",
    "standby_cluster",
    "statefulset_annotation_propagation",
    "stream_resources",
    "taint_based_eviction",
    "topology_spread_constraints",
    "zz_cluster_deletion",
];

#[test]
fn all_rows_exist_with_the_state_that_the_page_tells() -> Result<()> {
    let (tests, page) = (tests()?, page()?);
    for name in NAMES {
        let state = tests.get(name).with_context(|| format!("there is no test {name}"))?;
        let told = page.get(name).with_context(|| format!("the page does not list {name}"))?;
        ensure!(state == told, "{name}: the test says {state:?}, the page {told:?}");
    }
    ensure!(page.len() == NAMES.len(), "the page lists {} tests", page.len());
    ensure!(tests.len() == NAMES.len(), "there are {} acceptance tests", tests.len());
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Name and state of each test, from `Scene::run("name"` and `Scene::pending("name", "awaits"`.
fn tests() -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root().join("e2e/tests"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with("acceptance_") || name == "acceptance_list" {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        for test in text.split("#[test]").skip(1) {
            let (name, state) = of(test).with_context(|| format!("{}: {test:.200}", path.display()))?;
            found.insert(name, state);
        }
    }
    Ok(found)
}

fn of(test: &str) -> Option<(String, String)> {
    let name = test.split("fn ").nth(1)?.split('(').next()?;
    let (kind, rest) = test.split_once("Scene::")?.1.split_once('(')?;
    let mut texts = rest.split('"').skip(1).step_by(2);
    if texts.next()? != name {
        return None;
    }
    let state = match kind {
        "run" => "passes".to_owned(),
        "pending" => format!("pending: {}", texts.next()?),
        _ => return None,
    };
    Some((name.to_owned(), state))
}

/// The table's rows: name and state.
fn page() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(root().join("docs/reference/acceptance.md"))?;
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let name = cells.next()?.trim().trim_end_matches('`');
        Some((name.to_owned(), cells.next()?.trim().to_owned()))
    });
    Ok(rows.collect())
}
