//! Values that are likely to be in nobody's mind.

use matriarch_settings::{OPTIONS, Settings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use crate::random::Random;

/// How many values there are.
pub const COUNT: u64 = 40;

/// One of them.
pub fn value(number: u64) -> Value {
    match number % COUNT {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(0),
        4 => json!(i64::MAX),
        5 => json!(i64::MIN),
        6 => json!(u64::MAX),
        7 => json!(1.5e300),
        8 => json!([]),
        9 => json!({}),
        10 => json!([null]),
        11 => json!({"": null}),
        12 => json!([[[[]]]]),
        13 => json!({"a": {"b": {"c": [{}]}}}),
        14 => json!([1, "a", {}, null]),
        15 => json!({"name": 5, "value": {}}),
        16 => json!(7),
        17 => json!(false),
        _ => json!(text(number)),
    }
}

/// One of the texts among them.
pub fn text(number: u64) -> String {
    let texts = [
        "",
        " ",
        "\u{0}",
        "ä",
        "🦀🦀",
        "-",
        "a-",
        "..",
        "/",
        "{cluster}",
        "{username}{cluster}{}",
        "$(POD_NAME)",
        "'; DROP TABLE x; --",
        "\"",
        "a,b:c,:,",
        "1e999999Gi",
        "99999999999999999999999Ei",
        "Sat:25:00-ä",
        "::::/--",
        "null",
        "0x7fffffffffffffffffff",
        "%s\n\t",
    ];
    if number.is_multiple_of(11) {
        return "x".repeat(300);
    }
    texts[usize::try_from(number).unwrap() % texts.len()].to_owned()
}

/// Changes one random place of `manifest`.
pub fn mutate(manifest: &mut Value, random: &mut Random) {
    let place = random_place(manifest, random);
    match random.below(6) {
        0 => *place = value(random.next()),
        1 => *place = json!(text(random.next())),
        2 => match place {
            Value::Object(map) => take_one(map, random),
            Value::Array(items) if !items.is_empty() => {
                let index = random.below(items.len());
                let item = items[index].clone();
                items.push(item);
            }
            other => *other = Value::Null,
        },
        3 => match place {
            Value::String(text) => *text = cut(text, random),
            Value::Number(_) => *place = json!(random.next() as i64),
            other => *other = json!([other.clone()]),
        },
        4 => match place {
            Value::Object(map) => {
                map.insert(text(random.next()), value(random.next()));
            }
            other => *other = json!(other.to_string()),
        },
        _ => *place = json!({text(random.next()): place.clone()}),
    }
}

fn take_one(map: &mut Map<String, Value>, random: &mut Random) {
    if let Some(key) = map.keys().nth(random.below(map.len().max(1))).cloned() {
        map.remove(&key);
    }
}

fn cut(text: &str, random: &mut Random) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    if characters.is_empty() {
        return "🦀".to_owned();
    }
    let at = random.below(characters.len());
    match random.below(3) {
        0 => characters.truncate(at),
        1 => characters.insert(at, ['ß', '-', '0', '\n', ':', '"', '/'][random.below(7)]),
        _ => characters.swap(0, at),
    }
    characters.into_iter().collect()
}

fn random_place<'a>(value: &'a mut Value, random: &mut Random) -> &'a mut Value {
    let deeper = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if !deeper || random.below(6) == 0 {
        return value;
    }
    match value {
        Value::Object(map) => {
            let index = random.below(map.len());
            random_place(map.values_mut().nth(index).unwrap(), random)
        }
        Value::Array(items) => {
            let index = random.below(items.len());
            random_place(&mut items[index], random)
        }
        _ => unreachable!("only containers are deeper"),
    }
}

/// Settings of which a few options have odd values, where that is allowed.
pub fn settings(random: &mut Random) -> (Settings, usize) {
    let mut data = BTreeMap::new();
    for _ in 0..random.below(4) {
        let option = &OPTIONS[random.below(OPTIONS.len())];
        data.insert(option.key.to_owned(), text(random.next()));
    }
    let (settings, problems) = Settings::from_config_map(&data);
    if problems.is_empty() { (settings, 0) } else { (Settings::default(), problems.len()) }
}
