//! Patroni's configuration, as a function of the environment and the machine.

use serde_json::{Map, Value, json};

use crate::environment::Environment;
use crate::layout::Layout;
use crate::machine::{Machine, bin_dir};
use crate::merge::merged;
use crate::refusal::{Refusal, refusals};
use crate::tls::TlsFiles;
use crate::{hba, initdb, kubernetes, version};

/// The program that Patroni calls back: this one.
pub const SELF: &str = "/usr/local/bin/matriarch-instance";

/// Where parameters of PostgreSQL are: those of this member, and those of the whole cluster.
const PARAMETERS: [&str; 2] = ["/postgresql/parameters", "/bootstrap/dcs/postgresql/parameters"];

/// Libraries that are preloaded in every version when they are there, in this order.
const PRELOADED: [&str; 7] =
    ["bg_mon", "pg_stat_statements", "pgextwlist", "pg_auth_mon", "set_user", "pg_cron", "pg_stat_kcache"];

/// Extensions that a database owner may create without being superuser.
const ALLOWED_EXTENSIONS: &str = "btree_gin,btree_gist,citext,extra_window_functions,first_last_agg,hll,hstore,\
    hypopg,intarray,ltree,pgcrypto,pgq,pgq_node,pg_trgm,postgres_fdw,roaringbitmap,tablefunc,uuid-ossp,vector,\
    timescaledb,pg_partman";

/// A configuration with what is worth telling about it.
#[derive(Debug)]
pub struct Configured {
    /// What Patroni reads.
    pub patroni: Value,
    /// Major version of PostgreSQL that runs.
    pub major: u32,
    /// Lines for the log: what was left out and why.
    pub notes: Vec<String>,
}

/// Makes the configuration.
///
/// # Errors
/// Everything that is asked and cannot be done, all at once; nothing has been touched then.
pub fn configuration(env: &Environment, machine: &Machine) -> Result<Configured, Vec<Refusal>> {
    let user = user_configuration(env).map_err(|refusal| vec![refusal])?;
    let mut found = refusals(env, &user);
    found.extend(kubernetes::refusal(env));
    let major = match version::chosen(env, &user, machine) {
        Ok(major) => major,
        Err(refusal) => {
            found.push(refusal);
            0
        }
    };
    if !found.is_empty() {
        return Err(found);
    }

    let layout = Layout::of(env);
    let mut patroni = merged(generated(env, machine, &layout, major), &user);
    patroni["bootstrap"]["initdb"] =
        json!(initdb::options(env, user.pointer("/bootstrap/initdb").and_then(Value::as_array)));
    patroni["postgresql"]["bin_dir"] = json!(bin_dir(major));
    let mut notes = keep_what_is_there(&mut patroni, machine, major);
    // The default list names what only published images have; its own gaps are no news.
    if !asks_for_libraries(&user) {
        notes.clear();
    }
    Ok(Configured { patroni, major, notes })
}

/// The user's part, from `SPILO_CONFIGURATION` or `PATRONI_CONFIGURATION`: YAML, of which JSON is a part.
fn user_configuration(env: &Environment) -> Result<Value, Refusal> {
    let name = if env.get("SPILO_CONFIGURATION").is_some() {
        "SPILO_CONFIGURATION"
    } else {
        "PATRONI_CONFIGURATION"
    };
    let Some(text) = env.get(name) else { return Ok(Value::Null) };
    let refuse = |asked: String| Refusal {
        asked_by: name.to_owned(),
        asked,
        cure: "Write a mapping such as {\"postgresql\": {...}, \"bootstrap\": {...}}".to_owned(),
    };
    match serde_saphyr::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Null)) => Ok(value),
        Ok(_) => Err(refuse("holds something else than a mapping".to_owned())),
        Err(error) => Err(refuse(format!("is neither YAML nor JSON ({error})"))),
    }
}

fn generated(env: &Environment, machine: &Machine, layout: &Layout, major: u32) -> Value {
    let human = env.or("HUMAN_ROLE", "zalandos");
    let address = |override_: &str, port: &str| {
        env.get(override_).map_or_else(|| at(env.or("POD_IP", &machine.hostname), port), str::to_owned)
    };
    let (port, api) = (env.or("PGPORT", "5432"), env.or("APIPORT", "8008"));
    let mut config = json!({
        "scope": env.or("SCOPE", "dummy"),
        "restapi": {"listen": format!(":{api}"), "connect_address": address("RESTAPI_CONNECT_ADDRESS", api)},
        "bootstrap": {
            "post_init": format!("{SELF} post-init \"{human}\""),
            "dcs": dynamic(machine),
        },
        "postgresql": {
            "name": machine.hostname,
            "use_unix_socket": true,
            "use_unix_socket_repl": true,
            "listen": format!("*:{port}"),
            "connect_address": address("PG_CONNECT_ADDRESS", port),
            "data_dir": layout.data,
            "pgpass": layout.sockets().join("pgpass"),
            "parameters": local_parameters(env, machine, layout),
            "pg_hba": hba::rules(env),
            "authentication": {
                "superuser": {"username": env.or("PGUSER_SUPERUSER", "postgres"), "password": env.or("PGPASSWORD_SUPERUSER", "zalando")},
                "replication": {"username": env.or("PGUSER_STANDBY", "standby"), "password": env.or("PGPASSWORD_STANDBY", "standby")},
            },
            "callbacks": {"on_role_change": format!("{SELF} role-change \"{human}\"")},
            "create_replica_methods": ["basebackup_fast_xlog", "basebackup"],
            "basebackup_fast_xlog": {"command": format!("{SELF} base-backup"), "bin_dir": bin_dir(major), "retries": 2},
            "basebackup": [{"checkpoint": "fast"}],
        },
        "kubernetes": kubernetes::section(env),
    });
    if let Some(namespace) = kubernetes::namespace(env) {
        config["namespace"] = json!(namespace);
    }
    config
}

