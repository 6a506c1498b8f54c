/// What users' SQL must not do. Each is tried through `/v1/query`, as an endpoint's statement and
/// as the value of a parameter.
enum AttackStatements {
    static let refused = writing + sessions + files + neighbours + catalog + hidden

    private static let writing = [
        "insert into web values (1)", "update web set id = 1", "delete from web", "truncate web", "drop table web",
        "create table x (a int)", "create table x as select 1", "create temporary table x (a int)", "select 1 into x",
        "select 1 into temporary x", "select * from web for update", "select * from web for share",
        "select * from web for no key update skip locked", "select 1; drop table web",
        "with d as (delete from web returning *) select * from d",
        "with i as (insert into web values (1) returning *) select * from i",
        "with u as (update web set id = id + 1 returning id) select count(*) from u",
        "merge into web using (select 1 as x) t on true when matched then delete", "alter table web add column z int",
        "create index on web (id)", "create view v as select 1", "create schema s", "create extension dblink",
        "create function f() returns int as 'select 1' language sql", "create role r superuser",
        "alter role millrace_ws_default superuser", "alter system set fsync = off", "grant select on web to public",
        "drop owned by current_user", "comment on table web is 'x'", "analyze web", "vacuum web", "cluster web",
        "reindex table web", "refresh materialized view v", "checkpoint", "load 'auto_explain'",
        "import foreign schema x from server y into z", "security label on table web is 'x'",
        "select lo_create(0)", "select lo_from_bytea(0, 'x')", "select lo_unlink(1)", "select lo_import('/etc/passwd')",
        "select nextval('millrace.workspace_id_seq')", "select setval('millrace.workspace_id_seq', 1)",
    ]

    private static let sessions = [
        "begin", "commit", "rollback; drop table web", "savepoint a", "prepare transaction 'x'", "set role millrace",
        "set session authorization postgres", "set statement_timeout = 0", "set local work_mem = '8GB'", "reset all",
        "discard all", "show all", "listen x", "unlisten *", "notify millrace_queue, 'x'", "lock table web",
        "do $$ begin perform pg_sleep(1); end $$", "call p()", "prepare a as select 1", "execute a",
        "deallocate all", "declare c cursor for select 1", "fetch c", "explain select 1", "explain analyze select 1",
        "select set_config('role', 'millrace', false)", "select set_config('statement_timeout', '0', false)",
        "select set_config('search_path', 'ws_other', false)", "select current_setting('data_directory')",
        "select pg_sleep(60)", "select pg_catalog.pg_sleep(60)", "select pg_sleep_for('1 minute')",
        "select pg_notify('millrace_queue', 'x')", "select pg_advisory_lock(1)", "select pg_try_advisory_xact_lock(1)",
        "select pg_terminate_backend(pid) from pg_stat_activity", "select pg_cancel_backend(1)",
        "select pg_reload_conf()",
        "select pg_backend_pid()", "select txid_current()", "select pg_current_xact_id()", "select setseed(0.5)",
        "select pg_export_snapshot()", "select pg_log_backend_memory_contexts(1)", "select pg_stat_reset()",
    ]

    private static let files = [
        "copy web to program 'id'", "copy web to stdout", "copy web from '/etc/passwd'",
        "copy (select 1) to '/tmp/millrace-attack'", "select pg_read_file('/etc/passwd')",
        "select pg_read_binary_file('/etc/passwd')", "select pg_ls_dir('/')", "select * from pg_ls_dir('/')",
        "select pg_stat_file('/etc/passwd')", "select lo_export(1, '/tmp/millrace-attack')", "select pg_ls_waldir()",
        "select pg_read_server_files('/etc/passwd')", "select dblink('', 'drop table web')",
        "select dblink_connect('host=127.0.0.1')", "select * from pg_file_settings", "select pg_logdir_ls()",
    ]

