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

fn render(name: &str, arguments: &[&str]) {
    let output = matriarch(&[&["render"], arguments].concat());
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("must-never-be-printed"), "{name} shows the value of a Secret");
    assert_golden(&format!("testdata/golden/render/{name}.yaml"), &text);
}

#[test]
fn render_at_each_level() {
    for manifest in ["seed/minimal", "manifests/complete"] {
        let name = manifest.rsplit('/').next().unwrap_or_default();
        let file = format!("testdata/{manifest}.yaml");
        for level in ["0", "1"] {
            render(&format!("{name}-level-{level}"), &["-f", &file, "--level", level]);
        }
    }
}

#[test]
fn render_with_settings_and_references() {
    let settings = "testdata/settings/configmap.yaml";
    for level in ["0", "1"] {
        let arguments = [
            "-f",
            "testdata/seed/minimal.yaml",
            "--settings",
            settings,
            "--references",
            "testdata/settings/references.yaml",
            "--level",
            level,
        ];
        render(&format!("references-level-{level}"), &arguments);
    }
    render(
        "object",
        &["-f", "testdata/seed/minimal.yaml", "--settings", "testdata/settings/object.yaml", "-n", "apps"],
    );
}

#[test]
fn what_render_refuses_is_named() {
    let minimal = "testdata/seed/minimal.yaml";
    let (configmap, references) = ("testdata/settings/configmap.yaml", "testdata/settings/references.yaml");
    let roles = "testdata/settings/only-roles.yaml";
    let cases: [(&[&str], &[&str]); 7] = [
        (
            &["-f", minimal, "--settings", configmap],
            &["infrastructure roles: no Secret default/roles-of-the-platform", "--references"],
        ),
        (
            &["-f", minimal, "--settings", configmap, "--references", roles],
            &[
                "pod_environment_configmap: ConfigMap platform/pod-environment",
                "pod_environment_secret: Secret pod-secrets",
                "--references",
            ],
        ),
        (&["-f", minimal, "--level", "7"], &["--level 7", "0 to 1"]),
        (&["-f", "nowhere.yaml"], &["nowhere.yaml", "-f FILE"]),
        (&["-f", minimal, "--settings", minimal], &["is a postgresql", "OperatorConfiguration"]),
        (&["-f", minimal, "--references", minimal], &["holds a", "only ConfigMaps and Secrets"]),
        (&["-f", references], &[references, "one YAML document"]),
    ];
    for (arguments, words) in cases {
        let output = matriarch(&[&["render"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        for word in words {
            assert!(errors.contains(word), "{arguments:?} does not say {word:?}:\n{errors}");
        }
    }
}

/// The lines of the page about rendering are typed; the end-to-end tests type them too.
#[test]
fn the_lines_of_the_page_about_rendering() {
    let page = std::fs::read_to_string(repository().join("docs/render.md")).expect("the page");
    let lines: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("matriarch render ")).collect();
    assert!(lines.len() >= 3, "the page shows too little: {lines:?}");
    for line in lines {
        let arguments: Vec<&str> = ["render"].into_iter().chain(line.split_whitespace()).collect();
        let output = matriarch(&arguments);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("kind: StatefulSet"), "{line}");
    }
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
