import JSON
import Postgres
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// What users' SQL must not do, through the real server.
    @Suite struct AttackTests {
        /// What the tables, the catalog and the roles hold; other tests share the server.
        static let state = """
            select string_agg(x, ' ') from (
                select (select count(*) || ':' || sum(id) from ws_default.web) || ' '
                    || (select count(*) || ':' || sum(id) from ws_other.web)
                    || ' ' || (select string_agg(word, ',') from ws_other.own_secret)
                    || ' ' || (select count(*) from pg_class) || ' ' || (select count(*) from pg_proc) || ' '
                    || (select count(*) from pg_largeobject_metadata) || ' '
                    || (select count(*) from pg_namespace) || ' ' || (select count(*) from pg_extension) || ' '
                    || (select md5(string_agg(r::text, '' order by oid)) from pg_roles r
                        where rolname in ('millrace_ws_default', 'millrace_ws_other'))
                    || ' ' || (select count(*) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
                        where d.datname = current_database()) || ' '
                    || (select last_value from millrace.workspace_id_seq) || ' '
                    || (select count(*) from pg_locks l join pg_database d on d.oid = l.database
                        where l.locktype = 'advisory' and d.datname = current_database()) || ' '
                    || (select count(*) from pg_prepared_xacts where database = current_database()) || ' '
                    || pg_postmaster_start_time() as x) s
            """

        @Test func nothingIsReadAcrossAndNothingChanged() async throws {
            #expect(Set(AttackStatements.refused).count >= 150)
            try await QueryServer.run { server in
                let before = try await server.database.administer(Self.state)
                for sql in Set(AttackStatements.refused).sorted() {
                    let answer = try await server.query(sql)
                    #expect([403, 422].contains(answer.status), "\(sql): \(answer.text)")
                    #expect(["query_not_allowed", "invalid_query"].contains(answer.code), "\(sql): \(answer.text)")
                    #expect(!answer.text.contains("secret of"), "\(sql)")
                }
                #expect(try await server.database.administer(Self.state) == before)
                try await Self.expectWell(server)
            }
        }

        /// Statements that are allowed and ask for too much: each ends by itself, by a limit or by its time, and takes
        /// nothing with it.
        @Test(arguments: [
            "select count(*) from generate_series(1, 1000000000000)",
            "with recursive r as (select 1 as i union all select i + 1 from r) select count(*) from r",
            "with recursive r as (select repeat('x', 999) as t union all select t || t from r) select length(t) from r",
            "select repeat('x', 2000000000)", "select lpad('', 2000000000, 'x')",
            "select string_agg(repeat('x', 1000000), '') from generate_series(1, 2000)",
            "select array_fill(0, array[1000000000])", "select factorial(100000)", "select 9::numeric ^ 9 ^ 9 ^ 9",
            "select regexp_replace(repeat('a', 5000), '(a*)*(a*)*(a*)*b', 'x')",
            "select repeat('a', -1) like repeat('%a', 30000)",
            "select count(*) from web a, web b, web c, web d, web e, web f, web g",
            "select g, random() as r from generate_series(1, 1000000000) g order by r",
            "select jsonb_path_query(('[' || repeat('1,', 500000) || '1]')::jsonb, '$[*] ? (@ == $[*])')",
        ])
        func whatAsksForTooMuchEndsAlone(_ sql: String) async throws {
            try await QueryServer.run { server in
                let before = try await server.database.administer(Self.state)
                let answer = try await server.post(["sql": .string(sql), "timeout": "1s"])
                #expect([200, 422, 504].contains(answer.status), "\(sql): \(answer.text.prefix(300))")
                try await server.awaitQuiet()
                #expect(try await server.database.administer(Self.state) == before, "\(sql)")
                try await Self.expectWell(server)
            }
        }

        /// `deploy/postgres/prepare.sql` allows the services to bound them.
        @Test func memoryAndTemporaryFilesAreBounded() async throws {
            try await QueryServer.run { server in
                let url = server.database.cluster.url(of: server.database.name, as: "millrace_ws_default")
                await #expect(throws: (any Error).self) {
                    try await RoleSession.run("set temp_file_limit = -1", url: url)
                }
                let spilling =
                    "select sum(n) from (select row_number() over (order by md5(g::text)) as n, "
                    + "repeat(md5(g::text), 30) from generate_series(1, 4000000) g order by 2 offset 3999999) t"
                let answer = try await server.post(["sql": .string(spilling), "timeout": "60s"])
                #expect(answer.status == 422 && answer.json["sqlstate"]?.string == "53400", "\(answer.text)")
                try await server.awaitQuiet()
                let files = try await server.database.administer("select count(*) from pg_ls_tmpdir()")
                #expect(files == "0")
            }
        }

        private static func expectWell(_ server: QueryServer) async throws {
            let own = try await server.query("select word from own_secret")
            #expect(own.rowsText == "[[\"secret of default\"]]")
            #expect(try await server.get("/readyz").status == 200)
            let kept = try await server.database.administer(
                "select count(*) from pg_stat_activity where usename ~ '^millrace_ws_' and datname = current_database()"
            )
            #expect((Int(kept) ?? 99) <= 4)
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

        /// A session that has served a query knows nothing of it: neither of its transaction nor beyond that.
        @Test func whatASessionWasGivenIsDiscarded() async throws {
            // The next one is let in when the session has been made clean.
            try await QueryServer.run(settings: ["MILLRACE_QUERY_SLOTS": "1"]) { server in
                let sessions = try #require(server.service.services.compactMap { $0 as? QuerySessions }.first)
                let id = try await server.database.administer(
                    "select id from millrace.workspace where name = 'default'")
                let workspace = QueryWorkspace(
                    id: try #require(Int64(id)), name: "default", schema: "ws_default", role: "millrace_ws_default")
                func serve(_ script: String) async throws -> Int32 {
                    let lease = try await sessions.begin(workspace, timeout: .seconds(10))
                    try await lease.connection.execute(script: script)
                    return await lease.connection.backendPID
                }
                let process = try await serve("prepare kept as select 1; execute kept")
                await #expect(throws: PostgresError.self) { try await serve("execute kept") }
                // It is the same session.
                #expect(try await serve("select 1") == process)
            }
        }
    }
}
