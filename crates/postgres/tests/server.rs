//! Against a real server that the test starts itself, encrypted with a self-signed
//! certificate as an instance has it. Without PostgreSQL on the machine the test says
//! that it was left out.
#![allow(clippy::print_stdout, reason = "a test that is left out says so")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use matriarch_postgres::{Category, Connection, Error, Target, TlsMode, connect};
use matriarch_sql::{
    Database, Lookup, PasswordState, Privileges, Role, RoleFlags, Schema, Statement, content_differences,
    databases_to_read, differences, expected_verifier, password_state,
};

const SUPERUSER_PASSWORD: &str = "the superuser's";

/// Nobody: whom the server runs as when the test runs as root, which it refuses.
const NOBODY: u32 = 65534;

/// A running server and its directory; both go away when dropped.
struct Server {
    process: Child,
    directory: PathBuf,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The newest `/usr/lib/postgresql/<major>/bin`, where Debian puts the server.
fn binaries() -> Option<PathBuf> {
    let mut majors: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    majors.sort_unstable();
    let bin = PathBuf::from(format!("/usr/lib/postgresql/{}/bin", majors.pop()?));
    bin.join("initdb").is_file().then_some(bin)
}

fn command(program: &Path, directory: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    let mut command = if root {
        let mut command = Command::new("setpriv");
        let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        command.args(ids).arg("--clear-groups").arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(bin: &Path) -> Server {
    static SERVERS: AtomicU32 = AtomicU32::new(0);
    let number = SERVERS.fetch_add(1, Ordering::Relaxed);
    let name = format!("matriarch-postgres-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).expect("a directory");
    // Fails without root, where it is not needed either.
    let _ = chown(&directory, Some(NOBODY), Some(NOBODY));
    let (data, password_file) = (directory.join("data"), directory.join("password"));
    std::fs::write(&password_file, SUPERUSER_PASSWORD).expect("written");
    let done = command(&bin.join("initdb"), &directory)
        .arg("-D")
        .arg(&data)
        .arg("--pwfile")
        .arg(&password_file)
        .args(["-U", "postgres", "--auth=scram-sha-256", "--no-sync"])
        .args(["--encoding=UTF8", "--locale=C"])
        .status()
        .expect("initdb runs");
    assert!(done.success(), "initdb failed");
    secure(&data);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let process = command(&bin.join("postgres"), &directory)
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-c", "ssl=on", "-c", "fsync=off"])
        .args(["-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"])
        .spawn()
        .expect("the server starts");
    Server { process, directory, port }
}

/// A self-signed certificate, and rules that let nobody in without encryption.
fn secure(data: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["postgres".to_owned()]).expect("made");
    let owner = std::fs::metadata(data).expect("initdb made it").uid();
    let files = [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())];
    for (name, text) in files {
        let path = data.join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("allowed");
        chown(&path, Some(owner), Some(owner)).expect("allowed");
    }
    let rules = "hostnossl all all all reject\nhostssl all all all scram-sha-256\n";
    std::fs::write(data.join("pg_hba.conf"), rules).expect("written");
}

fn target(server: &Server, user: &str, password: &str) -> Target {
    Target {
        host: "127.0.0.1".to_owned(),
        port: server.port,
        user: user.to_owned(),
        password: password.to_owned(),
        dbname: "postgres".to_owned(),
        tls: TlsMode::Require,
        connect_timeout: Duration::from_secs(10),
    }
}

async fn when_ready(target: &Target) -> Connection {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match connect(target).await {
            Ok(connection) => return connection,
            Err(error) if error.retry() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A server and the superuser's session on it; nothing, visibly, where there is no PostgreSQL.
async fn begun() -> Option<(Server, Target, Connection)> {
    let Some(bin) = binaries() else {
        println!("left out: no PostgreSQL server under /usr/lib/postgresql on this machine");
        return None;
    };
    let server = start(&bin);
    let superuser = target(&server, "postgres", SUPERUSER_PASSWORD);
    let connection = when_ready(&superuser).await;
    Some((server, superuser, connection))
}

async fn refusal(target: &Target) -> Error {
    connect(target).await.err().expect("the server refuses")
}

fn role(name: &str, secret: &str) -> Role {
    Role { name: name.to_owned(), secret: Some(secret.to_owned()), ..Role::default() }
}

fn zalando() -> Role {
    let parameters = [("search_path", "\"$user\", Data"), ("log_statement", "all")];
    Role {
        flags: RoleFlags { superuser: true, createdb: true, ..RoleFlags::default() },
        member_of: vec!["odd \"name".to_owned()],
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..role("zalando", "s.zalando")
    }
}

/// One pass as the operator does it; how many statements it took.
async fn pass(connection: &Connection, roles: &[Role], passwords: &BTreeMap<&str, &str>) -> usize {
    let databases = [Database { name: "foo".to_owned(), owner: "zalando".to_owned(), ..Database::default() }];
    let catalog = connection.read_catalog().await.expect("readable");
    let state_of = |role: &Role| -> Option<(String, PasswordState)> {
        let secret = role.secret.clone()?;
        let live = catalog.roles.get(&role.name).and_then(|r| r.verifier.as_deref());
        let state = password_state(passwords.get(secret.as_str()).copied(), live);
        Some((secret, state))
    };
    let states = roles.iter().filter_map(state_of).collect();
    let found = differences(roles, &databases, &catalog, &states);
    for (statement, because) in &found {
        let password = statement.secret().map(|secret| passwords[secret]);
        let verifier = password.map(|p| expected_verifier(p, b"0123456789abcdef"));
        let done = connection.execute(statement, verifier.as_deref()).await;
        assert!(done.is_ok(), "{statement} ({because}): {done:?}");
    }
    found.len()
}

#[tokio::test]
async fn roles_and_databases_come_into_being_and_stay() {
    let Some((server, superuser, connection)) = begun().await else { return };
    let passwords = [("s.postgres", SUPERUSER_PASSWORD), ("s.zalando", "z'\\"), ("s.odd", "f")].into();
    let roles = [role("postgres", "s.postgres"), zalando(), role("odd \"name", "s.odd")];

    // Two roles, a membership, two parameters, a database.
    assert_eq!(pass(&connection, &roles, &passwords).await, 6);
    assert_eq!(pass(&connection, &roles, &passwords).await, 0, "the second pass finds nothing");

    let catalog = connection.read_catalog().await.expect("readable");
    assert_eq!(catalog.databases["foo"], "zalando");
    assert!(catalog.roles["zalando"].flags.superuser);
    assert_eq!(catalog.roles["zalando"].member_of, ["odd \"name"]);

    // The password that was set opens the door, another does not.
    assert!(connect(&target(&server, "zalando", "z'\\")).await.is_ok());
    let error = refusal(&target(&server, "zalando", "wrong")).await;
    assert_eq!(error.category(), Category::Denied, "{error}");
    assert!(error.to_string().contains("zalando@127.0.0.1"), "{error}");

    // In clear the server does not let us in.
    let error = refusal(&Target { tls: TlsMode::Disable, ..superuser }).await;
    assert_eq!(error.category(), Category::Denied, "{error}");

    // A refusal says what was tried and why it was refused, without the verifier.
    let set = Statement::SetPassword { role: "nobody".to_owned(), secret: "s".to_owned() };
    let error = connection.execute(&set, Some("SCRAM-SHA-256$x")).await.expect_err("refused");
    let expected = "refused to set the password of role nobody from secret s: \
                    role \"nobody\" does not exist [42704]";
    assert!(error.to_string().ends_with(expected), "{error}");
    let error = connection.execute(&set, None).await.expect_err("no password");
    assert!(matches!(error, Error::PasswordMissing { .. }), "{error}");
}

/// Schemas, privileges, extensions and the lookup function, as the operator's passes make them.
#[tokio::test]
async fn what_is_inside_a_database_comes_into_being_and_stays() {
    let Some((_server, superuser, connection)) = begun().await else { return };
    let names = ["foo_owner", "foo_reader", "foo_writer", "pooler"];
    let roles = names.map(|name| Role { name: name.to_owned(), ..Role::default() });
    let privileges = |schema: Option<&str>| Privileges {
        owner: "foo_owner".to_owned(),
        schema: schema.map(str::to_owned),
        reader: "foo_reader".to_owned(),
        writer: "foo_writer".to_owned(),
    };
    let databases = [Database {
        name: "foo".to_owned(),
        owner: "foo_owner".to_owned(),
        schemas: vec![Schema { name: "Data".to_owned(), owner: "foo_owner".to_owned() }],
        privileges: vec![privileges(None), privileges(Some("Data"))],
        extensions: [("plpgsql".to_owned(), "pg_catalog".to_owned())].into(),
        keeps_owner: true,
    }];
    let lookup = Lookup { schema: "pooler".to_owned(), user: "pooler".to_owned() };
    let mut counts = Vec::new();
    for _ in 0..4 {
        let mut catalog = connection.read_catalog().await.expect("readable");
        for name in databases_to_read(&databases, Some(&lookup), &catalog) {
            let inside = when_ready(&Target { dbname: name.clone(), ..superuser.clone() }).await;
            catalog.contents.insert(name, inside.read_contents().await.expect("readable"));
        }
        let mut found = differences(&roles, &databases, &catalog, &BTreeMap::new());
        found.extend(content_differences(&databases, Some(&lookup), &catalog));
        for (statement, because) in &found {
            let database = statement.database().unwrap_or("postgres").to_owned();
            let inside = when_ready(&Target { dbname: database, ..superuser.clone() }).await;
            let done = inside.execute(statement, None).await;
            assert!(done.is_ok(), "{statement} ({because}): {done:?}");
        }
        counts.push(found.len());
    }
    assert!(counts[0] > 0 && counts[3] == 0, "{counts:?}");
}
