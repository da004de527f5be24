//! Changes of single places in a live object, and whether they are told.

use matriarch_cluster::Object;
use matriarch_plan::Consequence;
use matriarch_plan::difference::{Difference, object_differences};
use serde_json::{Value, json};

/// Changes every rendered place of `live` by itself; how many changes that were, and those that
/// were not told or told with another consequence than the contract gives them.
pub fn missed(object: &Object, live: &Value) -> (usize, Vec<String>) {
    let mut places = Vec::new();
    collect(&object.body, live, String::new(), &mut places);
    let mut missed = Vec::new();
    let mut count = 0;
    for place in &places {
        for changed in [Some(other(live.pointer(place).unwrap_or(&Value::Null))), None] {
            let mut live = live.clone();
            if !change(&mut live, place, changed.clone()) {
                continue;
            }
            count += 1;
            let found = object_differences(&object.kind, &object.body, &live);
            if let Some(why) = judge(&object.kind, place, &found) {
                missed.push(format!("{} {place} → {changed:?}: {why}", object.name));
            }
        }
    }
    (count, missed)
}

fn judge(kind: &str, place: &str, found: &[Difference]) -> Option<String> {
    let Some(difference) = found.first() else { return Some("not told".to_owned()) };
    let wanted = expected(kind, place);
    let told = found.iter().map(|found| found.consequence).max().unwrap_or_default();
    if !wanted.contains(&told) {
        return Some(format!("told as {told:?} ({}), expected one of {wanted:?}", difference.path));
    }
    let first = |path: &str| path.split(['.', '/', '[']).find(|part| !part.is_empty()).map(str::to_owned);
    (first(place) != first(&difference.path)).then(|| format!("told of {}", difference.path))
}

/// The contract's consequence of a change at a place (04 §7.1), looked up by its beginning.
fn expected(kind: &str, place: &str) -> Vec<Consequence> {
    use Consequence::{Forbidden, None, Recreate, Replace};
    let starts = |start: &str| place.starts_with(start);
    match kind {
        "StatefulSet" if starts("/spec/template/metadata/labels") || starts("/spec/template/spec") => {
            vec![Recreate]
        }
        "StatefulSet" if starts("/spec/selector") => vec![Forbidden],
        "StatefulSet" if starts("/spec/volumeClaimTemplates") => vec![Replace, Forbidden],
        "StatefulSet" if starts("/spec/serviceName") || starts("/spec/podManagementPolicy") => vec![Replace],
        "Deployment" if starts("/spec/template/metadata/labels") || starts("/spec/template/spec") => {
            vec![Recreate]
        }
        "Deployment" if starts("/spec/selector") => vec![Replace],
        "RoleBinding" if starts("/roleRef") => vec![Forbidden],
        "Secret" if starts("/type") => vec![Forbidden],
        "Endpoints" if starts("/subsets") => vec![Forbidden],
        _ => vec![None],
    }
}

/// JSON pointers of all rendered leaves that the live object has.
fn collect(desired: &Value, live: &Value, place: String, places: &mut Vec<String>) {
    // What the object is is no property of it.
    let identity = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];
    if identity.contains(&place.as_str()) || live.is_null() {
        return;
    }
    match (desired, live) {
        (Value::Object(fields), Value::Object(_)) => {
            for (key, value) in fields {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                collect(value, &live[key.as_str()], format!("{place}/{escaped}"), places);
            }
        }
        (Value::Array(desired), Value::Array(live)) => {
            for (index, (desired, live)) in desired.iter().zip(live).enumerate() {
                collect(desired, live, format!("{place}/{index}"), places);
            }
        }
        (Value::Object(_) | Value::Array(_), _) => {}
        _ => places.push(place),
    }
}

/// Another value of the same kind.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_i64().unwrap_or_default() + 1),
        Value::String(text) => json!(format!("{text}x")),
        _ => json!("x"),
    }
}

/// Puts a value at a place, or takes the place away; false when that changes nothing.
fn change(live: &mut Value, place: &str, value: Option<Value>) -> bool {
    let Some((parent, key)) = place.rsplit_once('/') else { return false };
    let Some(parent) = live.pointer_mut(parent) else { return false };
    let key = key.replace("~1", "/").replace("~0", "~");
    match (parent, value) {
        (Value::Object(map), Some(value)) => map.insert(key, value).is_some(),
        (Value::Object(map), None) => {
            let gone = map.remove(&key);
            // Absent and empty mean the same.
            gone.is_some_and(|gone| gone != json!(""))
        }
        (Value::Array(list), Some(value)) => {
            let slot = key.parse().ok().and_then(|index: usize| list.get_mut(index));
            slot.map(|slot| *slot = value).is_some()
        }
        (Value::Array(list), None) => match key.parse::<usize>() {
            Ok(index) if index < list.len() => {
                list.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}
