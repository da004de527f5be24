//! Where Debian's packages come from.

use std::fs;
use std::path::Path;

const DEFAULT: &str = "http://deb.debian.org/debian";

/// The mirror that this machine itself uses, or Debian's own. Only an entry of Debian's main archive counts:
/// third-party and security archives do not have the packages.
pub fn mirror() -> String {
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
        .unwrap_or_else(|| DEFAULT.to_owned())
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
                "Types: deb\n# http://old.example/debian\nURIs: http://deb.debian.org/debian\nSuites: bookworm\n",
                Some("http://deb.debian.org/debian"),
            ),
            ("deb https://download.docker.com/linux/debian-like stable\n", None),
            ("Types: deb\nURIs: http://deb.debian.org/debian-security\n", None),
            ("# deb http://commented.example/debian bookworm main\n", None),
        ] {
            assert_eq!(mirror_of(text).as_deref(), expected, "{text}");
        }
    }
}
