//! The pure crates stay pure: nothing that opens a socket or waits is among what they are built
//! from. One `cargo tree` per crate, because features are unified over the whole workspace.

// Tests may read files and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const PURE: [&str; 6] = [
    "matriarch-api",
    "matriarch-settings",
    "matriarch-cluster",
    "matriarch-sql",
    "matriarch-plan",
    "matriarch-sim",
];

const FORBIDDEN: [&str; 12] = [
    "tokio",
    "kube",
    "kube-client",
    "kube-runtime",
    "reqwest",
    "hyper",
    "hyper-util",
    "aws-lc-rs",
    "aws-lc-sys",
    "rustls",
    "async-std",
    "mio",
];

#[test]
fn pure_crates_cannot_do_input_or_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for package in PURE {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--locked",
                "--offline",
                "-p",
                package,
                "-e",
                "normal",
                "--prefix",
                "none",
                "-f",
                "{p}",
            ])
            .current_dir(&root)
            .output()
            .unwrap();
        let tree = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(tree.starts_with(package), "{tree}");
        for line in tree.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            assert!(!FORBIDDEN.contains(&name), "{package} is built from {name}");
        }
    }
}

/// Each pure crate has the lint configuration that keeps out the clock, files and the rest.
#[test]
fn pure_crates_have_the_lints() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let expected = std::fs::read_to_string(crates.join("cluster/clippy.toml")).unwrap();
    for package in PURE {
        let path = crates.join(package.trim_start_matches("matriarch-")).join("clippy.toml");
        let found = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(found, expected, "{}", path.display());
    }
}
