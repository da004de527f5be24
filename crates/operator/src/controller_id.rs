//! Several operators on one Kubernetes: a manifest names the one that looks after it.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::DynamicObject;

/// The annotation of a manifest that names its operator's `CONTROLLER_ID`.
const ANNOTATION: &str = "acid.zalan.do/controller";

/// Whether the operator with this id, perhaps an empty one, looks after the manifest. Neither
/// passes nor events nor deletions of other manifests concern it.
pub fn is_ours(object: &DynamicObject, controller_id: &str) -> bool {
    named(object.annotations()) == controller_id
}

/// An absent annotation and an empty one both mean the operator without an id.
fn named(annotations: &BTreeMap<String, String>) -> &str {
    annotations.get(ANNOTATION).map_or("", String::as_str)
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
            let annotations = annotation.map(|value| (ANNOTATION.to_owned(), value.to_owned()));
            let mut object = DynamicObject::new("a", &crate::kinds::resource("postgresql"));
            object.metadata.annotations = Some(annotations.into_iter().collect());
            assert_eq!(is_ours(&object, id), owned, "annotation {annotation:?}, id {id:?}");
        }
    }
}
