//! The container's environment, read once and then passed around as a value.

use std::collections::BTreeMap;

/// Environment variables by name. A variable that is set to the empty string counts as unset in every
/// question asked here: the operator emits some of them empty on purpose, to switch a default off.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; those that are not UTF-8 are left out, nothing we know is.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// The value of `name`, unless it is unset or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `name`, or `default` when it is unset or empty.
    #[must_use]
    pub fn or<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default)
    }

    /// Whether `name` asks for something to be switched on: set, and not one of the words for "no".
    #[must_use]
    pub fn on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| !["false", "0", "off", "no"].contains(&value.to_ascii_lowercase().as_str()))
    }

    /// All variables with a value, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_counts_as_unset_and_no_words_as_off() {
        let env: Environment =
            [("A", ""), ("B", "false"), ("C", "OFF"), ("D", "true"), ("E", "anything")].into_iter().collect();
        assert_eq!(env.get("A"), None);
        assert_eq!(env.or("A", "default"), "default");
        let on: Vec<&str> = ["A", "B", "C", "D", "E", "F"].into_iter().filter(|name| env.on(name)).collect();
        assert_eq!(on, ["D", "E"]);
    }
}
