//! FabricEventStreams: one per application that reads changes.

use std::collections::BTreeMap;

use matriarch_api::{Problem, Stream, StreamTable};
use serde_json::{Map, Value, json};

use super::{Context, put};
use crate::intent::Object;
use crate::names;
use crate::quantity::Quantity;
use crate::validate::STREAM_USER;

const CPU_ANNOTATION: &str = "fes.zalando.org/FES_CPU";
const MEMORY_ANNOTATION: &str = "fes.zalando.org/FES_MEMORY";
const DEFAULT_SCHEMA: &str = "public";
const KIND: &str = "FabricEventStream";

/// One object per application, by its id. Its name is for a new one: an existing object of the
/// application keeps the name that it has.
pub(super) fn render(context: &Context<'_>) -> Vec<Object> {
    applications(context).iter().map(|(id, streams)| object(context, id, streams)).collect()
}

/// What is left to the owner.
pub(super) fn notices(context: &Context<'_>) -> Vec<Problem> {
    if !context.cluster.has_streams() {
        return Vec::new();
    }
    vec![Problem::new(
        "spec.streams",
        "gets its FabricEventStreams, but neither publications nor replication slots in this release",
        "create them by hand under the slot names that the FabricEventStreams name",
    )]
}

fn applications<'a>(context: &'a Context<'_>) -> BTreeMap<&'a str, Vec<&'a Stream>> {
    let mut applications: BTreeMap<&str, Vec<&Stream>> = BTreeMap::new();
    for stream in context.cluster.spec.streams.iter().flatten() {
        applications.entry(&stream.application_id).or_default().push(stream);
    }
    applications
}

fn object(context: &Context<'_>, id: &str, streams: &[&Stream]) -> Object {
    let mut annotations = BTreeMap::new();
    for (key, amounts) in [
        (CPU_ANNOTATION, streams.iter().filter_map(|stream| stream.cpu.as_ref()).collect::<Vec<_>>()),
        (MEMORY_ANNOTATION, streams.iter().filter_map(|stream| stream.memory.as_ref()).collect()),
    ] {
        if let Some(amount) = largest(amounts).filter(|amount| !amount.is_empty()) {
            annotations.insert(key.to_owned(), amount.clone());
        }
    }
    let name = names::stream(context.name(), id);
    let metadata = context.metadata(&name, context.labels(), context.downscaled(annotations));
    let elements: Vec<Value> = streams
        .iter()
        .flat_map(|stream| stream.tables.iter().map(|(key, table)| element(context, stream, key, table)))
        .collect();
    let spec = json!({"applicationId": id, "eventStreams": elements});
    context.object("zalando.org/v1", KIND, metadata, json!({"spec": spec}))
}

/// The largest amount; of what cannot be compared, the first.
fn largest(amounts: Vec<&String>) -> Option<&String> {
    amounts.into_iter().reduce(|a, b| {
        let less = matches!((Quantity::parse(a), Quantity::parse(b)), (Ok(a), Ok(b)) if a.less_than(b));
        if less { b } else { a }
    })
}

/// What is sent of one table.
fn element(context: &Context<'_>, stream: &Stream, key: &str, table: &StreamTable) -> Value {
    let mut flow = json!({"type": "PostgresWalToGenericNakadiEvent"});
    put(&mut flow, "payloadColumn", json!(table.payload_column));
    json!({
        "flow": flow,
        "sink": sink(stream, &table.event_type),
        "source": source(context, stream, key, table),
        "recovery": recovery(stream, table),
    })
}

fn sink(stream: &Stream, event_type: &str) -> Value {
    let mut sink = json!({"type": "Nakadi"});
    put(&mut sink, "eventType", json!(event_type));
    put(&mut sink, "maxBatchSize", json!(stream.batch_size));
    sink
}

fn source(context: &Context<'_>, stream: &Stream, key: &str, table: &StreamTable) -> Value {
    let (schema, name) = schema_and_table(key);
    let mut of_table = json!({"name": name});
    put(&mut of_table, "idColumn", json!(table.id_column));
    let user = STREAM_USER;
    let (cluster, namespace, database) = (context.name(), context.namespace(), &stream.database);
    let mut source: Value = Map::new().into();
    source["type"] = json!("PostgresLogicalReplication");
    source["schema"] = json!(schema);
    source["table"] = of_table;
    let filter = stream.filter.as_ref().and_then(|filter| filter.get(key));
    put(&mut source, "filter", json!(filter));
    source["jdbcConnection"] = json!({
        "jdbcUrl": format!(
            "jdbc:postgresql://{cluster}.{namespace}/{database}?user={user}&ssl=true&sslmode=require"
        ),
        "slotName": names::stream_slot(database, &stream.application_id),
        "pluginType": "pgoutput",
        "databaseAuthentication": {
            "type": "DatabaseAuthenticationSecret",
            "name": names::credential_secret(user, cluster, context.settings),
            "userKey": "username",
            "passwordKey": "password",
        },
    });
    source
}

/// The first two parts of `schema.table`; a lone name is a table of `public`.
fn schema_and_table(key: &str) -> (&str, &str) {
    let mut parts = key.split('.');
    match (parts.next(), parts.next()) {
        (Some(schema), Some(table)) => (schema, table),
        _ => (DEFAULT_SCHEMA, key),
    }
}

fn recovery(stream: &Stream, table: &StreamTable) -> Value {
    let own = table.recovery_event_type.as_deref().filter(|kind| !kind.is_empty());
    let on = stream.enable_recovery.unwrap_or(own.is_some());
    if !on {
        return json!({"type": "None", "sink": null});
    }
    if table.ignore_recovery == Some(true) {
        return json!({"type": "Ignore", "sink": null});
    }
    let event_type = own.map_or_else(|| format!("{}-dead-letter-queue", table.event_type), str::to_owned);
    json!({"type": "DeadLetter", "sink": sink(stream, &event_type)})
}
