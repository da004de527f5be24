//! Reading the catalog.

use std::collections::BTreeMap;

use matriarch_sql::{Catalog, CatalogRole, RoleFlags};
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
    SELECT datname::text AS name, pg_catalog.pg_get_userbyid(datdba)::text AS owner
      FROM pg_catalog.pg_database";

pub(crate) async fn catalog(client: &Client) -> Result<Catalog, Error> {
    let roles = client.query(ROLES, &[]).await?;
    let databases = client.query(DATABASES, &[]).await?;
    Ok(Catalog {
        roles: roles.iter().map(role).collect::<Result<_, _>>()?,
        databases: databases
            .iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("owner")?)))
            .collect::<Result<_, Error>>()?,
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
