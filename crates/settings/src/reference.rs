//! The documentation of the options, made from the table.

use std::fmt::Write as _;

use crate::table::{OPTIONS, Opt};

const HEAD: &str = "# Settings

Made from the table of options; a test keeps it up to date.

Settings come from a ConfigMap, or from an `OperatorConfiguration` object. In a ConfigMap every
key is at the top; in an object it is in the group of its heading, below `configuration`. The two
sources have different defaults where the tables name two: `ConfigMap / object`.

- An empty value is not the default but nothing: an empty text, list or map, false, zero.
- Lists are separated by commas; maps are written `key:value,key:value`, values with commas in
  quotes. In an object they are lists and maps.
- Durations are written `30s`, `5m`, `1h30m`.
- A value that cannot be read is reported, and the default is used.

Not honoured by this release: the groups `major_version_upgrade` (except for the version that pods
get), `timeouts`, `logical_backup`, `scalyr`, `connection_pooler`; in `teams_api` everything except
`pam_role_name`, `pam_configuration` and `protected_role_names`; password rotation, infrastructure
roles and the resizing of volumes. Clusters are refused while `pod_environment_configmap`,
`pod_environment_secret` or `etcd_host` is set, or `kubernetes_use_configmaps` is false: leaving
these out in silence would restart pods or break their agreement on a leader.
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
                "\n## {}\n\n| Option | Value | Default | Effect |\n|---|---|---|---|\n",
                if option.group.is_empty() { "General" } else { option.group },
            );
        }
        let _ =
            writeln!(page, "| `{}` | {} | {} | {} |", option.key, option.kind, default(option), option.doc);
    }
    page
}

fn default(option: &Opt) -> String {
    let show = |text: &str| if text.is_empty() { "–".to_owned() } else { format!("`{text}`") };
    if option.default == option.default_in_object {
        return show(option.default);
    }
    format!("{} / {}", show(option.default), show(option.default_in_object))
}
