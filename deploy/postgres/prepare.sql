-- What a superuser does once for Millrace, before `millrace-store migrate`: the role, the database, and the rights that
-- only a superuser can take from everyone. Can be run again. Run it in the database `postgres`:
--   psql -X -v ON_ERROR_STOP=1 -v role=millrace -v database=millrace -d postgres -f deploy/postgres/prepare.sql
-- The role comes without a password; where it logs in over TCP give it one: ALTER ROLE millrace PASSWORD '…'.
\set QUIET on
set client_min_messages = warning;

select format('create role %I login nosuperuser createrole', :'role')
where not exists (select from pg_roles where rolname = :'role') \gexec
alter role :"role" login nosuperuser createrole nocreatedb noreplication;
-- What sessions set that have a connection of their own; through a transaction pooler nobody can.
alter role :"role" set timezone = 'UTC';
alter role :"role" set datestyle = 'ISO, YMD';
select format('create database %I owner %I encoding ''UTF8'' template template0 '
                  'lc_collate ''C.UTF-8'' lc_ctype ''C.UTF-8''',
              :'database', :'role')
where not exists (select from pg_database where datname = :'database') \gexec

\connect :"database"
set client_min_messages = warning;
revoke all on database :"database" from public;
revoke all on schema public from public;

-- Users' SQL runs as a login role per workspace. A read-only transaction is no fence against these: they signal other
-- backends, take locks, send notifications, write large objects, change settings or run text as SQL. Taken from
-- everyone and given to Millrace's own role; a REVOKE by anyone but a superuser would warn and change nothing.
select format('revoke execute on function %s from public; grant execute on function %s to %I',
              p.oid::regprocedure, p.oid::regprocedure, :'role')
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace
  and (p.proname in ('set_config', 'pg_notify', 'pg_terminate_backend', 'pg_cancel_backend',
                     'pg_log_backend_memory_contexts', 'pg_logical_emit_message', 'pg_export_snapshot',
                     'pg_stat_get_activity', 'pg_stat_get_backend_activity', 'pg_stat_reset', 'pg_switch_wal',
                     'query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'cursor_to_xml',
                     'cursor_to_xmlschema', 'table_to_xml', 'table_to_xmlschema', 'table_to_xml_and_xmlschema',
                     'schema_to_xml', 'schema_to_xmlschema', 'schema_to_xml_and_xmlschema', 'database_to_xml',
                     'database_to_xmlschema', 'database_to_xml_and_xmlschema', 'currtid2', 'lastval', 'nextval',
                     'setval')
       or p.proname ~ '^(pg_advisory_|pg_try_advisory_|lo_|pg_sleep)'
       or p.proname in ('loread', 'lowrite'))
  and has_function_privilege('public', p.oid, 'execute') \gexec

-- A query's temporary files are bounded by a setting of its role, which only this right lets Millrace's role make.
grant set on parameter temp_file_limit to :"role";

revoke select on pg_stat_activity, pg_locks, pg_stat_ssl, pg_stat_gssapi, pg_stat_replication, pg_prepared_xacts
    from public;
grant select on pg_stat_activity, pg_locks to :"role";
