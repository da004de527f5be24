//! Several operators on one Kubernetes: a manifest names the one that looks after it.

use serde_json::Value;

/// The annotation of a manifest that names its operator's `CONTROLLER_ID`.
const ANNOTATION: &str = "acid.zalan.do/controller";

/// Whether the operator with this id, perhaps an empty one, looks after the manifest. Neither
/// passes nor events nor deletions of other manifests concern it. An absent annotation and an empty
/// one both mean the operator without an id.
pub fn is_ours(manifest: &Value, controller_id: &str) -> bool {
    manifest["metadata"]["annotations"][ANNOTATION].as_str().unwrap_or_default() == controller_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_04_1_4_ownership() {
        let table = [
            (None, "", true),
            (None, "x", false),
            (Some("x"), "x", true),
            (Some("x"), "", false),
            (Some("x"), "y", false),
            (Some(""), "", true),
        ];
        for (annotation, id, owned) in table {
            let manifest = serde_json::json!({"metadata": {"annotations": {ANNOTATION: annotation}}});
            assert_eq!(is_ours(&manifest, id), owned, "annotation {annotation:?}, id {id:?}");
        }
    }
}