    private static let neighbours = [
        "select * from ws_other.own_secret", "select * from \"ws_other\".\"own_secret\"", "table ws_other.own_secret",
        "select (select word from ws_other.own_secret)", "select 1 where exists (select from ws_other.own_secret)",
        "with o as (select * from ws_other.own_secret) select * from o",
        "values ((select word from ws_other.own_secret))",
        "select * from web, lateral (select word from ws_other.own_secret) s",
        "select * from web union all select 1, 2, word from ws_other.own_secret",
        "select ws_other.own_secret.word from ws_other.own_secret", "select * from millrace.ws_other.own_secret",
        "select * from ws_other.own_secret tablesample system (100)", "select 'ws_other.own_secret'::regclass",
        "select query_to_xml('select * from ws_other.own_secret', true, true, '')",
        "select table_to_xml('ws_other.own_secret', true, true, '')", "select database_to_xml(true, true, '')",
        "select cursor_to_xml('c', 1, true, true, '')", "select to_regclass('ws_other.web')",
        "select has_table_privilege('ws_other.web', 'select')", "select row_security_active('ws_other.web')",
        "select pg_relation_size('ws_other.own_secret')", "select null::ws_other.own_secret",
        "select ws_other.own_secret(1)",
        "select * from ts_stat('select to_tsvector(word) from ws_other.own_secret')",
        "select * from millrace.api_key", "select * from millrace.workspace_secret", "select * from landing.payload",
        "select * from queue.job", "select * from public.web",
    ]

    private static let catalog = [
        "select * from pg_class", "select * from pg_catalog.pg_class", "select * from pg_authid",
        "select * from pg_roles",
        "select * from pg_settings", "select * from pg_stats", "select * from pg_stat_activity",
        "select * from pg_stat_statements", "select * from pg_locks", "select * from pg_prepared_statements",
        "select * from information_schema.tables", "select * from information_schema.columns", "select current_user",
        "select session_user", "select user", "select current_schema", "select current_catalog", "select version()",
        "select inet_server_addr()", "select inet_client_port()", "select pg_postmaster_start_time()",
        "select pg_get_viewdef('x'::regclass)", "select obj_description(1)", "select pg_database_size('millrace')",
        "select pg_get_functiondef(1)", "select * from json_to_record('{\"a\": \"pg_class\"}') as x(a regclass)",
        "select 1::regtype", "select cast('x' as regrole)", "select '{1}'::aclitem[]",
        "select xmlparse(document '<a/>')",
    ]

    /// Calls that do not look like any.
    private static let hidden = [
        "select x.pg_sleep from generate_series(60.0, 60.0) x", "select (60.0::float8).pg_sleep",
        "select x.pg_read_file from unnest(array['/etc/passwd']) x", "select ('/etc/passwd'::text).pg_read_file",
        "select x.pg_get_userbyid from generate_series(10, 10) x",
        "select x.current_setting from unnest(array['port']) x",
        "select x.pg_advisory_lock from generate_series(1, 1) x", "select x.lo_create from generate_series(0, 0) x",
        "select x.regclass from unnest(array['web']) x", "select web.pg_advisory_lock from web",
        "select count(*) from generate_series(1, 1) x where x.lo_create > 0", "select U&\"pg\\005fsleep\"(1)",
        "select * from U&\"pg\\005fclass\"", "select \"pg_sleep\"(1)", "select /* */ pg_sleep /* */ (1)",
        "select 1 operator(public.+) 2", "select 1 operator(pg_catalog.+) pg_sleep(1)::text::int",
        "select 1 order by pg_sleep(1)", "select 1 limit (select count(*) from pg_class)",
        "select count(*) filter (where pg_sleep(1) is null) from web",
        "select sum(1) over (order by pg_sleep(1)) from web",
        "select case when pg_sleep(1) is null then 1 end", "select 1 group by pg_sleep(1)",
        "select * from web join web w on pg_sleep(1) is null",
        "select * from rows from (pg_ls_dir('/'), pg_ls_dir('/'))",
        "select * from web tablesample pg_sleep (1)", "select array[pg_sleep(1)]", "select (row(pg_sleep(1))).f1",
        "values (pg_sleep(1))", "select percentile_cont(0.5) within group (order by pg_sleep(1)) from web",
        "with recursive r as (select pg_sleep(1) union all select * from r) select * from r",
    ]
}
