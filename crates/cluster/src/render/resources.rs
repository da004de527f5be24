//! Requests and limits of a container.

use std::collections::BTreeMap;

use matriarch_api::{Problem, ResourceValues, Resources};
use matriarch_settings::Settings;
use serde_json::{Value, json};

use super::Context;
use crate::quantity::Quantity;

type Amounts = BTreeMap<&'static str, Quantity>;

/// Amounts that a container gets if it names none.
pub(super) struct Defaults<'a> {
    pub(super) requests: [(&'static str, &'a str); 2],
    pub(super) limits: [(&'static str, &'a str); 2],
}

impl<'a> Defaults<'a> {
    /// Those of PostgreSQL and sidecars.
    pub(super) fn of_pods(settings: &'a Settings) -> Self {
        Self {
            requests: [("cpu", &settings.default_cpu_request), ("memory", &settings.default_memory_request)],
            limits: [("cpu", &settings.default_cpu_limit), ("memory", &settings.default_memory_limit)],
        }
    }
}

/// `resources` of the container `postgres`, and what was raised.
pub(super) fn postgres(context: &Context<'_>) -> (Value, Vec<Problem>) {
    let settings = context.settings;
    let defaults = Defaults::of_pods(settings);
    let limited = !context.cluster.has_annotation_true(&settings.ignore_resources_limits_annotation_key);
    let (mut requests, mut limits) = filled(context.cluster.spec.resources.as_ref(), &defaults);
    let mut notices = Vec::new();
    if limited {
        raise_limits(settings, &mut limits, &mut notices);
    }
    reconcile(settings, &mut requests, &mut limits);
    if limited {
        cap(&mut requests, "cpu", &settings.max_cpu_request);
        cap(&mut requests, "memory", &settings.max_memory_request);
    }
    (texts(&requests, &limits), notices)
}

/// `resources` of a sidecar: no minimum and no maximum.
pub(super) fn sidecar(context: &Context<'_>, own: Option<&Resources>) -> Value {
    other(context, own, &Defaults::of_pods(context.settings))
}

/// `resources` of any other container: no minimum and no maximum.
pub(super) fn other(context: &Context<'_>, own: Option<&Resources>, defaults: &Defaults<'_>) -> Value {
    let (mut requests, mut limits) = filled(own, defaults);
    reconcile(context.settings, &mut requests, &mut limits);
    texts(&requests, &limits)
}

/// What the settings give the Scalyr sidecar; an empty amount falls back to that of sidecars.
pub(super) fn of_log_shipper(settings: &Settings) -> Resources {
    let values = |cpu: &str, memory: &str| {
        Some(ResourceValues {
            cpu: Some(cpu.to_owned()),
            memory: Some(memory.to_owned()),
            ..ResourceValues::default()
        })
    };
    Resources {
        requests: values(&settings.scalyr_cpu_request, &settings.scalyr_memory_request),
        limits: values(&settings.scalyr_cpu_limit, &settings.scalyr_memory_limit),
    }
}

fn filled(own: Option<&Resources>, defaults: &Defaults<'_>) -> (Amounts, Amounts) {
    let requests = own.and_then(|resources| resources.requests.as_ref());
    let limits = own.and_then(|resources| resources.limits.as_ref());
    (amounts(requests, &defaults.requests), amounts(limits, &defaults.limits))
}

/// Own value, else default; `0` and `null` count as missing. Huge pages have no default.
fn amounts(own: Option<&ResourceValues>, defaults: &[(&'static str, &str)]) -> Amounts {
    let own = own.cloned().unwrap_or_default();
    let mut amounts = Amounts::new();
    for (name, default) in defaults {
        let text = if *name == "cpu" { &own.cpu } else { &own.memory };
        let text = text.as_deref().filter(|text| is_given(text)).unwrap_or(default);
        if is_given(text)
            && let Ok(quantity) = Quantity::parse(text)
        {
            amounts.insert(name, quantity);
        }
    }
    for (name, text) in [("hugepages-2Mi", &own.hugepages_2mi), ("hugepages-1Gi", &own.hugepages_1gi)] {
        if let Some(Ok(quantity)) = text.as_deref().map(Quantity::parse) {
            amounts.insert(name, quantity);
        }
    }
    amounts
}

fn is_given(text: &str) -> bool {
    !matches!(text, "" | "0" | "null")
}

/// A missing limit counts as 0, so a minimum makes one.
fn raise_limits(settings: &Settings, limits: &mut Amounts, notices: &mut Vec<Problem>) {
    for (name, minimum) in [("cpu", &settings.min_cpu_limit), ("memory", &settings.min_memory_limit)] {
        let Ok(least) = Quantity::parse(minimum) else { continue };
        let current = limits.get(name).copied();
        if least.is_zero() || current.is_some_and(|current| !current.less_than(least)) {
            continue;
        }
        limits.insert(name, least);
        let found = current.map_or_else(|| "none".to_owned(), Quantity::canonical);
        notices.push(Problem::new(
            format!("spec.resources.limits.{name}"),
            format!("is {found}, below min_{name}_limit {minimum}, and was raised"),
            "raise it in the manifest",
        ));
    }
}

/// Limits follow requests; with `set_memory_request_to_limit` the memory request follows its limit.
fn reconcile(settings: &Settings, requests: &mut Amounts, limits: &mut Amounts) {
    for name in ["cpu", "memory"] {
        if let (Some(request), Some(limit)) = (requests.get(name), limits.get_mut(name))
            && limit.less_than(*request)
        {
            *limit = *request;
        }
    }
    if settings.set_memory_request_to_limit
        && let Some(limit) = limits.get("memory")
        && requests.get("memory").is_none_or(|request| request.less_than(*limit))
    {
        requests.insert("memory", *limit);
    }
}

fn cap(requests: &mut Amounts, name: &'static str, maximum: &str) {
    if let (Some(request), Ok(most)) = (requests.get_mut(name), Quantity::parse(maximum))
        && !most.is_zero()
        && most.less_than(*request)
    {
        *request = most;
    }
}

fn texts(requests: &Amounts, limits: &Amounts) -> Value {
    let mut resources = json!({});
    for (key, amounts) in [("requests", requests), ("limits", limits)] {
        let texts: BTreeMap<_, _> = amounts.iter().map(|(name, q)| (*name, q.canonical())).collect();
        super::put(&mut resources, key, json!(texts));
    }
    resources
}
