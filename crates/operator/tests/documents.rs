//! Documents stay true: every path that ARCHITECTURE.md names exists, and every test of the table of defects.

use std::path::Path;

#[test]
fn every_path_in_the_architecture_exists() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(repository.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> =
        quoted.filter(|word| word.contains('/') && !word.contains([' ', '\n', '<'])).collect();
    assert!(paths.len() > 20, "the table of places is gone: {paths:?}");
    let missing: Vec<&&str> = paths.iter().filter(|path| !repository.join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names what does not exist: {missing:?}");
}

/// The text of every Rust file below a folder.
fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_defect_of_the_original_has_tests_that_exist() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(repository.join("docs/reference/defects.md")).expect("the page");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| D"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let numbers: Vec<String> = (1..=45).map(|number| format!("D{number}")).collect();
    assert_eq!(rows.iter().map(|row| row[0].to_owned()).collect::<Vec<_>>(), numbers);
    let mut code = String::new();
    for folder in ["crates", "e2e"] {
        sources(&repository.join(folder), &mut code);
    }
    let mut missing = Vec::new();
    for row in &rows {
        assert_eq!(row.len(), 5, "{}", row[0]);
        let tests: Vec<&str> = row[4].split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{} names no test", row[0]);
        missing.extend(tests.into_iter().filter(|test| !code.contains(&format!("fn {test}()"))));
    }
    assert!(missing.is_empty(), "docs/reference/defects.md names tests that do not exist: {missing:?}");
    // A test that is named after a defect stands in the table, so that nobody looks for it in vain.
    let listed = |name: &str| page.contains(&format!("`{name}`"));
    let unlisted: Vec<&str> = code
        .split("fn d")
        .skip(1)
        .filter_map(|rest| rest.split_once("()").map(|(name, _)| name))
        .filter(|name| name.split('_').next().is_some_and(|number| number.parse::<u32>().is_ok()))
        .filter(|name| !listed(&format!("d{name}")))
        .collect();
    assert!(unlisted.is_empty(), "docs/reference/defects.md does not list: {unlisted:?}");
}
