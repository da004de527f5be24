//! Infrastructure roles: from Secrets, and ConfigMaps beside them, to roles (02 §6.4).

use std::collections::BTreeMap;

use matriarch_settings::{Settings, namespaced_name};
use serde_json::Value;

use crate::intent::SecretKey;
use crate::references::InfrastructureRole;
use crate::users;

/// Where roles come from: one Secret, and how to read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Namespace of the Secret, and of the ConfigMap of the same name.
    pub namespace: String,
    /// Name of both.
    pub name: String,
    keys: Keys,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Keys {
    /// `user1`, `password1`, `inrole1`, `user2`, … to the first gap.
    #[default]
    Numbered,
    /// One role under keys of one's choice.
    Named { user: String, password: String, group: String, default_user: String, default_group: String },
}

/// The sources that the settings name, in their order: a later role replaces an earlier one of the
/// same name. A Secret without a namespace is in the operator's, `own_namespace`.
pub fn sources(settings: &Settings, own_namespace: &str) -> Vec<Source> {
    let definitions = settings.infrastructure_roles_secrets.as_ref().and_then(Value::as_array);
    let named = definitions.into_iter().flatten().filter_map(|definition| {
        let text = |key: &str| definition[key].as_str().unwrap_or_default().to_owned();
        let keys = Keys::Named {
            user: text("userkey"),
            password: text("passwordkey"),
            group: text("rolekey"),
            default_user: text("defaultuservalue"),
            default_group: text("defaultrolevalue"),
        };
        let (namespace, name) = namespaced_name(&text("secretname"), own_namespace)?;
        Some(Source { namespace, name, keys })
    });
    let numbered = namespaced_name(&settings.infrastructure_roles_secret_name, own_namespace);
    let numbered = numbered.map(|(namespace, name)| Source { namespace, name, keys: Keys::Numbered });
    named.chain(numbered).collect()
}

/// The roles of a source, from the Secret's keys and values and, if there is one, the data of the
/// ConfigMap of its name; and what could not be read.
pub fn roles(
    source: &Source,
    secret: &BTreeMap<String, String>,
    map: Option<&BTreeMap<String, String>>,
) -> (Vec<InfrastructureRole>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut found = match &source.keys {
        Keys::Numbered => numbered(source, secret, &mut warnings),
        Keys::Named { .. } => named(source, secret, &mut warnings).into_iter().collect(),
    };
    for (name, text) in map.into_iter().flatten() {
        match described(source, secret, name, text) {
            Ok(role) => found.push(role),
            Err(why) => warnings.push(format!("{}/{}: {name} {why}", source.namespace, source.name)),
        }
    }
    let names = |role: &InfrastructureRole| {
        let valid = users::is_valid_name(&role.name);
        if !valid {
            warnings
                .push(format!("{}/{}: {:?} is no name of a role", source.namespace, source.name, role.name));
        }
        valid
    };
    found.retain(names);
    (found, warnings)
}

fn numbered(
    source: &Source,
    secret: &BTreeMap<String, String>,
    warnings: &mut Vec<String>,
) -> Vec<InfrastructureRole> {
    let mut found = Vec::new();
    for number in 1_u32.. {
        let Some(name) = secret.get(&format!("user{number}")) else { break };
        let key = format!("password{number}");
        let group = secret.get(&format!("inrole{number}")).cloned().unwrap_or_default();
        if name.is_empty() || secret.get(&key).is_none_or(String::is_empty) {
            warnings.push(format!("{}/{}: user{number} or {key} is empty", source.namespace, source.name));
            continue;
        }
        found.push(role(source, name, &key, &group));
    }
    found
}

fn named(
    source: &Source,
    secret: &BTreeMap<String, String>,
    warnings: &mut Vec<String>,
) -> Option<InfrastructureRole> {
    let Keys::Named { user, password, group, default_user, default_group } = &source.keys else {
        return None;
    };
    let or = |key: &String, default: &String| {
        secret.get(key).filter(|value| !value.is_empty()).unwrap_or(default).clone()
    };
    let name = or(user, default_user);
    if name.is_empty() || secret.get(password).is_none_or(String::is_empty) {
        warnings.push(format!(
            "{}/{}: no name under {user:?}, or no password under {password:?}",
            source.namespace, source.name
        ));
        return None;
    }
    Some(role(source, &name, password, &or(group, default_group)))
}

