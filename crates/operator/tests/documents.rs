//! ARCHITECTURE.md stays true: every path that it names exists.

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
