-- In every database, template1 among them, so that new databases start with it.
SET LOCAL client_min_messages = warning;

-- Extensions: those that this image has and whose library is loaded. The rest is told, not missed.
DO $do$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['pg_stat_statements', 'pg_stat_kcache', 'set_user'] LOOP
        IF wanted = ANY (pg_catalog.regexp_split_to_array(pg_catalog.current_setting('shared_preload_libraries'), '\s*,\s*'))
            AND EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = wanted)
        THEN
            EXECUTE pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA public', wanted);
        ELSE
            RAISE WARNING 'database %: extension % is not loaded or not in this image, left out',
                pg_catalog.current_database(), wanted;
        END IF;
    END LOOP;
END
$do$;

SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO admin', wanted.function::regprocedure)
FROM (VALUES
    ('public.set_user(text)'),
    ('public.pg_stat_statements_reset(oid,oid,bigint)'),
    ('public.pg_stat_statements_reset(oid,oid,bigint,boolean)'),
    ('pg_catalog.pg_switch_wal()')) AS wanted (function)
WHERE pg_catalog.to_regprocedure(wanted.function) IS NOT NULL \gexec
GRANT SELECT ON pg_catalog.pg_stat_activity TO admin;

-- Users that the team makes itself, without being superuser.
CREATE SCHEMA IF NOT EXISTS user_management;
GRANT USAGE ON SCHEMA user_management TO admin;

CREATE OR REPLACE FUNCTION user_management.random_password(length integer) RETURNS text
LANGUAGE sql VOLATILE SET search_path TO pg_catalog AS $body$
    -- Sixty-four characters, so that every byte of a strong random source chooses one of them evenly.
    SELECT pg_catalog.string_agg(
        pg_catalog.substr(
            'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-',
            1 + pg_catalog.get_byte(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()), 0) % 64,
            1),
        '')
    FROM pg_catalog.generate_series(1, length)
$body$;

CREATE OR REPLACE FUNCTION user_management.create_application_user(username text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
DECLARE
    password text := user_management.random_password(20);
BEGIN
    EXECUTE pg_catalog.format('CREATE USER %I WITH PASSWORD %L', username, password);
    RETURN password;
END
$body$;

CREATE OR REPLACE FUNCTION user_management.create_application_user_or_change_password(username text, password text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
BEGIN
    -- A superuser's password is not the team's to change.
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = username AND rolsuper) THEN
        RAISE EXCEPTION 'role "%" is a superuser: its password cannot be changed here', username;
    ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = username) THEN
        EXECUTE pg_catalog.format('ALTER ROLE %I WITH PASSWORD %L', username, password);
    ELSE
        EXECUTE pg_catalog.format('CREATE USER %I WITH PASSWORD %L', username, password);
    END IF;
END
$body$;

SELECT pg_catalog.format($statement$
CREATE OR REPLACE FUNCTION user_management.create_user(username text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
BEGIN
    EXECUTE pg_catalog.format('CREATE USER %%I IN ROLE %%I, admin', username, %L);
    EXECUTE pg_catalog.format('ALTER ROLE %%I SET log_statement TO ''all''', username);
END
$body$;
$statement$, :'human_role') \gexec

CREATE OR REPLACE FUNCTION user_management.create_role(rolename text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
BEGIN
    EXECUTE pg_catalog.format('CREATE ROLE %I WITH ADMIN admin', rolename);
END
$body$;

CREATE OR REPLACE FUNCTION user_management.revoke_admin(username text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
BEGIN
    EXECUTE pg_catalog.format('REVOKE admin FROM %I', username);
END
$body$;

CREATE OR REPLACE FUNCTION user_management.drop_user(username text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
BEGIN
    EXECUTE pg_catalog.format('DROP ROLE %I', username);
END
$body$;

CREATE OR REPLACE FUNCTION user_management.drop_role(username text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
BEGIN
    EXECUTE pg_catalog.format('DROP ROLE %I', username);
END
$body$;

CREATE OR REPLACE FUNCTION user_management.terminate_backend(pid integer) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path TO pg_catalog AS $body$
    SELECT pg_catalog.pg_terminate_backend(pid)
$body$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA user_management FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA user_management TO admin;

-- Figures for monitoring, readable without being superuser.
CREATE SCHEMA IF NOT EXISTS metric_helpers;
GRANT USAGE ON SCHEMA metric_helpers TO admin, robot_zmon;

SELECT statement
FROM (VALUES
    (1, $statement$
        CREATE OR REPLACE FUNCTION metric_helpers.pg_stat_statements(showtext boolean)
        RETURNS SETOF public.pg_stat_statements
        LANGUAGE sql STRICT SECURITY DEFINER SET search_path TO pg_catalog AS
        'SELECT * FROM public.pg_stat_statements(showtext)'
    $statement$),
    (2, 'CREATE OR REPLACE VIEW metric_helpers.pg_stat_statements AS SELECT * FROM metric_helpers.pg_stat_statements(true)')
) AS statements (number, statement)
WHERE EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements')
ORDER BY number \gexec

CREATE OR REPLACE FUNCTION metric_helpers.get_nearly_exhausted_sequences(threshold double precision)
RETURNS TABLE (schemaname name, sequencename name, seq_percent_used numeric)
LANGUAGE sql STRICT SECURITY DEFINER SET search_path TO pg_catalog AS $body$
    SELECT used.schemaname, used.sequencename, pg_catalog.round(used.share * 100, 2)
    FROM (
        SELECT s.schemaname, s.sequencename,
            CASE WHEN s.increment_by > 0 THEN s.last_value::numeric - s.min_value ELSE s.max_value::numeric - s.last_value END
                / NULLIF(s.max_value::numeric - s.min_value, 0) AS share
        FROM pg_catalog.pg_sequences AS s
        -- One that starts again at its end is never exhausted.
        WHERE NOT s.cycle AND s.last_value IS NOT NULL) AS used
    WHERE used.share >= threshold
$body$;

CREATE OR REPLACE VIEW metric_helpers.nearly_exhausted_sequences AS
SELECT * FROM metric_helpers.get_nearly_exhausted_sequences(0.8);

REVOKE ALL ON ALL TABLES IN SCHEMA metric_helpers FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metric_helpers FROM PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA metric_helpers TO admin, robot_zmon;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA metric_helpers TO admin, robot_zmon;
