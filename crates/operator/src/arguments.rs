//! Command lines of the original: its flags have one dash, as Go programs take them (02 §3.2).

/// Flags of the original that carry no value, or one behind `=`.
const SWITCHES: [&str; 3] = ["outofcluster", "nodatabaseaccess", "noteamsapi"];
/// Flags with a value.
const VALUES: [&str; 3] = ["kubeconfig", "kubeqps", "kubeburst"];

/// The same command line as our parser takes it. A line of the original's flags only means the
/// operator.
pub fn normalised(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut arguments = arguments.into_iter();
    let mut found: Vec<String> = arguments.next().into_iter().collect();
    let rest: Vec<String> = arguments.map(|argument| two_dashes(&argument).unwrap_or(argument)).collect();
    let begins_with_flag = rest.first().and_then(|first| first.strip_prefix("--")).is_some_and(is_flag);
    if begins_with_flag {
        found.push("operator".to_owned());
    }
    found.extend(rest);
    found
}

fn two_dashes(argument: &str) -> Option<String> {
    let flag = argument.strip_prefix('-').filter(|flag| is_flag(flag))?;
    Some(format!("--{flag}"))
}

fn is_flag(flag: &str) -> bool {
    let name = flag.split('=').next().unwrap_or(flag);
    SWITCHES.contains(&name) || VALUES.contains(&name)
}

/// A boolean as Go reads it.
///
/// # Errors
/// For any other text.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_02_3_2_flags() {
        for (given, expected) in [
            ("matriarch operator", "matriarch operator"),
            ("matriarch -nodatabaseaccess", "matriarch operator --nodatabaseaccess"),
            ("matriarch --nodatabaseaccess", "matriarch operator --nodatabaseaccess"),
            ("matriarch operator -noteamsapi=true", "matriarch operator --noteamsapi=true"),
            (
                "matriarch -outofcluster -kubeconfig /k -kubeqps 5 -kubeburst=9",
                "matriarch operator --outofcluster --kubeconfig /k --kubeqps 5 --kubeburst=9",
            ),
            ("matriarch plan -f x -n y", "matriarch plan -f x -n y"),
            ("matriarch -V", "matriarch -V"),
            ("matriarch", "matriarch"),
        ] {
            let words = given.split(' ').map(str::to_owned);
            assert_eq!(normalised(words).join(" "), expected);
        }
    }
}
