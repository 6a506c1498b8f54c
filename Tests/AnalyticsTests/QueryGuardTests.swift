import Testing

@testable import Analytics

@Suite struct QueryGuardTests {
    let check = QueryGuard(callable: [
        "pg_sleep", "pg_read_file", "upper", "regclass", "text", "pg_advisory_lock", "lo_create",
    ])

    @Test(arguments: [
        "select 1", "values (1), (2)", "table web", "select count(*), avg(bytes) from web where status >= 500;",
        "with t as (select * from web) select * from t order by 1 desc limit 10",
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10) select sum(i) from n",
        "select status, count(*) from web group by grouping sets ((status), ())",
        "select row_number() over (partition by status order by ts desc) from web",
        "select percentile_cont(0.5) within group (order by bytes) from web",
        "select * from web w, lateral (select * from hosts h where h.ip = w.ip limit 1) x",
        "select date_trunc('hour', ts), extract(dow from ts), ts at time zone 'Europe/Berlin' from web",
        "select '2020-01-01'::date + interval '1 day', cast('5' as int), '{1,2}'::int[]",
        "select payload ->> 'a', payload #>> '{a,b}', jsonb_path_query(payload, '$.x') from web",
        "select case when a then 1 else 2 end, coalesce(a, b), greatest(1, 2), nullif(a, b) from t",
        "select a from t union select b from u except select c from v", "select exists (select 1 from web)",
        "select w.upper, w.width, w.name from web w", "select * from web tablesample system (1)",
        "select array[1,2,3], row(1,2), (row(1,2)).f1",
        "select * from generate_series(1, 10) with ordinality", "select current_date, localtimestamp",
        "select string_agg(a, ',' order by b) filter (where c) from t", "select $1::int8 + 1",
        "select count(*) from a join b using (id) left join c on c.id = a.id full join d on true",
        "select x.\"key\", (e).value from t, jsonb_each(t.j) e, t x", "select 'a' collate \"C\" < 'b'",
        "select a similar to 'x%', a like 'b', a ~ 'c', a between 1 and 2, a in (1, 2), a is distinct from b from t",
        "select trim(both ' ' from a), substring(a from 1 for 2), position('a' in b) from t",
        "select overlay(a placing 'x' from 1) from t",
    ])
    func ordinaryStatementsPass(_ sql: String) throws {
        #expect(throws: Never.self) { try check.check(sql) }
    }

    @Test(arguments: [
        "", ";", "select 1; select 2", "insert into web values (1)", "update web set a = 1", "delete from web",
        "truncate web", "drop table web", "create table x (a int)", "create table x as select 1", "select 1 into x",
        "select * from web for update", "select * from web for share",
        "with d as (delete from web returning *) select * from d",
        "with i as (insert into web values (1) returning *) select * from i", "copy web to stdout",
        "copy web to program 'id'",
        "set role postgres", "reset all", "show all", "begin", "commit", "rollback", "savepoint a", "listen x",
        "notify x", "lock table web", "do $$ begin end $$", "call p()", "explain select 1", "explain analyze select 1",
        "prepare a as select 1", "execute a", "deallocate all", "discard all", "vacuum", "analyze web", "checkpoint",
        "select set_config('role', 'postgres', false)", "select current_setting('data_directory')",
        "select pg_sleep(1)", "select pg_catalog.pg_sleep(1)", "select pg_read_file('/etc/passwd')",
        "select pg_ls_dir('/')", "select pg_terminate_backend(1)", "select pg_cancel_backend(1)",
        "select pg_advisory_lock(1)", "select pg_try_advisory_lock(1)", "select pg_notify('a', 'b')",
        "select lo_create(0)", "select lo_import('/etc/passwd')", "select nextval('s')", "select setval('s', 1)",
        "select query_to_xml('select 1', true, true, '')", "select dblink('x', 'y')", "select txid_current()",
        "select pg_current_xact_id()", "select * from pg_class", "select * from pg_catalog.pg_class",
        "select * from information_schema.tables", "select * from other.web", "select * from ws_other.web",
        "select * from pg_stat_activity", "select * from pg_authid", "select 'pg_class'::regclass",
        "select 1::regtype", "select cast('x' as regrole)", "select 'x'::pg_catalog.regclass", "select regclass('web')",
        "select ('x'::text).regclass", "select ('/etc/passwd'::text).pg_read_file", "select (5::int8).pg_advisory_lock",
        "select (1.0::float8).pg_sleep", "select current_user", "select session_user", "select user",
        "select current_catalog", "select current_schema", "select xmlparse(document '<a/>')",
        "select 1 operator(public.+) 2", "select public.f(1)", "select other.f(1)", "select * from pg_ls_dir('/')",
        "select * from xmltable('/a' passing '<a/>' columns b text)", "select inet_server_addr()", "select version()",
        "select pg_backend_pid()", "select has_table_privilege('web', 'select')", "select to_regclass('web')",
        "select obj_description(1)", "select pg_size_pretty(pg_database_size('x'))",
        "select row_security_active('web')",
        "alter role x superuser", "grant select on web to public",
        "create function f() returns int as 'select 1' language sql",
        "refresh materialized view x", "merge into web using t on true when matched then delete",
        "declare c cursor for select 1",
        "fetch c", "select * from web where a = current_setting('x')", "select 'a'::web", "select e'\\u0000'",
        "select database_to_xml(true, true, '')", "select cursor_to_xml('c', 1, true, true, '')",
        "import foreign schema x from server y into z", "load 'x'", "cluster", "reindex table web",
        "security label on table web is 'x'",
        "select x.pg_sleep from generate_series(1.0, 1.0) x",
        "select x.pg_read_file from unnest(array['/etc/passwd']) x", "select web.pg_advisory_lock from web",
        "select count(*) from generate_series(1, 1) x where x.lo_create > 0",
        "select x.regclass from unnest(array['a']) x",
        "select * from json_to_record('{}') as x(a regclass)", "select 1 operator(public.=) any (select 1)",
        "select U&\"pg\\005fsleep\"(1)", "select * from U&\"pg\\005fclass\"", "select * from \"pg_class\"",
        "create extension x", "alter system set x = 1", "select from web where exists (select pg_sleep(1))",
    ])
    func whatIsNotAllowedIsRefused(_ sql: String) {
        #expect(throws: QueryGuard.Refusal.self) { try check.check(sql) }
    }

    @Test func aRefusalNamesThePlaceInCharacters() {
        #expect(throws: QueryGuard.Refusal(message: "the function pg_sleep() is not allowed", position: 14)) {
            try check.check("select 'äö', pg_sleep(1)")
        }
        #expect {
            try check.check("select 1 fro")
            try check.check("selct 1")
        } throws: { ($0 as? QueryGuard.Refusal)?.position == 1 }
    }

    @Test func deepNestingIsRefusedNotOverflowed() {
        let deep = "select " + String(repeating: "(", count: 20_000) + "1" + String(repeating: ")", count: 20_000)
        let sum = "select " + Array(repeating: "1", count: 5_000).joined(separator: "+")
        #expect(throws: QueryGuard.Refusal.self) { try check.check(sum) }
        _ = try? check.check(deep)
    }
}
