import HTTP
import JSON
import Postgres
import Queue
import TestSupport
import Testing

@testable import Transform

@Suite("Transform: from table to table")
struct TableRunTests {
    /// Some hundred slices of the fixture's table.
    static let small = TableRunLimits(sliceBytes: 8 << 10, slices: 100_000, readBytes: 64 << 20)

    static let steps: JSONValue = [["derive": ["twice": "amount * 2"]]]

    /// What the run's chunks hold in all: each account once, and all that they held at one moment.
    private static func expectWhole(_ fixture: TransformFixture, _ run: Int64) async throws {
        try await fixture.collect(run)
        let found = try await fixture.pool.texts(
            "select concat_ws(' ', count(*), count(distinct id), sum(amount), sum(twice)) from result")
        let (count, held) = (TransformFixture.accounts, TransformFixture.held)
        #expect(found == ["\(count) \(count) \(held) \(held * 2)"])
        let loads = try await fixture.pool.int("select count(*) from queue.job where kind = 'run.load'")
        let slices = try await fixture.pool.int("select batches from millrace.run where id = \(.int8(run))")
        #expect(loads == slices && slices > 20)
        try await fixture.pool.wait(until: asleep, is: 0)
    }

    private static let asleep: PostgresQuery = """
        select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'
        """
    private static let released: PostgresQuery = "select count(*) from millrace.run where released"

