//! The documentation of the options, made from the table.

use std::fmt::Write as _;

use crate::effect;
use crate::table::{OPTIONS, Opt, Sources};

const HEAD: &str = "# Settings

Made from the table of options; a test keeps it up to date. How settings are read, changed and
refused is told in [Configuration](../settings.md).

Settings come from a ConfigMap, or from an `OperatorConfiguration` object. In a ConfigMap every
key is at the top; in an object it is in the group of its heading, below `configuration`. The two
sources have different defaults where the tables name two: `ConfigMap / object`.

*A change touches* says what happens to clusters that run when the value changes: *pods roll* means
one pod after the other, the primary last; *StatefulSet, pods keep running* restarts nobody; *breaks
running clusters* means that their objects are no longer found, so that it must not be changed while
there are clusters.

Not honoured by this release: `timeouts`, password rotation, the upgrade of major versions and the
resizing of volumes.
";

/// The whole page, in Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut group = None;
    for option in OPTIONS {
        if group != Some(option.group) {
            group = Some(option.group);
            let _ = write!(
                page,
                "\n## {}\n\n| Option | Value | Default | What it does | A change touches |\n|---|---|---|---|---|\n",
                if option.group.is_empty() { "General" } else { option.group },
            );
        }
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            option.key,
            value(option).replace('|', "\\|"),
            default(option).replace('|', "\\|"),
            option.doc,
            effect::line(option.effects),
        );
    }
    page
}

fn value(option: &Opt) -> String {
    let words = option.allowed.words();
    let value = if words.is_empty() { option.kind.to_owned() } else { words };
    match option.sources {
        Sources::Both => value,
        Sources::ConfigMap => format!("{value}; only in a ConfigMap"),
        Sources::Object => format!("{value}; only in an object"),
    }
}

fn default(option: &Opt) -> String {
    let show = |text: &str| if text.is_empty() { "–".to_owned() } else { format!("`{text}`") };
    if option.default == option.default_in_object {
        return show(option.default);
    }
    format!("{} / {}", show(option.default), show(option.default_in_object))
}
