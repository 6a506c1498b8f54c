-- What a superuser does once for Millrace, before `millrace-store migrate`: the role, the database, and the rights that
-- only a superuser can take from everyone. Can be run again. Run it in the database `postgres`:
--   psql -X -v ON_ERROR_STOP=1 -v role=millrace -v database=millrace -d postgres -f deploy/postgres/prepare.sql
-- The role comes without a password; where it logs in over TCP give it one: ALTER ROLE millrace PASSWORD '…'.
-- An administrator with CREATEROLE and CREATEDB, as managed servers have one, gets the role and the database. What only
-- a superuser can take from everyone stays then, and Millrace serves one workspace (operations.md, "A managed server").
\set QUIET on
set client_min_messages = warning;
select rolsuper as by_superuser from pg_roles where rolname = current_user \gset

select format('create role %I login nosuperuser createrole', :'role')
where not exists (select from pg_roles where rolname = :'role') \gexec
\if :by_superuser
alter role :"role" login nosuperuser createrole nocreatedb noreplication;
\else
-- Others may not even say that a role is none of a superuser's.
alter role :"role" login createrole nocreatedb;
-- Who gives a database to a role has to be a member of it.
select format('grant %I to %I', :'role', current_user)
where not pg_has_role(current_user, :'role', 'member') \gexec
\endif
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
\if :by_superuser

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

-- What processes that run queries have in memory, with the workers of their parallel plans, and what the machine or the
-- container has, and has left: no setting bounds what an aggregate gathers, and only a superuser reads the server's
-- /proc. For Millrace's own role, which ends what takes too much.
create schema if not exists millrace_host;
revoke all on schema millrace_host from public;
create or replace function millrace_host.memory(
    pids int4[], out pid int4, out bytes int8, out available int8, out total int8
) returns setof record language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
    with machine as materialized (
        select substring(t from 'MemTotal:\s+(\d+)')::int8 * 1024 as total,
            substring(t from 'MemAvailable:\s+(\d+)')::int8 * 1024 as available
        from pg_read_file('/proc/meminfo', 0, 4096) t
    ), container as materialized (
        select substring(pg_read_file('/sys/fs/cgroup/memory.max', 0, 64, true) from '^\d+')::int8 as total,
            substring(pg_read_file('/sys/fs/cgroup/memory.current', 0, 64, true) from '^\d+')::int8 as used,
            substring(pg_read_file('/sys/fs/cgroup/memory.stat', 0, 8192, true) from 'inactive_file (\d+)')::int8
                as cached
    ), process as (
        select coalesce(a.leader_pid, a.pid) as pid,
            substring(pg_read_file('/proc/' || a.pid || '/status', 0, 8192, true) from 'RssAnon:\s+(\d+)')::int8 * 1024
                as bytes
        from pg_stat_activity a where a.pid = any(pids) or a.leader_pid = any(pids)
    )
    select p.pid, sum(p.bytes)::int8, min(least(m.available, c.total - c.used + coalesce(c.cached, 0))),
        min(least(m.total, c.total))
    from process p, machine m, container c where p.bytes is not null group by p.pid
$$;
revoke all on function millrace_host.memory(int4[]) from public;
grant usage on schema millrace_host to :"role";
grant execute on function millrace_host.memory(int4[]) to :"role";

-- A query's temporary files are bounded by a setting of its role, which only this right lets Millrace's role make.
grant set on parameter temp_file_limit to :"role";

revoke select on pg_stat_activity, pg_locks, pg_stat_ssl, pg_stat_gssapi, pg_stat_replication, pg_prepared_xacts
    from public;
grant select on pg_stat_activity, pg_locks to :"role";
\else
\warn 'prepared without a superuser: nothing was taken that every role may do by default. Where no superuser has done'
\warn 'that before, Millrace serves one workspace: it makes no second one, whose queries could not be kept apart.'
\endif
