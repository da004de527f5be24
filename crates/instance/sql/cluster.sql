-- Once per cluster, in database postgres. Everything may be there already: this runs after every promotion too.
SET LOCAL client_min_messages = warning;

SELECT pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted.name)
FROM (VALUES ('admin'), ('cron_admin'), ('robot_zmon'), (:'human_role')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted.name) \gexec

ALTER ROLE admin CREATEDB NOLOGIN NOCREATEROLE NOSUPERUSER NOREPLICATION INHERIT;
GRANT cron_admin TO admin;

-- Scheduled jobs: only members of cron_admin.
SELECT 'CREATE EXTENSION IF NOT EXISTS pg_cron SCHEMA pg_catalog'
WHERE pg_catalog.current_setting('shared_preload_libraries') ~ '\mpg_cron\M'
  AND EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_cron') \gexec
SELECT statement
FROM (VALUES ('REVOKE ALL ON SCHEMA cron FROM PUBLIC'), ('GRANT USAGE ON SCHEMA cron TO cron_admin')) AS grants (statement)
WHERE EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_cron') \gexec

-- PostgreSQL's own log as a table: one foreign table per day of the week over the CSV files.
CREATE EXTENSION IF NOT EXISTS file_fdw;
SELECT 'CREATE SERVER pglog FOREIGN DATA WRAPPER file_fdw'
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server WHERE srvname = 'pglog') \gexec

CREATE TABLE IF NOT EXISTS public.postgres_log (
    log_time timestamptz(3),
    user_name text,
    database_name text,
    process_id integer,
    connection_from text,
    session_id text NOT NULL,
    session_line_num bigint NOT NULL,
    command_tag text,
    session_start_time timestamptz,
    virtual_transaction_id text,
    transaction_id bigint,
    error_severity text,
    sql_state_code text,
    message text,
    detail text,
    hint text,
    internal_query text,
    internal_query_pos integer,
    context text,
    query text,
    query_pos integer,
    location text,
    application_name text,
    backend_type text,
    leader_pid integer,
    query_id bigint,
    CONSTRAINT postgres_log_check CHECK (false) NO INHERIT
);
REVOKE ALL ON public.postgres_log FROM PUBLIC;
GRANT SELECT ON public.postgres_log TO admin;

SELECT pg_catalog.format(
    'CREATE FOREIGN TABLE IF NOT EXISTS public.postgres_log_%s () INHERITS (public.postgres_log)'
    ' SERVER pglog OPTIONS (filename %L, format ''csv'', header ''false'')',
    day, '../pg_log/postgresql-' || day || '.csv')
FROM pg_catalog.generate_series(0, 7) AS day
UNION ALL
SELECT pg_catalog.format('GRANT SELECT ON public.postgres_log_%s TO admin', day)
FROM pg_catalog.generate_series(0, 7) AS day \gexec
SELECT pg_catalog.format(
    'CREATE OR REPLACE VIEW public.failed_authentication_%1$s WITH (security_barrier) AS'
    ' SELECT * FROM public.postgres_log_%1$s'
    ' WHERE command_tag = ''authentication'' AND error_severity = ''FATAL''', day)
FROM pg_catalog.generate_series(0, 7) AS day
UNION ALL
SELECT pg_catalog.format('GRANT SELECT ON public.failed_authentication_%s TO robot_zmon', day)
FROM pg_catalog.generate_series(0, 7) AS day \gexec
