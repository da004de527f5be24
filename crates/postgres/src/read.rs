//! Reading the catalog.

use std::collections::BTreeMap;

use matriarch_sql::{
    Catalog, CatalogRole, Contents, DefaultPrivilege, Objects, RoleFlags, SeenExtension, SeenSchema,
};
use tokio_postgres::{Client, Error, Row};

const ROLES: &str = "
    SELECT role.rolname::text AS name, role.rolpassword AS verifier,
           role.rolcanlogin, role.rolsuper, role.rolcreatedb, role.rolcreaterole,
           role.rolreplication, role.rolbypassrls, role.rolinherit,
           setting.setconfig AS parameters,
           ARRAY(SELECT DISTINCT parent.rolname::text
                   FROM pg_catalog.pg_auth_members AS link
                   JOIN pg_catalog.pg_authid AS parent ON parent.oid = link.roleid
                  WHERE link.member = role.oid ORDER BY 1) AS member_of
      FROM pg_catalog.pg_authid AS role
      LEFT JOIN pg_catalog.pg_db_role_setting AS setting
        ON setting.setrole = role.oid AND setting.setdatabase = 0";

const DATABASES: &str = "
    SELECT datname::text AS name, pg_catalog.pg_get_userbyid(datdba)::text AS owner, datallowconn
      FROM pg_catalog.pg_database";

const SCHEMAS: &str = "
    SELECT space.nspname::text AS name, pg_catalog.pg_get_userbyid(space.nspowner)::text AS owner,
           ARRAY(SELECT DISTINCT pg_catalog.pg_get_userbyid(entry.grantee)::text
                   FROM pg_catalog.aclexplode(
                          COALESCE(space.nspacl, pg_catalog.acldefault('n', space.nspowner))) AS entry
                  WHERE entry.grantee <> 0 AND entry.privilege_type = 'USAGE' ORDER BY 1) AS usage
      FROM pg_catalog.pg_namespace AS space
     WHERE space.nspname !~ '^pg_(toast|temp)'";

const EXTENSIONS: &str = "
    SELECT known.name::text AS name, space.nspname::text AS schema, installed.extrelocatable AS relocatable
      FROM pg_catalog.pg_available_extensions AS known
      LEFT JOIN pg_catalog.pg_extension AS installed ON installed.extname = known.name
      LEFT JOIN pg_catalog.pg_namespace AS space ON space.oid = installed.extnamespace
    UNION ALL
    SELECT installed.extname::text, space.nspname::text, installed.extrelocatable
      FROM pg_catalog.pg_extension AS installed
      JOIN pg_catalog.pg_namespace AS space ON space.oid = installed.extnamespace";

const DEFAULT_PRIVILEGES: &str = "
    SELECT pg_catalog.pg_get_userbyid(list.defaclrole)::text AS owner, space.nspname::text AS schema,
           list.defaclobjtype::text AS objects, entry.privilege_type AS privilege,
           pg_catalog.pg_get_userbyid(entry.grantee)::text AS grantee
      FROM pg_catalog.pg_default_acl AS list
      LEFT JOIN pg_catalog.pg_namespace AS space ON space.oid = list.defaclnamespace
     CROSS JOIN LATERAL pg_catalog.aclexplode(list.defaclacl) AS entry
     WHERE entry.grantee <> 0";

/// Lookup functions that can be trusted: a superuser's, with a search path of their own, and not
/// everybody's.
const LOOKUPS: &str = "
    SELECT space.nspname::text AS schema,
           ARRAY(SELECT DISTINCT pg_catalog.pg_get_userbyid(entry.grantee)::text
                   FROM pg_catalog.aclexplode(function.proacl) AS entry
                  WHERE entry.privilege_type = 'EXECUTE' ORDER BY 1) AS callers
      FROM pg_catalog.pg_proc AS function
      JOIN pg_catalog.pg_namespace AS space ON space.oid = function.pronamespace
      JOIN pg_catalog.pg_authid AS owner ON owner.oid = function.proowner
     WHERE function.proname = 'user_lookup' AND function.pronargs = 1 AND function.prosecdef
       AND function.proconfig IS NOT NULL AND owner.rolsuper AND function.proacl IS NOT NULL
       AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(function.proacl) AS entry WHERE entry.grantee = 0)";