/// Settings of the whole cluster at its first start; from then on they live in Patroni's store. Archiving is off,
/// visibly: published images leave it on with a command that throws WAL away.
fn dynamic(machine: &Machine) -> Value {
    json!({
        "ttl": 30,
        "loop_wait": 10,
        "retry_timeout": 10,
        "maximum_lag_on_failover": 33_554_432,
        "postgresql": {
            "use_pg_rewind": true,
            "use_slots": true,
            "parameters": {
                "archive_mode": "off",
                "archive_timeout": "1800s",
                "wal_level": "hot_standby",
                "wal_log_hints": "on",
                "wal_compression": "on",
                "max_wal_senders": 10,
                "max_connections": (machine.memory_mib / 30).clamp(100, 1000),
                "max_replication_slots": 10,
                "hot_standby": "on",
                "tcp_keepalives_idle": 900,
                "tcp_keepalives_interval": 100,
                "log_line_prefix": "%t [%p]: [%l-1] %c %x %d %u %a %h ",
                "log_checkpoints": "on",
                "log_lock_waits": "on",
                "log_min_duration_statement": 500,
                "log_autovacuum_min_duration": 0,
                "log_connections": "on",
                "log_disconnections": "on",
                "log_statement": "ddl",
                "log_temp_files": 0,
                "track_functions": "all",
                "checkpoint_completion_target": 0.9,
                "autovacuum_max_workers": 5,
                "autovacuum_vacuum_scale_factor": 0.05,
                "autovacuum_analyze_scale_factor": 0.02
            }
        }
    })
}

/// Settings of this member alone, worked out at every start.
fn local_parameters(env: &Environment, machine: &Machine, layout: &Layout) -> Value {
    let tls = TlsFiles::of(env, layout);
    let mut parameters = json!({
        "shared_buffers": format!("{}MB", machine.memory_mib / 5),
        "logging_collector": "on",
        "log_destination": "csvlog",
        "log_directory": "../pg_log",
        "log_filename": "postgresql-%u.log",
        "log_file_mode": "0644",
        "log_rotation_age": "1d",
        "log_truncate_on_rotation": "on",
        "ssl": "on",
        "ssl_cert_file": tls.certificate,
        "ssl_key_file": tls.key,
        "shared_preload_libraries": PRELOADED.join(","),
        "pg_stat_statements.track_utility": "off",
        "extwlist.extensions": ALLOWED_EXTENSIONS,
        "extwlist.custom_path": "/scripts"
    });
    if let Some(authority) = tls.authority {
        parameters["ssl_ca_file"] = json!(authority);
    }
    if let Some(revocations) = tls.revocations {
        parameters["ssl_crl_file"] = json!(revocations);
    }
    parameters
}

fn asks_for_libraries(user: &Value) -> bool {
    PARAMETERS.iter().any(|section| user.pointer(&format!("{section}/shared_preload_libraries")).is_some())
}

/// Takes libraries out of the preload list that this image does not have: with one of them PostgreSQL would not
/// start. The default list and lists written for published images name some that Debian lacks.
fn keep_what_is_there(patroni: &mut Value, machine: &Machine, major: u32) -> Vec<String> {
    let there = machine.majors.get(&major);
    let present = |library: &str| there.is_some_and(|libraries| libraries.contains(library));
    let mut notes = Vec::new();
    for section in PARAMETERS {
        let Some(parameters) = patroni.pointer_mut(section).and_then(Value::as_object_mut) else { continue };
        let Some(text) =
            parameters.get("shared_preload_libraries").and_then(Value::as_str).map(str::to_owned)
        else {
            continue;
        };
        let (kept, absent): (Vec<&str>, Vec<&str>) = text
            .split(',')
            .map(|library| library.trim().trim_matches('"'))
            .filter(|library| !library.is_empty())
            .partition(|library| library.contains('/') || present(library));
        if !absent.is_empty() {
            notes
                .push(format!("shared_preload_libraries: left out {}, not in this image", absent.join(", ")));
        }
        let kept = kept.join(",");
        drop_settings_of(&absent, parameters);
        parameters.insert("shared_preload_libraries".to_owned(), json!(kept));
    }
    notes
}

/// `bg_mon.listen_address` means nothing without `bg_mon`.
fn drop_settings_of(absent: &[&str], parameters: &mut Map<String, Value>) {
    parameters.retain(|name, _| !absent.iter().any(|library| name.starts_with(&format!("{library}."))));
}

/// An address with a port; an IPv6 address in brackets.
fn at(address: &str, port: &str) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests;
