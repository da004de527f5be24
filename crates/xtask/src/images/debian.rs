//! Where Debian's packages come from.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Names the mirror where apt's sources do not.
const VARIABLE: &str = "MATRIARCH_DEBIAN_MIRROR";

/// The mirror of Debian's main archive that this machine itself uses. Third-party and security archives do not
/// have the packages.
///
/// # Errors
/// When there is no such entry, with what to set.
pub fn mirror() -> Result<String> {
    if let Some(mirror) = std::env::var(VARIABLE).ok().filter(|mirror| !mirror.is_empty()) {
        return Ok(mirror);
    }
    let mut files = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    files
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|text| mirror_of(&text))
        .with_context(|| format!("apt's sources name no mirror of Debian: set {VARIABLE} to one, such as http://mirror.example/debian"))
}

fn mirror_of(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| {
            let words = line.split_whitespace();
            let first = line.split_whitespace().next().unwrap_or_default();
            // `deb [options] URI suite …` or the field of a deb822 stanza.
            let uris: Vec<&str> = if first == "deb" || first.eq_ignore_ascii_case("URIs:") {
                words.skip(1).filter(|word| word.starts_with("http")).collect()
            } else {
                Vec::new()
            };
            uris
        })
        .map(|uri| uri.trim_end_matches('/'))
        .find(|uri| uri.ends_with("/debian"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_own_entry_is_found_in_both_formats() {
        for (text, expected) in [
            ("deb http://mirror.example/debian bookworm main\n", Some("http://mirror.example/debian")),
            ("deb [signed-by=/k] https://m.example/debian/ trixie main\n", Some("https://m.example/debian")),
            (
                "Types: deb\n# http://old.example/debian\nURIs: http://mirror.example/debian\nSuites: bookworm\n",
                Some("http://mirror.example/debian"),
            ),
            ("deb https://other.example/linux/debian-like stable\n", None),
            ("Types: deb\nURIs: http://mirror.example/debian-security\n", None),
            ("# deb http://commented.example/debian bookworm main\n", None),
        ] {
            assert_eq!(mirror_of(text).as_deref(), expected, "{text}");
        }
    }
}