/// A role that a ConfigMap describes; its password stands under its name in the Secret.
fn described(
    source: &Source,
    secret: &BTreeMap<String, String>,
    name: &str,
    text: &str,
) -> Result<InfrastructureRole, String> {
    if secret.get(name).is_none_or(String::is_empty) {
        return Err("has no password in the Secret of the same name".to_owned());
    }
    let description: Value =
        serde_saphyr::from_str(text).map_err(|error| format!("cannot be read as YAML: {error}"))?;
    let texts = |key: &str| -> Vec<String> {
        let list = description[key].as_array().into_iter().flatten();
        list.filter_map(|value| value.as_str().map(str::to_owned)).collect()
    };
    let mut problems = Vec::new();
    let flags = users::flags(name, &texts("user_flags"), &mut problems);
    if let Some(problem) = problems.first() {
        return Err(problem.to_string());
    }
    let parameters = description["db_parameters"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(InfrastructureRole {
        member_of: texts("inrole"),
        flags,
        parameters: parameters.map(|(key, value)| (key.clone(), text(value))).collect(),
        ..role(source, name, name, "")
    })
}

fn role(source: &Source, name: &str, key: &str, group: &str) -> InfrastructureRole {
    InfrastructureRole {
        name: name.to_owned(),
        password: Some(SecretKey {
            namespace: source.namespace.clone(),
            name: source.name.clone(),
            key: key.to_owned(),
        }),
        member_of: if group.is_empty() { Vec::new() } else { vec![group.to_owned()] },
        ..InfrastructureRole::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn names_and_groups(roles: &[InfrastructureRole]) -> Vec<String> {
        roles.iter().map(|role| format!("{}:{}", role.name, role.member_of.join("+"))).collect()
    }

    fn source(settings: Settings) -> Source {
        sources(&settings, "own").remove(0)
    }

    #[test]
    fn vectors_02_6_4_numbered_secrets() {
        let settings =
            Settings { infrastructure_roles_secret_name: "roles".to_owned(), ..Settings::of_config_map() };
        let source = source(settings);
        assert_eq!((source.namespace.as_str(), source.name.as_str()), ("own", "roles"));
        let three = [("user1", "a"), ("password1", "x"), ("user2", "b"), ("password2", "y"), ("user3", "c")];
        let table: [(&[(&str, &str)], &[&str], usize); 5] = [
            (&[("user1", "a"), ("password1", "x"), ("inrole1", "g")], &["a:g"], 0),
            // The original loses the last of three here.
            (&[&three[..], &[("password3", "z")]].concat(), &["a:", "b:", "c:"], 0),
            (&[("user1", "a"), ("user2", "b"), ("password2", "y")], &["b:"], 1),
            (&[("user2", "b"), ("password2", "y")], &[], 0),
            (&[("user1", "A!"), ("password1", "x")], &[], 1),
        ];
        for (secret, wanted, warned) in table {
            let (found, warnings) = roles(&source, &map(secret), None);
            assert_eq!(names_and_groups(&found), wanted, "{secret:?}");
            assert_eq!(warnings.len(), warned, "{secret:?}: {warnings:?}");
        }
    }

    #[test]
    fn vectors_02_6_4_named_keys() {
        let secret = map(&[("user", "a"), ("password", "x"), ("in", "g")]);
        let table = [
            (json!({"userkey": "user", "passwordkey": "password", "rolekey": "in"}), Some("a:g")),
            (
                json!({"userkey": "user", "passwordkey": "password", "rolekey": "no", "defaultrolevalue": "d"}),
                Some("a:d"),
            ),
            (json!({"passwordkey": "password", "defaultuservalue": "u"}), Some("u:")),
            (json!({"userkey": "user", "passwordkey": "no"}), None),
            (json!({"userkey": "no", "passwordkey": "password"}), None),
        ];
        for (mut definition, wanted) in table {
            definition["secretname"] = json!("ns/roles");
            let settings = Settings {
                infrastructure_roles_secrets: Some(json!([definition])),
                ..Settings::of_config_map()
            };
            let (found, warnings) = roles(&source(settings), &secret, None);
            assert_eq!(names_and_groups(&found).first().map(String::as_str), wanted, "{definition}");
            assert_eq!(warnings.is_empty(), wanted.is_some(), "{definition}: {warnings:?}");
            for role in found {
                let place = role.password.expect("a password");
                assert_eq!((place.namespace.as_str(), place.key.as_str()), ("ns", "password"));
            }
        }
    }

    #[test]
    fn vectors_02_6_4_config_maps() {
        let settings =
            Settings { infrastructure_roles_secret_name: "roles".to_owned(), ..Settings::of_config_map() };
        let source = source(settings);
        let secret = map(&[("batman", "justice"), ("robin", "help")]);
        let described = map(&[
            ("batman", "inrole: [admin]\nuser_flags: [createdb]\ndb_parameters: {log_statement: all}\n"),
            ("joker", "inrole: [admin]"),
            ("robin", "user_flags: [fly]"),
        ]);
        let (found, warnings) = roles(&source, &secret, Some(&described));
        assert_eq!(names_and_groups(&found), ["batman:admin"]);
        assert!(found[0].flags.createdb && found[0].parameters["log_statement"] == "all");
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }

    #[test]
    fn without_names_there_are_no_sources() {
        assert_eq!(sources(&Settings::of_config_map(), "own"), []);
    }
}
