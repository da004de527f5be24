//! Which namespaces are watched (02 §3.3).

use std::fmt;

/// All namespaces, or these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// `*`.
    All,
    /// At least one.
    Some(Vec<String>),
}

impl Namespaces {
    /// The first that is not empty: the environment's, the setting's, the operator's own.
    pub fn of(environment: Option<&str>, setting: &str, own: &str) -> Self {
        let chosen = [environment.unwrap_or_default(), setting, own];
        let chosen = chosen.into_iter().map(str::trim).find(|text| !text.is_empty()).unwrap_or("default");
        let mut names: Vec<String> =
            chosen.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        if names.is_empty() || names.iter().any(|name| name == "*") { Self::All } else { Self::Some(names) }
    }

    /// What each watch covers: one for all, or one per namespace.
    pub fn each(&self) -> Vec<Option<&str>> {
        match self {
            Self::All => vec![None],
            Self::Some(names) => names.iter().map(|name| Some(name.as_str())).collect(),
        }
    }

    /// One of the namespaces; `None` for all.
    pub fn first(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Some(names) => names.first().map(String::as_str),
        }
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all namespaces"),
            Self::Some(names) => write!(f, "namespace {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_02_3_3_watched_namespaces() {
        let some = |names: &[&str]| Namespaces::Some(names.iter().map(ToString::to_string).collect());
        for (environment, setting, expected) in [
            (None, "", some(&["own"])),
            (Some(""), "", some(&["own"])),
            (None, "a", some(&["a"])),
            (Some("b"), "a", some(&["b"])),
            (Some(""), "a", some(&["a"])),
            (None, "*", Namespaces::All),
            (Some("*"), "a", Namespaces::All),
            (Some("b"), "*", some(&["b"])),
            (Some("b, a,b"), "", some(&["a", "b"])),
            (None, "a,*", Namespaces::All),
            (None, " ", some(&["own"])),
        ] {
            assert_eq!(Namespaces::of(environment, setting, "own"), expected, "{environment:?} {setting:?}");
        }
    }
}
