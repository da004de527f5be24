//! The road from text to plan, and what has to hold on it.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use matriarch_api::{Problem, decode};
use matriarch_cluster::{Cluster, Facts, References, render_with, status_word_for_problems};
use matriarch_plan::{Observation, Seen, plan_cluster};
use matriarch_settings::{OPTIONS, Opt, Settings};
use serde_json::{Value, json};

use crate::places;

/// How many went how far.
#[derive(Default)]
pub struct Road {
    /// Refused, with a field and a cure.
    pub refused: usize,
    /// Planned.
    pub planned: usize,
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused, {} planned", self.refused, self.planned)
    }
}

impl Road {
    /// A manifest all the way.
    pub fn manifest(&mut self, manifest: &Value, settings: &Settings, case: &str) {
        let walked = catch_unwind(AssertUnwindSafe(|| walk(manifest, settings)));
        assert!(is_written_as_read(manifest), "{case}: written and read again it is another");
        match walked {
            Ok(problems) if problems.is_empty() => self.planned += 1,
            Ok(problems) => {
                self.refused += 1;
                checked(&problems, case, |field| {
                    field == "spec"
                        || field.starts_with("spec.")
                        || field.starts_with("metadata.")
                        || is_option(field)
                });
            }
            Err(_) => panic!("{case}: panicked, see above; the manifest is\n{manifest:#}"),
        }
    }

    /// A ConfigMap with one option.
    pub fn config_map(&mut self, option: &Opt, text: &str) {
        let case = format!("ConfigMap {} = {text:?}", option.key);
        let data = BTreeMap::from([(option.key.to_owned(), text.to_owned())]);
        let read = catch_unwind(|| Settings::from_config_map(&data));
        self.settings(read.unwrap_or_else(|_| panic!("{case}: panicked")), &case);
    }

    /// An `OperatorConfiguration` with one option.
    pub fn operator_configuration(&mut self, option: &Opt, value: &Value) {
        let case = format!("OperatorConfiguration {} = {value}", option.path());
        let mut object = json!({"configuration": {}});
        if option.group.is_empty() {
            object["configuration"][option.key] = value.clone();
        } else {
            object["configuration"][option.group][option.key] = value.clone();
        }
        let read = catch_unwind(|| Settings::from_operator_configuration(&object));
        self.settings(read.unwrap_or_else(|_| panic!("{case}: panicked")), &case);
    }

    fn settings(&mut self, (settings, problems): (Settings, Vec<Problem>), case: &str) {
        if problems.is_empty() {
            let lean = json!({
                "metadata": {"name": "acid-test-cluster", "namespace": "default"},
                "spec": {
                    "teamId": "acid", "numberOfInstances": 1, "volume": {"size": "1Gi"},
                    "postgresql": {"version": "17"}, "users": {"foo": []}, "databases": {"bar": "foo"},
                    "connectionPooler": {}, "enableLogicalBackup": true,
                },
            });
            return self.manifest(&lean, &settings, case);
        }
        self.refused += 1;
        checked(&problems, case, is_option);
    }
}

/// P11: what was read of a spec is read the same when it is written and read again.
fn is_written_as_read(manifest: &Value) -> bool {
    let spec = decode(manifest).spec;
    let written = json!({ "spec": spec });
    decode(&written).spec == spec
}

/// Whether `field` is an option, its path, or something in it.
fn is_option(field: &str) -> bool {
    let field = field.strip_prefix("configuration.").unwrap_or(field);
    OPTIONS.iter().any(|option| {
        [option.key.to_owned(), option.path()].iter().any(|name| {
            field
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    })
}

fn checked(problems: &[Problem], case: &str, known: impl Fn(&str) -> bool) {
    for problem in problems {
        assert!(known(&problem.field), "{case}: names the field {:?}: {problem}", problem.field);
        assert!(!problem.message.is_empty() && !problem.cure.is_empty(), "{case}: {problem:?}");
    }
    assert!(!status_word_for_problems(problems, false).is_empty());
}

/// From manifest to printed plan; the problems of a refusal.
fn walk(manifest: &Value, settings: &Settings) -> Vec<Problem> {
    let cluster = match Cluster::validate(manifest, settings) {
        Ok(cluster) => cluster,
        Err(problems) => {
            // A refused cluster can still be deleted: that needs its names.
            let (cluster, _) = Cluster::read(manifest, settings);
            render_with(&cluster, settings, &References::default(), &Facts::default());
            return problems;
        }
    };
    let intent = render_with(&cluster, settings, &References::default(), &Facts::default());
    for object in intent.objects() {
        assert!(!object.name.is_empty(), "a {} has no name", object.kind);
        serde_saphyr::to_string(&object.body).unwrap();
    }
    let nothing = Observation {
        pods: Seen::Present(Vec::new()),
        claims: Seen::Present(Vec::new()),
        patroni_objects: Seen::Present(Vec::new()),
        ..Observation::default()
    };
    let plan = plan_cluster(&intent, &nothing);
    assert!(!plan.to_string().is_empty());
    serde_json::to_string(&plan).unwrap();
    Vec::new()
}

/// The place that `path` names in `object`, made if it is missing.
pub fn at<'a>(object: &'a mut Value, path: &str) -> &'a mut Value {
    places::put_null_if_missing(object, path);
    path.split('/').fold(object, |place, key| &mut place[key])
}
