//! Properties of the planner as a function, looked at in some of the passes.

use matriarch_plan::{Observation, Plan, Seen};

use crate::database::SECRET;
use crate::eyes::{Eyes, Source};
use crate::judge::dangerous;
use crate::seed::Seed;

/// Which of them a pass looks at, with the plan that was made.
///
/// # Errors
/// What does not hold.
pub fn check(
    eyes: &Eyes,
    plan: &Plan,
    seed: &mut Seed,
    again: impl Fn(&Observation) -> Plan,
) -> Result<(), String> {
    match seed.below(4) {
        0 if *plan != again(&eyes.sight) => Err("P2: planning twice gives the same plan".to_owned()),
        0 => Ok(()),
        1 => order_does_not_matter(&eyes.sight, plan, again),
        2 => unknown_adds_no_danger(eyes, plan, seed, again),
        _ => no_secret_is_shown(plan),
    }
}

/// P3: lists that are sets.
fn order_does_not_matter(
    sight: &Observation,
    plan: &Plan,
    again: impl Fn(&Observation) -> Plan,
) -> Result<(), String> {
    let mut sight = sight.clone();
    if let Seen::Present(patroni) = &mut sight.patroni {
        patroni.members.reverse();
    }
    if let Seen::Present(pods) = &mut sight.pods {
        pods.reverse();
    }
    if let Seen::Present(claims) = &mut sight.claims {
        claims.reverse();
    }
    let other = again(&sight);
    let same = dangerous(&other) == dangerous(plan) && other.steps.len() == plan.steps.len();
    if same { Ok(()) } else { Err(format!("P3: the order of lists matters; reversed:\n{other}")) }
}

/// P4: not knowing something never leads to more.
fn unknown_adds_no_danger(
    eyes: &Eyes,
    plan: &Plan,
    seed: &mut Seed,
    again: impl Fn(&Observation) -> Plan,
) -> Result<(), String> {
    let mut eyes = eyes.clone();
    let number = usize::try_from(seed.below(Source::ALL.len() as u64)).unwrap_or(0);
    let source = Source::ALL[number];
    eyes.silence(source);
    let other = again(&eyes.sight);
    let known = dangerous(plan);
    if source == Source::Nodes && dangerous(&other).len() <= known.len() {
        // Without the right to read nodes pods roll all the same; only the order is another.
        return Ok(());
    }
    match dangerous(&other).iter().find(|step| !known.contains(*step)) {
        None => Ok(()),
        Some(step) => Err(format!("P4: without {source:?} there is one more step, to {step}\n{other}")),
    }
}

/// P9.
fn no_secret_is_shown(plan: &Plan) -> Result<(), String> {
    let json = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    if plan.to_string().contains(SECRET) || json.contains(SECRET) {
        return Err("P9: a plan shows a verifier".to_owned());
    }
    Ok(())
}
