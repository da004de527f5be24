//! The planner: one path for create, update, sync and recovery. It is total; what
//! cannot be decided becomes a gate, what must not be done a refusal.

use matriarch_cluster::Intent;
use matriarch_sql::{Catalog, PasswordState};

use crate::account;
use crate::action::{Action, Lane, Step};
use crate::bootstrap::plan_bootstrap;
use crate::objects::{self, Proof};
use crate::observation::Observation;
use crate::patroni::{plan_patroni_config, plan_patroni_objects};
use crate::plan::{Gate, Plan, Refusal};
use crate::pod_annotations::plan_pod_annotations;
use crate::rolling;
use crate::secrets::plan_secrets;
use crate::seen::Seen;
use crate::stateful_set::plan_stateful_set;

pub use crate::deletion::plan_deletion;

/// What to do so that the cluster becomes what the intent says.
pub fn plan_cluster(intent: &Intent, seen: &Observation) -> Plan {
    let identity = &intent.identity;
    let mut plan = Plan {
        subject: format!(
            "cluster {}/{} (team {}, generation {})",
            identity.namespace, identity.name, identity.team, identity.generation
        ),
        ..Plan::default()
    };
    match (intent.finalizer, seen.has_finalizer) {
        (true, false) => plan.steps.push(Step::new(
            Action::AddFinalizer,
            "a deletion must not go unseen while the operator is down",
        )),
        (false, true) => {
            plan.steps.push(Step::new(Action::RemoveFinalizer, "enable_finalizers is false"));
        }
        _ => {}
    }
    account::plan_shared(intent, seen, &mut plan);
    plan_secrets(intent, seen, &mut plan);
    objects::plan_endpoints(intent, seen, &mut plan);
    plan_patroni_objects(intent, seen, &mut plan);
    let labelled = intent.services.iter().chain(&intent.disruption_budgets).chain(&intent.logical_backup);
    for object in labelled {
        objects::plan_object(object, Proof::Labels, intent, seen, &mut plan);
    }
    plan_stateful_set(intent, seen, &mut plan);
    for pooler in &intent.poolers {
        objects::plan_pooler(pooler, intent, seen, &mut plan);
    }
    objects::plan_streams(intent, seen, &mut plan);
    plan_pod_annotations(intent, seen, &mut plan);
    plan_patroni_config(intent, seen, &mut plan);
    plan_bootstrap(intent, seen, &mut plan);
    rolling::plan_pods(intent, seen, &mut plan);
    plan_sql(intent, seen, &mut plan);
    objects::plan_unwanted(intent, seen, &mut plan);
    plan.gates.extend(
        intent
            .waits_for_window
            .iter()
            .map(|later| rolling::window_gate(intent, seen, &format!("{} {}", later.field, later.why))),
    );
    plan.paused = intent.policy.paused;
    plan.steps.sort_by_key(|step| step.action.lane());
    plan
}

/// What is asked for and no statement can give.
fn refuse_sql(intent: &Intent, catalog: &Catalog, plan: &mut Plan) {
    let groups = matriarch_sql::missing_groups(&intent.roles, catalog);
    let extensions = matriarch_sql::unavailable_extensions(&intent.databases, catalog);
    let refused = groups.into_iter().chain(extensions);
    plan.refusals.extend(refused.map(|(what, because)| Refusal { what, because }));
}

fn plan_sql(intent: &Intent, seen: &Observation, plan: &mut Plan) {
    let nothing_inside = intent.roles.is_empty() && intent.databases.is_empty();
    if intent.instances == 0 || nothing_inside {
        return;
    }
    match &seen.catalog {
        Seen::Present(catalog) => {
            let changes =
                matriarch_sql::differences(&intent.roles, &intent.databases, catalog, &seen.passwords);
            for (statement, because) in changes {
                plan.steps.push(Step::new(Action::Sql(statement), because));
            }
            let inside =
                matriarch_sql::content_differences(&intent.databases, intent.lookup.as_ref(), catalog);
            for (statement, because) in inside {
                plan.steps.push(Step::new(Action::Sql(statement), because));
            }
            refuse_sql(intent, catalog, plan);
            for secret in intent.roles.iter().filter_map(|role| role.secret.as_ref()) {
                if seen.passwords.get(secret) == Some(&PasswordState::Unknown)
                    && !plan.gates.iter().any(|gate| gate.lane == Lane::Sql)
                {
                    plan.gates.push(Gate::new(
                        Lane::Sql,
                        "all passwords can be compared",
                        format!("the password in Secret {secret} could not be read"),
                    ));
                }
            }
        }
        Seen::Absent => {
            // What the statements will be is known already: an empty catalog is what
            // a new cluster has. They are planned once the primary accepts them.
            let (roles, databases) = (intent.roles.len(), intent.databases.len());
            plan.gates.push(Gate::new(
                Lane::Sql,
                "the primary accepts connections",
                format!("{roles} roles and {databases} databases are to be checked there"),
            ));
        }
        Seen::Unknown(why) => {
            plan.gates.push(Gate::new(Lane::Sql, "the primary accepts connections", why.clone()));
        }
    }
}
