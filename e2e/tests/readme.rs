//! What the README and the pages under `docs` tell people to type is typed here. A console
//! line is run, or [`ELSEWHERE`] says where it is covered.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use matriarch_e2e::Scene;

/// Lines that are not run here, and what covers them.
const ELSEWHERE: [(&str, &str); 8] = [
    ("cargo xtask up", "`cargo xtask test` runs it before these tests"),
    ("cargo xtask up --nodes 1", "`cargo xtask up` with another number; it would end this cluster"),
    ("cargo xtask up --context NAME", "there is no second Kubernetes here"),
    ("cargo xtask test", "it is what runs these tests"),
    ("cargo xtask down", "`cargo xtask test` runs it in CI; it would end this cluster"),
    ("cargo xtask bench create", "measures for minutes, and judges nothing"),
    ("cargo xtask node node3 offline", "tests/node_loss.rs takes a node away"),
    ("cargo xtask node node3 online", "tests/node_loss.rs brings it back"),
];

#[test]
fn every_console_line_of_the_readme_is_typed() {
    type_pages("readme", |page| page.ends_with("README.md"));
}

#[test]
fn every_console_line_of_the_docs_is_typed() {
    type_pages("docs", |page| !page.ends_with("README.md"));
}

fn type_pages(name: &'static str, wanted: fn(&Path) -> bool) {
    Scene::run(name, |scene| {
        for page in pages()?.into_iter().filter(|page| wanted(page)) {
            let commands = commands(&fs::read_to_string(&page)?);
            let name = page.strip_prefix(root()).unwrap_or(&page).display().to_string();
            type_all(scene, &commands).with_context(|| format!("the console lines of {name}"))?;
            // The next page begins anew.
            scene.kubectl.run(&["delete", "postgresql", "--all", "--timeout=120s"])?;
            scene.step(&format!("{name}: {} lines", commands.len()));
        }
        Ok(())
    });
}

#[test]
fn nothing_is_excused_that_no_page_says() {
    let said: BTreeSet<String> = pages()
        .expect("the pages")
        .iter()
        .flat_map(|page| commands(&fs::read_to_string(page).expect("a page")))
        .collect();
    let stale: Vec<_> = ELSEWHERE.iter().filter(|(line, _)| !said.contains(*line)).collect();
    assert!(stale.is_empty(), "no page says any more: {stale:?}");
}

#[test]
fn console_blocks_are_cut_into_commands() {
    let page = "text\n```console\none\n# a remark\ntwo \\\n    more\n```\n```yaml\nthree: 3\n```\n";
    assert_eq!(commands(page), ["one", "two more"]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `README.md` first, then `docs`, by name.
fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages.insert(0, root().join("README.md"));
    Ok(pages)
}

/// The commands of a page's `console` blocks; a backslash joins lines.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let (mut inside, mut joined) = (false, String::new());
    for line in page.lines().map(str::trim) {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            joined.push_str(line.trim_end_matches('\\'));
            if !line.ends_with('\\') {
                commands.push(std::mem::take(&mut joined));
            }
        }
    }
    commands
}

/// Types the lines of a page one after another into one shell, at the root of the
/// checkout and in the test's namespace, as a person would who has chosen one.
fn type_all(scene: &Scene, commands: &[String]) -> Result<()> {
    let kubeconfig = own_kubeconfig(scene)?;
    let own = format!("export KUBECONFIG='{}'", kubeconfig.display());
    let mut script = format!("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{own}\n");
    for command in commands {
        if ELSEWHERE.iter().any(|(line, _)| line == command) {
            continue;
        }
        // As `diff`, it ends with 2 when there is something to do.
        let so = if command.starts_with("matriarch plan ") { " || test $? = 2" } else { "" };
        script.push_str(&format!("echo '$ {}'\n{command}{so}\n", command.replace('\'', r"'\''")));
        if command.contains("cargo xtask env") {
            // It names the cluster's own file, without a namespace.
            script.push_str(&format!("{own}\n"));
        }
    }
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .context("cannot run bash")?;
    fs::remove_file(&kubeconfig).ok();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "the last line of these ended it:\n{said}\n{complained}");
    Ok(())
}

/// A copy of the kubeconfig whose context is in the test's namespace.
fn own_kubeconfig(scene: &Scene) -> Result<PathBuf> {
    let namespace = scene.kubectl.namespace();
    let path = std::env::temp_dir().join(format!("{namespace}.kubeconfig"));
    let config = scene.kubectl.run(&["config", "view", "--flatten", "--minify"])?;
    fs::write(&path, config)?;
    let path_text = path.to_string_lossy();
    let namespace = format!("--namespace={namespace}");
    scene.kubectl.run(&["config", "--kubeconfig", &path_text, "set-context", "--current", &namespace])?;
    Ok(path)
}
