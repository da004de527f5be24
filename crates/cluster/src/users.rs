//! Users of a manifest: names and flags.

use matriarch_api::Problem;
use matriarch_sql::RoleFlags;
use regex::Regex;

/// What a name of a user looks like.
const NAME: &str = r"^[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*$";

/// Flags, each with the word that takes it away.
const FLAGS: [&str; 7] =
    ["SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "LOGIN", "REPLICATION", "BYPASSRLS"];

/// Whether `name` can be a user of a manifest.
pub(crate) fn is_valid_name(name: &str) -> bool {
    Regex::new(NAME).is_ok_and(|pattern| pattern.is_match(name))
}

/// Reads the flags of user `name`; every flag that is wrong becomes a problem.
pub(crate) fn flags(name: &str, words: &[String], problems: &mut Vec<Problem>) -> RoleFlags {
    let field = format!("spec.users.{name}");
    let mut seen: Vec<String> = Vec::new();
    for word in words {
        let upper = word.to_uppercase();
        if seen.contains(&upper) {
            continue;
        }
        if let Err(problem) = check_flag(&field, word, &upper, &seen) {
            problems.push(problem);
        } else {
            seen.push(upper);
        }
    }
    let mut flags = RoleFlags::default();
    for word in &seen {
        let (base, on) = base_of(word);
        set(&mut flags, base, on);
    }
    flags
}

fn check_flag(field: &str, word: &str, upper: &str, seen: &[String]) -> Result<(), Problem> {
    let (base, on) = base_of(upper);
    if !FLAGS.contains(&base) {
        return Err(Problem::new(
            field,
            format!("has the unknown flag {word:?}"),
            format!(
                "remove it or use one of {}, or one of these with no in front",
                FLAGS.join(", ").to_lowercase()
            ),
        ));
    }
    let opposite = if on { format!("NO{base}") } else { base.to_owned() };
    if seen.contains(&opposite) {
        return Err(Problem::new(
            field,
            format!("has the contradicting flags {} and {}", opposite.to_lowercase(), upper.to_lowercase()),
            "remove one of the two",
        ));
    }
    Ok(())
}

/// The flag that a word is about, and whether it sets it.
fn base_of(word: &str) -> (&str, bool) {
    match word.strip_prefix("NO") {
        Some(base) if FLAGS.contains(&base) => (base, false),
        _ => (word, true),
    }
}

fn set(flags: &mut RoleFlags, base: &str, on: bool) {
    match base {
        "SUPERUSER" => flags.superuser = on,
        "INHERIT" => flags.inherit = on,
        "CREATEROLE" => flags.createrole = on,
        "CREATEDB" => flags.createdb = on,
        "LOGIN" => flags.login = on,
        "REPLICATION" => flags.replication = on,
        "BYPASSRLS" => flags.bypassrls = on,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> (RoleFlags, Vec<String>) {
        let mut problems = Vec::new();
        let words: Vec<String> = words.iter().map(|w| w.to_string()).collect();
        let flags = flags("foobar", &words, &mut problems);
        (flags, problems.iter().map(|p| p.message.clone()).collect())
    }

    #[test]
    fn vectors_03_17_10_user_names() {
        for name in
            ["user", "appspace.user", "appspace.dot.user", "user_name", "app_space.user_name", "1user", "a"]
        {
            assert!(is_valid_name(name), "{name}");
        }
        for name in [
            "_",
            ".",
            ".user",
            "appspace.",
            "user_",
            "_user",
            "-user",
            "user-",
            ",",
            "-",
            ",user",
            "user,",
            "namespace,user",
            "!fooBar",
            "User",
            "a..b",
            "",
        ] {
            assert!(!is_valid_name(name), "{name}");
        }
    }

    #[test]
    fn without_flags_a_role_can_log_in() {
        assert_eq!(read(&[]), (RoleFlags::default(), vec![]));
    }

    #[test]
    fn flags_in_any_case() {
        let (flags, problems) = read(&["superuser", "CREATEDB", "createdb"]);
        assert!(flags.superuser && flags.createdb && flags.login);
        assert!(problems.is_empty());
        assert!(!read(&["nologin"]).0.login);
    }

    #[test]
    fn wrong_flags_are_named() {
        for (words, message) in [
            (vec!["fly"], "has the unknown flag \"fly\""),
            (vec!["!superuser", "createdb"], "has the unknown flag \"!superuser\""),
            (vec!["superuser1"], "has the unknown flag \"superuser1\""),
            (vec!["inherit", "noinherit"], "has the contradicting flags inherit and noinherit"),
        ] {
            assert_eq!(read(&words).1, [message]);
        }
    }
}