    @Test("Every slice sees the same moment, whatever is written meanwhile; store hears of it when all are read")
    func snapshot() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts()
            let pipeline = try await fixture.putCopies(Self.steps)
            for _ in 1...3 {
                try await fixture.pool.run("truncate queue.job, queue.ready, millrace.run, millrace.run_batch")
                let run = try await fixture.withTransfers {
                    let run = try await fixture.startTable(pipeline)
                    try await fixture.work(limits: Self.small) {
                        try await fixture.pool.wait(until: Self.released, is: 1, within: .seconds(60))
                    }
                    return run
                }
                try await Self.expectWhole(fixture, run)
            }
        }
    }

    /// Starts a run whose slices are read but cannot be written, does something, and lets it go on.
    private static func interrupted(
        _ fixture: TransformFixture, _ doing: @escaping @Sendable (Int64) async throws -> Void
    ) async throws -> Int64 {
        let pool = fixture.pool
        let pipeline = try await fixture.putCopies(Self.steps)
        let run = try await fixture.startTable(pipeline)
        try await fixture.work(limits: Self.small) {
            try await pool.withTransaction { connection in
                try await connection.query("lock table landing.chunk in share mode")
                try await pool.wait(until: "select count(*) from millrace.run where columns is not null", is: 1)
                try await doing(run)
            }
            try await pool.wait(until: Self.released, is: 1, within: .seconds(60))
        }
        return run
    }

    @Test("A run whose snapshot is lost begins anew, and nothing of the first try is in it")
    func lost() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts()
            let run = try await Self.interrupted(fixture) { _ in
                let ended = try await fixture.pool.int(
                    "select count(*) from (select pg_terminate_backend(pin_pid) from millrace.run) t")
                #expect(ended == 1)
                try await fixture.pool.wait(until: Self.asleep, is: 0)
                try await fixture.pool.run("update ws_default.accounts set amount = amount + 1 where id = 1")
                try await fixture.pool.run("update ws_default.accounts set amount = amount - 1 where id = 2")
            }
            try await Self.expectWhole(fixture, run)
            #expect(try await fixture.pool.int("select epoch from millrace.run") >= 1)
            #expect(try await fixture.pool.int("select amount from result where id = 1") == 101)
        }
    }

    @Test("A table that is rewritten meanwhile is read anew", arguments: ["vacuum full", "replaced", "truncated"])
    func rewritten(how: String) async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts()
            let run = try await Self.interrupted(fixture) { _ in
                switch how {
                case "vacuum full": try await fixture.pool.run("vacuum full ws_default.accounts")
                case "replaced":
                    try await fixture.pool.withConnection { connection in
                        try await connection.execute(
                            script: """
                                create table ws_default.other (like ws_default.accounts including all);
                                insert into ws_default.other select * from ws_default.accounts;
                                drop table ws_default.accounts;
                                alter table ws_default.other rename to accounts
                                """)
                    }
                default:
                    try await fixture.pool.withConnection { connection in
                        try await connection.execute(
                            script: """
                                create table kept as select * from ws_default.accounts;
                                truncate ws_default.accounts;
                                insert into ws_default.accounts select * from kept
                                """)
                    }
                }
            }
            try await Self.expectWhole(fixture, run)
            #expect(try await fixture.pool.int("select epoch from millrace.run") >= 1)
        }
    }

    @Test("A table that is dropped meanwhile with its dataset fails the run at once")
    func dropped() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.makeAccounts()
            let run = try await fixture.startTable(try await fixture.putCopies(Self.steps))
            try await fixture.work(limits: Self.small) {
                try await pool.withTransaction { connection in
                    try await connection.query("lock table landing.chunk in share mode")
                    try await pool.wait(until: "select count(*) from millrace.run where columns is not null", is: 1)
                    try await pool.run("drop table ws_default.accounts")
                    try await pool.run("delete from millrace.dataset where name = 'accounts'")
                }
                try await pool.wait(until: "select count(*) from millrace.run where state = 'failed'", is: 1)
            }
            let found = try await pool.texts("select error from millrace.run where id = \(.int8(run))")
            #expect(found[0].contains("there is no dataset accounts"))
            #expect(try await pool.int("select count(*) from millrace.batch") == 0)
            try await pool.wait(until: Self.asleep, is: 0)
        }
    }

    @Test("A snapshot is handed on before its time is over, and stays what it was")
    func pins() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts()
            let run = try await Self.interrupted(fixture) { _ in
                try await fixture.pool.run("update ws_default.accounts set amount = amount + 5 where id <= 1000")
                try await fixture.pool.run("update millrace.run set pinned_until = now() + interval '1 minute'")
            }
            try await Self.expectWhole(fixture, run)
            let moved = try await fixture.pool.int(
                "select (pinned_until > now() + interval '5 minutes')::int + epoch from millrace.run")
            #expect(moved == 1)
        }
    }

    @Test("A name of a snapshot that is another's now is not taken for it")
    func names() async throws {
        try await TransformFixture.run { fixture in
            var pin = try await SnapshotPin.make(fixture.pool)
            let again = try await SnapshotPin.make(keeping: pin, fixture.pool)
            #expect(again.snapshot == pin.snapshot && again.pid != pin.pid)
            pin.snapshot = "1:1:"
            let changed = pin
            await #expect(throws: SnapshotPin.Lost.self) { try await SnapshotPin.make(keeping: changed, fixture.pool) }
            for pin in [pin, again] {
                try await fixture.pool.withConnection { _ = try await $0.execute(EndPin(pin: pin)) }
            }
            try await fixture.pool.wait(until: Self.asleep, is: 0)
            await #expect(throws: SnapshotPin.Lost.self) { try await SnapshotPin.make(keeping: again, fixture.pool) }
        }
    }

    @Test("Rows are filtered, and quarantined as JSON; what a column was agreed on only is NULL; the rest goes along")
    func outcomes() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts()
            try await fixture.pool.run(
                """
                insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
                select id, 6, 'agreed', 'date', 'agreed', 2 from millrace.dataset where name = 'accounts'
                """)
            let pipeline = try await fixture.putCopies([
                ["filter": "id % 10 <> 3"],
                [
                    "derive": [
                        "part": "1000 / (id % 100 - 7)", "twice": "amount * 2 + coalesce(extract(year from agreed), 0)",
                    ]
                ],
                ["cast": ["twice": "int8"]], ["drop": ["agreed"]],
            ])
            let run = try await fixture.startTable(pipeline)
            try await fixture.work(limits: Self.small) {
                try await fixture.pool.wait(until: Self.released, is: 1, within: .seconds(120))
            }
            try await fixture.collect(run)
            let counts = try await fixture.pool.texts(
                """
                select concat_ws(' ', sum(received), sum(filtered), sum(quarantined)) from millrace.run_batch
                """)
            #expect(counts == ["3000 300 30"])
            let same = try await fixture.pool.int(
                """
                select count(*) from (
                    (select id, amount, name, price, more, 200, 1000 / (id % 100 - 7), _extra from ws_default.accounts
                        where id % 10 <> 3 and id % 100 <> 7
                        except all select id, amount, name, price, more, twice, part, _extra from result)
                    union all
                    (select id, amount, name, price, more, twice, part, _extra from result
                        except all select id, amount, name, price, more, 200, 1000 / (id % 100 - 7), _extra
                        from ws_default.accounts where id % 10 <> 3 and id % 100 <> 7)
                ) t
                """)
            #expect(same == 0)
            let raw = try await fixture.pool.texts(
                """
                select convert_from(f.raw, 'UTF8') || f.errors from millrace.run_batch b
                join landing.chunk c on c.id = b.chunk
                cross join unnest(c.fault_raws, c.fault_errors) as f (raw, errors)
                where convert_from(f.raw, 'UTF8')::jsonb ->> 'id' = '107'
                """)
            #expect(raw.count == 1)
            #expect(
                raw.first?.hasPrefix(
                    #"{"id":107,"amount":100,"name":"account 107","price":13.3750000000000000,"more":{"n": 107}}"#)
                    == true)
            #expect(raw.first?.contains("division_by_zero") == true)
        }
    }

    @Test("A slice that holds too much is cut until each is small enough")
    func splits() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts()
            let pipeline = try await fixture.putCopies(Self.steps)
            let run = try await fixture.startTable(pipeline)
            try await fixture.work(limits: TableRunLimits(sliceBytes: 1 << 30, slices: 10, readBytes: 20_000)) {
                try await fixture.pool.wait(until: Self.released, is: 1, within: .seconds(120))
            }
            try await Self.expectWhole(fixture, run)
            #expect(try await fixture.pool.int("select max(read_bytes) from millrace.run_batch") < 20_000)
        }
    }

    @Test("A slice that cannot be made fails the run, and its redrive goes on with it only")
    func redrive() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.makeAccounts()
            try await pool.withConnection { connection in
                try await connection.execute(
                    script: """
                        create function refuse() returns trigger language plpgsql as
                        $$ begin raise exception 'not this one' using errcode = 'MR099'; end $$;
                        create trigger refuse before insert on landing.chunk for each row when (new.ordinal = 7)
                        execute function refuse()
                        """)
            }
            let pipeline = try await fixture.putCopies(Self.steps)
            let run = try await fixture.startTable(pipeline)
            try await fixture.work(limits: Self.small) {
                try await pool.wait(
                    until: "select count(*) from millrace.run where state = 'failed'", is: 1, within: .seconds(60))
                #expect(try await pool.int(Self.released) == 0)
                #expect(try await pool.int("select count(*) from queue.job where kind = 'run.load'") == 0)
                try await pool.run("drop trigger refuse on landing.chunk")
                try await pool.run("select queue.redrive('transform', null, 10)")
                try await pool.wait(until: Self.released, is: 1, within: .seconds(120))
            }
            try await Self.expectWhole(fixture, run)
            #expect(try await pool.int("select epoch from millrace.run") == 0)
        }
    }

    @Test("A slice that fails is not forgotten where another one is cut, or the snapshot is moved")
    func failsBesideSplits() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.makeAccounts()
            try await pool.withConnection { connection in
                try await connection.execute(
                    script: """
                        create function refuse() returns trigger language plpgsql as
                        $$ begin raise exception 'not yet' using errcode = 'MR099'; end $$;
                        create trigger refuse before insert on landing.chunk for each row when (new.ordinal = 0)
                        execute function refuse()
                        """)
            }
            let run = try await fixture.startTable(try await fixture.putCopies(Self.steps))
            try await fixture.work(limits: TableRunLimits(sliceBytes: 64 << 10, slices: 100, readBytes: 20_000)) {
                try await pool.wait(
                    until: """
                        select count(*) - count(*) filter (where state = 'read') + (count(*) < 20)::int
                        from millrace.run_batch
                        """, is: 1, within: .seconds(60))
                try await pool.run("drop trigger refuse on landing.chunk")
                // Where its job was given up by then.
                try await pool.run("select queue.redrive('transform', null, 10)")
                try await pool.wait(until: Self.released, is: 1, within: .seconds(120))
            }
            try await Self.expectWhole(fixture, run)
        }
    }

    @Test("A run that is cancelled, or whose time is over, is read no further, and lets its snapshot go")
    func ends() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.makeAccounts()
            let pipeline = try await fixture.putCopies(Self.steps)
            for state in ["cancelled", "timed_out"] {
                let run = try await fixture.startTable(pipeline)
                try await fixture.work(limits: Self.small) {
                    try await pool.withTransaction { connection in
                        try await connection.query("lock table landing.chunk in share mode")
                        try await pool.wait(
                            until: "select count(*) from millrace.run where id = \(.int8(run)) and columns is not null",
                            is: 1)
                        if state == "cancelled" {
                            try await pool.run("select millrace.cancel_run(1, \(.int8(run)))")
                        } else {
                            try await pool.run("update millrace.run set deadline = now() where id = \(.int8(run))")
                        }
                    }
                    try await pool.wait(until: "select count(*) from queue.ready", is: 0)
                    try await pool.wait(until: "select count(*) from queue.deferred", is: 0)
                    try await pool.wait(until: "select count(*) from queue.lease", is: 0)
                }
                let found = try await pool.texts(
                    "select state || released from millrace.run where id = \(.int8(run))")
                #expect(found == [state + "false"])
                try await pool.wait(until: Self.asleep, is: 0)
            }
            #expect(try await pool.int("select count(*) from queue.job where kind = 'run.load'") == 0)
        }
    }

    @Test("An empty dataset, and one without a table, make runs that succeed")
    func empty() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts(0)
            let pipeline = try await fixture.putCopies(Self.steps)
            try await fixture.work {
                _ = try await fixture.startTable(pipeline)
                try await fixture.pool.wait(
                    until: "select count(*) from millrace.run where state = 'succeeded'", is: 1)
                try await fixture.pool.run("drop table ws_default.accounts")
                try await fixture.pool.run("update millrace.dataset set table_created = false")
                _ = try await fixture.startTable(pipeline)
                try await fixture.pool.wait(
                    until: "select count(*) from millrace.run where state = 'succeeded'", is: 2)
            }
        }
    }
}
