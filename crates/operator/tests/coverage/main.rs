//! Every field of the manifest and every option of the settings, flipped alone: something that
//! should exist changes, or the row stands on a list with its reason. The rows come from the schema
//! and from the table of options, so none can be forgotten. The outcome is the page
//! `docs/reference/coverage.md`; `UPDATE_GOLDEN=1` writes it anew.

// Tests may read files, look at the environment and stop at the first surprise.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod base;
mod fields;
mod lists;
mod options;
mod outcome;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What became of one row.
pub struct Row {
    /// Path of the field below `spec`, or path of the option.
    pub name: String,
    /// Which value was replaced by which.
    pub flip: String,
    /// What changed, or why nothing does.
    pub changes: String,
    /// Which capability acts on it later, if one does.
    pub awaits: &'static str,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_field_and_every_option_has_an_effect_or_a_reason() {
    let (fields, mut wrong) = fields::rows();
    let (options, more) = options::rows();
    wrong.extend(more);
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(fields.len(), 148);
    assert_eq!(options.len(), 187);

    let page = page(&fields, &options);
    let path = root().join("docs/reference/coverage.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/reference/coverage.md is out of date: run with UPDATE_GOLDEN=1");
}

const HEAD: &str = "# Coverage

Made by a test that changes each field of a manifest and each option of the settings alone and looks
at what should exist afterwards. *Changes* names what is different: objects, roles, databases,
Patroni's configuration, or what the operator does. A row in italics has no effect, and says why.
*Acts later* names the capability that is still to come where a value is taken and rendered, and
something else has to act on it.
";

fn page(fields: &[Row], options: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    for (title, first, rows) in [("Manifest", "Field below `spec`", fields), ("Settings", "Option", options)]
    {
        let later = rows.iter().filter(|row| !row.awaits.is_empty()).count();
        let _ = write!(
            page,
            "\n## {title}\n\n{} rows, {later} of them act later.\n\n| {first} | Changed | Changes | Acts later |\n|---|---|---|---|\n",
            rows.len()
        );
        for Row { name, flip, changes, awaits } in rows {
            let _ = writeln!(page, "| `{name}` | {flip} | {changes} | {awaits} |");
        }
    }
    page
}