/// What is inside the database of the connection.
pub(crate) async fn contents(client: &Client) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    for row in client.query(SCHEMAS, &[]).await? {
        let usage: Vec<String> = row.try_get("usage")?;
        let schema = SeenSchema { owner: row.try_get("owner")?, usage: usage.into_iter().collect() };
        contents.schemas.insert(row.try_get("name")?, schema);
    }
    for row in client.query(EXTENSIONS, &[]).await? {
        let name: String = row.try_get("name")?;
        let schema: Option<String> = row.try_get("schema")?;
        let relocatable: Option<bool> = row.try_get("relocatable")?;
        if let (Some(schema), Some(relocatable)) = (schema, relocatable) {
            contents.extensions.insert(name.clone(), SeenExtension { schema, relocatable });
        }
        contents.available.insert(name);
    }
    for row in client.query(DEFAULT_PRIVILEGES, &[]).await? {
        let letter: String = row.try_get("objects")?;
        let Some(objects) = Objects::from_letter(&letter) else { continue };
        contents.default_privileges.insert(DefaultPrivilege {
            owner: row.try_get("owner")?,
            schema: row.try_get("schema")?,
            objects,
            privilege: row.try_get("privilege")?,
            grantee: row.try_get("grantee")?,
        });
    }
    for row in client.query(LOOKUPS, &[]).await? {
        let callers: Vec<String> = row.try_get("callers")?;
        contents.lookups.insert(row.try_get("schema")?, callers.into_iter().collect());
    }
    Ok(contents)
}

pub(crate) async fn catalog(client: &Client) -> Result<Catalog, Error> {
    let roles = client.query(ROLES, &[]).await?;
    let databases = client.query(DATABASES, &[]).await?;
    Ok(Catalog {
        roles: roles.iter().map(role).collect::<Result<_, _>>()?,
        databases: databases
            .iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("owner")?)))
            .collect::<Result<_, Error>>()?,
        connectable: databases
            .iter()
            .filter(|row| row.try_get("datallowconn").unwrap_or(false))
            .map(|row| row.try_get("name"))
            .collect::<Result<_, Error>>()?,
        contents: BTreeMap::new(),
    })
}

fn role(row: &Row) -> Result<(String, CatalogRole), Error> {
    let flags = RoleFlags {
        login: row.try_get("rolcanlogin")?,
        superuser: row.try_get("rolsuper")?,
        createdb: row.try_get("rolcreatedb")?,
        createrole: row.try_get("rolcreaterole")?,
        replication: row.try_get("rolreplication")?,
        bypassrls: row.try_get("rolbypassrls")?,
        inherit: row.try_get("rolinherit")?,
    };
    let stored: Option<Vec<String>> = row.try_get("parameters")?;
    let role = CatalogRole {
        flags,
        member_of: row.try_get("member_of")?,
        parameters: parameters(&stored.unwrap_or_default()),
        verifier: row.try_get("verifier")?,
    };
    Ok((row.try_get("name")?, role))
}

/// `name=value` entries; the value may hold further equal signs.
fn parameters(stored: &[String]) -> BTreeMap<String, String> {
    stored
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_equal_signs() {
        let stored = ["work_mem=4MB".to_owned(), "x.y=a=b".to_owned(), "broken".to_owned()];
        let expected = [("work_mem".to_owned(), "4MB".to_owned()), ("x.y".to_owned(), "a=b".to_owned())];
        assert_eq!(parameters(&stored), expected.into());
    }
}
