import JSON
import TestSupport
import Testing

extension QueryServiceTests {
    /// What users' SQL must not do, through the real server.
    @Suite struct AttackTests {
        /// Statements that are refused, each for what it would read or do.
        static let refused = [
            "insert into web values (1)", "update web set id = 1", "delete from web", "truncate web", "drop table web",
            "create table x (a int)", "select 1 into x", "select * from web for update", "select 1; drop table web",
            "with d as (delete from web returning *) select * from d", "copy web to program 'id'", "copy web to stdout",
            "begin", "commit", "rollback; drop table web", "set role millrace", "reset all", "discard all", "listen x",
            "notify millrace_queue, 'x'", "lock table web", "do $$ begin perform pg_sleep(1); end $$",
            "explain select 1",
            "select set_config('role', 'millrace', false)", "select set_config('statement_timeout', '0', false)",
            "select set_config('search_path', 'ws_other', false)", "select pg_sleep(60)",
            "select pg_catalog.pg_sleep(60)",
            "select x.pg_sleep from generate_series(60.0, 60.0) x", "select (60.0::float8).pg_sleep",
            "select x.pg_read_file from unnest(array['/etc/passwd']) x", "select pg_read_file('/etc/passwd')",
            "select x.pg_get_userbyid from generate_series(10, 10) x",
            "select x.current_setting from unnest(array['port']) x",
            "select pg_terminate_backend(pid) from pg_stat_activity", "select pg_notify('millrace_queue', 'x')",
            "select pg_advisory_lock(1)", "select x.pg_advisory_lock from generate_series(1, 1) x",
            "select lo_create(0)",
            "select x.lo_create from generate_series(0, 0) x", "select nextval('millrace.workspace_id_seq')",
            "select * from ws_other.own_secret", "select * from millrace.api_key",
            "select * from millrace.workspace_secret",
            "select * from landing.payload", "select * from pg_class", "select * from pg_authid",
            "select * from pg_settings",
            "select * from information_schema.tables", "select 'ws_other.own_secret'::regclass", "select current_user",
            "select query_to_xml('select * from ws_other.own_secret', true, true, '')", "select version()",
            "select table_to_xml('ws_other.own_secret', true, true, '')", "select current_setting('data_directory')",
            "select * from json_to_record('{\"a\": \"pg_class\"}') as x(a regclass)",
            "select to_regclass('ws_other.web')",
            "select dblink('', 'drop table web')", "select inet_server_addr()", "select pg_backend_pid()",
            "select txid_current()", "select has_table_privilege('ws_other.web', 'select')",
            "select U&\"pg\\005fsleep\"(1)",
        ]

        /// What the tables and the catalog hold.
        static let state = """
            select string_agg(x, ' ') from (
                select (select count(*) || ':' || sum(id) from ws_default.web) || ' '
                    || (select count(*) || ':' || sum(id) from ws_other.web)
                    || ' ' || (select count(*) from pg_class) || ' '
                    || (select count(*) from pg_proc) || ' ' || (select count(*) from pg_largeobject_metadata) || ' '
                    || (select count(*) from pg_locks where locktype = 'advisory') as x) s
            """

        @Test func nothingIsReadAcrossAndNothingChanged() async throws {
            try await QueryServer.run { server in
                let before = try await server.database.administer(Self.state)
                for sql in Self.refused {
                    let answer = try await server.query(sql)
                    #expect(answer.status == 403, "\(sql): \(answer.text)")
                    #expect(answer.code == "query_not_allowed", "\(sql)")
                    #expect(!answer.text.contains("secret of other"), "\(sql)")
                }
                #expect(try await server.database.administer(Self.state) == before)
                let own = try await server.query("select word from own_secret")
                #expect(own.rowsText == "[[\"secret of default\"]]")
                #expect(try await server.get("/readyz").status == 200)
            }
        }

        @Test func deepAndWideStatementsDoNoHarm() async throws {
            try await QueryServer.run { server in
                func times(_ text: String, _ bytes: Int) -> String {
                    String(repeating: text, count: bytes / text.utf8.count)
                }
                for length in [60_000, 900_000] {
                    let statements = [
                        "select " + times("1+", length) + "1", "select 1" + times("::int", length),
                        "select " + times("not ", length) + "true", "select " + times("(", length),
                        "select 1" + times(" union select 1", length), "select " + times("1,", length) + "1",
                        "select * from web" + times(" cross join web", length), "select " + times("(select ", length),
                        "select 1" + times(" isnull", length), "select " + times("- ", length) + "1",
                    ]
                    for sql in statements {
                        let answer = try await server.post(["sql": .string(sql), "timeout": "2s"])
                        #expect(
                            [200, 422, 504].contains(answer.status), "\(sql.prefix(30)): \(answer.text.prefix(200))")
                    }
                }
                #expect(try await server.query("select 1").status == 200)
            }
        }

        @Test func aRowThatIsTooLargeEndsItsQueryOnly() async throws {
            try await QueryServer.run(settings: ["MILLRACE_QUERY_MAX_ROW_BYTES": "1MiB"]) { server in
                let answer = try await server.query("select repeat('x', 50000000)")
                #expect(answer.status == 422 && answer.code == "query_failed", "\(answer.text.prefix(300))")
                let allowed = try await server.query("select length(repeat('x', 50000000)), repeat('x', 500000)")
                #expect(allowed.status == 200)
                try await server.awaitQuiet()
            }
        }

        /// The walls behind the guard: what the workspace's role can do without it.
        @Test func theRoleItselfCanDoLittle() async throws {
            try await QueryServer.run { server in
                let url = server.database.cluster.url(of: server.database.name, as: "millrace_ws_default")
                for sql in [
                    "select * from ws_other.own_secret", "select * from millrace.workspace_secret",
                    "insert into ws_default.web values (1)", "select set_config('role', 'millrace', false)",
                    "set role millrace",
                    "select pg_terminate_backend(1)", "select pg_advisory_lock(1)", "select pg_notify('a', 'b')",
                    "select lo_create(0)", "select pg_sleep(1)", "create temporary table t (a int)",
                    "create table ws_default.t (a int)", "create schema s", "select * from pg_stat_activity",
                    "select query_to_xml('select 1', true, true, '')",
                ] {
                    await #expect(throws: (any Error).self, "\(sql)") {
                        try await RoleSession.run(sql, url: url)
                    }
                }
                try await RoleSession.run("select * from ws_default.web", url: url)
            }
        }

        @Test func aSessionIsCleanForTheNextQuery() async throws {
            try await QueryServer.run(settings: ["MILLRACE_QUERY_SLOTS": "1"]) { server in
                for _ in 0..<5 {
                    #expect(try await server.query("select 1/0").status == 422)
                    #expect(try await server.query("select count(*) from web").rowsText == "[[100]]")
                }
                try await server.awaitQuiet()
                let kept = try await server.database.administer(
                    "select count(*) from pg_stat_activity where usename = 'millrace_ws_default' "
                        + "and datname = current_database()")
                #expect(kept == "1")
            }
        }
    }
}
