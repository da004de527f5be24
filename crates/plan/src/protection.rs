//! Protection from deletion by mistake: annotations that the manifest must carry (04 §1.11).

use jiff::civil::Date;
use matriarch_settings::Settings;
use serde_json::Value;

use crate::action::Reason;

/// What the manifest of cluster `name` lacks for its deletion to be carried out; nothing when it
/// may be. With owner references Kubernetes itself deletes, and the contract asks for nothing.
pub fn missing_for_deletion(
    settings: &Settings,
    annotations: &Value,
    name: &str,
    today: Date,
) -> Option<Reason> {
    if settings.enable_owner_references {
        return None;
    }
    let wanted = [
        (&settings.delete_annotation_date_key, today.to_string()),
        (&settings.delete_annotation_name_key, name.to_owned()),
    ];
    let missing: Vec<String> = wanted
        .into_iter()
        .filter(|(key, value)| !key.is_empty() && annotations[key.as_str()] != **value)
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    (!missing.is_empty()).then(|| {
        Reason::new(format!(
            "the deletion waits, and the cluster goes on, until the manifest has the annotations {}",
            missing.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    #[test]
    fn vectors_04_1_11_delete_annotations() {
        let today = date(2026, 11, 24);
        let both = Settings {
            delete_annotation_date_key: "delete-date".to_owned(),
            delete_annotation_name_key: "delete-clustername".to_owned(),
            enable_owner_references: false,
            ..Settings::of_config_map()
        };
        let owned = Settings { enable_owner_references: true, ..both.clone() };
        let date_only = Settings { delete_annotation_name_key: String::new(), ..both.clone() };
        let fits = json!({"delete-date": "2026-11-24", "delete-clustername": "acid-x"});
        let table = [
            (&Settings::of_config_map(), json!(null), vec![]),
            (&both, fits.clone(), vec![]),
            (&both, json!(null), vec!["delete-date: 2026-11-24", "delete-clustername: acid-x"]),
            (&both, json!({"delete-date": "2026-11-24"}), vec!["delete-clustername: acid-x"]),
            (
                &both,
                json!({"delete-date": "2026-11-23", "delete-clustername": "acid-x"}),
                vec!["delete-date: 2026-11-24"],
            ),
            (
                &both,
                json!({"delete-date": "2026-11-24", "delete-clustername": "acid-y"}),
                vec!["delete-clustername: acid-x"],
            ),
            (&date_only, json!({"delete-date": "2026-11-24"}), vec![]),
            (&owned, json!(null), vec![]),
        ];
        for (settings, annotations, missing) in table {
            let reason = missing_for_deletion(settings, &annotations, "acid-x", today);
            let said = reason.map(|reason| reason.0).unwrap_or_default();
            assert_eq!(said.is_empty(), missing.is_empty(), "{annotations}: {said}");
            for part in missing {
                assert!(said.contains(part), "{annotations}: no {part} in {said}");
            }
        }
    }
}
