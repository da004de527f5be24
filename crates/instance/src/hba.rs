//! The default access rules of PostgreSQL (`pg_hba.conf`), the contract's list in its order.

use crate::environment::Environment;

/// The rules: everything local is trusted, loopback needs a password, everything from outside the pod needs
/// TLS and a password. `ALLOW_NOSSL` lets plain connections in, `PAM_OAUTH2` sends people to PAM.
#[must_use]
pub fn rules(env: &Environment) -> Vec<String> {
    let human = env.or("HUMAN_ROLE", "zalandos");
    let standby = env.or("PGUSER_STANDBY", "standby");
    let pam = env.get("PAM_OAUTH2").is_some();
    let plain = env.on("ALLOW_NOSSL");

    let mut rules = vec!["local   all             all                                   trust".to_owned()];
    let people = |rules: &mut Vec<String>, address: &str| {
        if pam {
            rules.push(format!("hostssl all             +{human}    {address}       pam"));
        }
    };
    people(&mut rules, "127.0.0.1/32");
    rules.push("host    all             all                127.0.0.1/32       md5".to_owned());
    people(&mut rules, "::1/128");
    rules.push("host    all             all                ::1/128            md5".to_owned());
    rules.push(format!("local   replication     {standby}                    trust"));
    rules.push(format!("hostssl replication     {standby} all                md5"));
    if !plain {
        rules.push("hostnossl all           all                all                reject".to_owned());
    }
    people(&mut rules, "all");
    let last = if plain { "host    " } else { "hostssl " };
    rules.push(format!("{last}all             all                all                md5"));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pairs: &[(&str, &str)]) -> Vec<String> {
        rules(&pairs.iter().copied().collect())
            .iter()
            .map(|rule| rule.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn plain_connections_from_outside_are_rejected() {
        assert_eq!(
            words(&[]),
            [
                "local all all trust",
                "host all all 127.0.0.1/32 md5",
                "host all all ::1/128 md5",
                "local replication standby trust",
                "hostssl replication standby all md5",
                "hostnossl all all all reject",
                "hostssl all all all md5",
            ]
        );
    }

    #[test]
    fn people_go_to_pam_before_the_password_rules() {
        let rules =
            words(&[("PAM_OAUTH2", "https://x"), ("HUMAN_ROLE", "people"), ("PGUSER_STANDBY", "repl")]);
        assert_eq!(rules[1], "hostssl all +people 127.0.0.1/32 pam");
        assert_eq!(rules[3], "hostssl all +people ::1/128 pam");
        assert_eq!(rules[6], "hostssl replication repl all md5");
        assert_eq!(rules[8], "hostssl all +people all pam");
    }

    #[test]
    fn plain_connections_can_be_let_in_on_request() {
        let rules = words(&[("ALLOW_NOSSL", "true")]);
        assert_eq!(rules.last().map(String::as_str), Some("host all all all md5"));
        assert!(!rules.iter().any(|rule| rule.contains("reject")));
        assert!(words(&[("ALLOW_NOSSL", "false")]).iter().any(|rule| rule.contains("reject")));
    }
}
