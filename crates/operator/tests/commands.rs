//! What the binary prints, against golden files. `UPDATE_GOLDEN=1` rewrites them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn matriarch(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_matriarch"))
        .args(arguments)
        .current_dir(repository())
        .env_remove("KUBECONFIG")
        .output()
        .expect("the binary starts")
}

fn assert_golden(path: &str, text: &str) {
    let path = repository().join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{} differs; UPDATE_GOLDEN=1 rewrites it", path.display());
}

#[test]
fn plan_of_the_minimal_manifest_against_nothing() {
    let output = matriarch(&["plan", "-f", "testdata/seed/minimal.yaml", "--against", "empty"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_golden("testdata/golden/plan-minimal-empty.txt", &String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_definitions_in_deploy_are_the_generated_ones() {
    let output = matriarch(&["crds"]);
    assert!(output.status.success());
    assert_golden("deploy/crds/crds.yaml", &String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_refused_manifest_names_all_fields_and_exits_with_1() {
    let folder = std::env::temp_dir().join(format!("matriarch-refused-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("bad.yaml");
    let text = std::fs::read_to_string(repository().join("testdata/seed/minimal.yaml"))
        .expect("the seed manifest")
        .replace("createdb", "fly")
        .replace("1Gi", "100K");
    std::fs::write(&file, text).expect("a file");
    let output = matriarch(&["plan", "-f", &file.display().to_string(), "--against", "empty"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for field in ["spec.users.zalando", "spec.volume.size"] {
        assert!(errors.contains(field), "{field} is not named in:\n{errors}");
    }
}
