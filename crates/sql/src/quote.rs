//! Quoting for statement text. DDL takes no parameters, so everything is quoted here.

/// A quoted identifier, safe whatever `value` holds.
pub fn identifier(value: &str) -> String {
    format!("\"{}\"", without_nul(value).replace('"', "\"\""))
}

/// A quoted literal, safe whatever `value` holds and however the server reads backslashes.
pub fn literal(value: &str) -> String {
    let doubled = without_nul(value).replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Several identifiers, separated by commas.
pub(crate) fn identifiers<S: AsRef<str>>(values: &[S]) -> String {
    values.iter().map(|v| identifier(v.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The name of a parameter: each part of a dotted name quoted by itself.
pub(crate) fn parameter(name: &str) -> String {
    name.split('.').map(identifier).collect::<Vec<_>>().join(".")
}

/// A NUL would end the message on the wire; the server allows it in no name or text.
fn without_nul(value: &str) -> String {
    value.replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        assert_eq!(identifier("foo"), "\"foo\"");
        assert_eq!(identifier("a\"; DROP ROLE x; --"), "\"a\"\"; DROP ROLE x; --\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
        assert_eq!(literal("a\0b"), "'ab'");
        assert_eq!(parameter("log_statement"), "\"log_statement\"");
        assert_eq!(parameter("pg_stat_statements.track"), "\"pg_stat_statements\".\"track\"");
        assert_eq!(identifiers(&["a", "b"]), "\"a\", \"b\"");
    }
}
