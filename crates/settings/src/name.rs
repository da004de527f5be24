//! Names that options hold: qualified ones, and templates of names.

/// Splits `namespace/name`, or `name` in the namespace `default_namespace`. Slashes at the start
/// of the name are dropped. `None` when no name is left.
pub fn namespaced_name(text: &str, default_namespace: &str) -> Option<(String, String)> {
    let (namespace, name) = text.split_once('/').unwrap_or(("", text));
    let name = name.trim_start_matches('/');
    let namespace = if namespace.is_empty() { default_namespace } else { namespace };
    (!name.is_empty()).then(|| (namespace.to_owned(), name.to_owned()))
}

/// Puts values in place of `{placeholder}`; what is not among the values stays as it is.
pub fn expand(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Placeholders of `template` that are not among `known`.
pub(crate) fn unknown_placeholders<'a>(template: &'a str, known: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else { break };
        let placeholder = &rest[start..=start + length];
        if !known.contains(&placeholder) {
            found.push(placeholder);
        }
        rest = &rest[start + length + 1..];
    }
    found
}
