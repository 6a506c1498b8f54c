import JSON
import Observability
import Partitions
import Postgres
import TestSupport
import Testing

@testable import Store

@Suite("Store: datasets partitioned by time")
struct TimePartitionTests {
    private static let day: Int64 = 86_400_000_000
    private static let stored: PostgresQuery = "select count(*) from millrace.application where state = 'stored'"

    private static func definition(_ more: [(String, JSONValue)] = [], key: [JSONValue] = []) -> JSONValue {
        .object(
            JSONObject(
                [
                    (
                        "columns",
                        [
                            ["name": "id", "type": "int8"], ["name": "name", "type": "text"],
                            ["name": "at", "type": "timestamptz"],
                        ]
                    ),
                    ("primary_key", .array(key)), ("time_column", "at"), ("partition", "day"),
                ] + more))
    }

    private func with(_ body: @Sendable (PostgresPool, StoreClient) async throws -> Void) async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool(size: 8) { pool in try await body(pool, StoreClient(pool)) }
    }

    /// Today's first instant, in µs since 2000-01-01 UTC.
    private var today: Int64 { Int64(TimePartitioning(column: "at", grain: .day).window.today) * Self.day }

    private func partitions(_ pool: PostgresPool, _ table: String = "orders") async throws -> [Int32] {
        let list = ListTimePartitions(schema: "ws_default", table: table)
        return try await pool.withConnection { try await $0.query(list) }.map(\.day)
    }

    private func codes(_ pool: PostgresPool) async throws -> [String] {
        try await pool.texts("select errors -> 0 ->> 'code' from landing.quarantine order by row")
    }

    @Test("A day's partition begins and ends where PostgreSQL says, from 1970 to beyond what is made for")
    func grains() async throws {
        let database = try await StoreDatabase.make()
        try await database.withPool { pool in
            for grain in TimeGrain.allCases {
                let unit = grain.rawValue
                let rows = try await pool.withConnection { connection in
                    try await connection.query(
                        """
                        select d, (date_trunc(\(.text(unit)), date '2000-01-01' + d)::date - date '2000-01-01'),
                            ((date_trunc(\(.text(unit)), date '2000-01-01' + d) + ('1 ' || \(.text(unit)))::interval
                                )::date - date '2000-01-01')
                        from generate_series(-10957, 20000) d
                        """)
                }
                for place in 0..<rows.rowCount {
                    let day = try rows[place].int4(0)
                    let start = grain.start(of: day)
                    let expected = (try rows[place].int4(1), try rows[place].int4(2))
                    #expect(start == expected.0 && grain.end(of: start) == expected.1)
                }
            }
        }
    }

    @Test("Rows go to partitions made for them; without a time, or far off, they are quarantined")
    func places() async throws {
        try await with { pool, client in
            #expect(try await client.put("/v1/datasets/orders", Self.definition()).status == 201)
            let far = Int64.max - 1
            let times: [Int64?] = [today, today + 5, today - 40 * Self.day, nil, far, -Self.day * 200_000, .max, .min]
            try await pool.handOver(HandedOver(ids: Array(0..<8), times: times, requests: [2, 6]))
            try await LoadWorker().run(pool) { try await pool.wait(until: Self.stored, is: 1) }
            let start = Int32(today / Self.day)
            #expect(try await partitions(pool) == [start - 40, start])
            #expect(try await pool.int("select count(*) from ws_default.orders") == 3)
            #expect(
                try await codes(pool) == ["not_null"] + Array(repeating: "time_out_of_range", count: 4))
            #expect(
                try await pool.texts(
                    "select concat_ws(' ', stored, filtered, quarantined, receipt_counts) from millrace.application")
                    == ["3 0 5 {0,0,0,0,5,0}"])
            let indexes: PostgresQuery = """
                select count(*) from pg_indexes where schemaname = 'ws_default' and indexdef like '%brin (_batch)%'
                    and indexdef like '%autosummarize%' and tablename like 'orders.p%'
                """
            #expect(try await pool.int(indexes) == 2, "each partition has the lineage's index")
        }
    }

    @Test("A record stands or falls with all its rows; one all of whose rows have expired is filtered")
    func records() async throws {
        try await with { pool, client in
            _ = try await client.put("/v1/datasets/orders", Self.definition([("retention", "7d")]))
            let old = today - 30 * Self.day
            // Records: 0 expired; 1 in part; 2 expired and impossible; 3 whole; 4 expired twice.
            let times: [Int64?] = [old, old, today, old, nil, today, old, old]
            try await pool.handOver(
                HandedOver(ids: Array(0..<8), times: times, requests: [1, 1, 3], records: [0, 1, 1, 2, 2, 3, 4, 4]))
            try await LoadWorker().run(pool) { try await pool.wait(until: Self.stored, is: 1) }
            #expect(try await pool.texts("select id::text from ws_default.orders order by id") == ["2", "5"])
            #expect(try await pool.texts("select row::text from landing.quarantine") == ["2"])
            #expect(
                try await pool.texts(
                    "select concat_ws(' ', stored, filtered, quarantined, receipt_counts) from millrace.application")
                    == ["2 2 1 {1,0,0,0,0,0,1,1,0}"])
            #expect(try await partitions(pool) == [Int32(today / Self.day)], "none is made for what has expired")
        }
    }

    @Test("A key excludes rows as ever, and what expired is no duplicate", arguments: ["upsert", "ignore"])
    func merges(_ mode: String) async throws {
        try await with { pool, client in
            let definition = Self.definition([("retention", "7d")], key: ["id", "at"])
            #expect(try await client.put("/v1/datasets/orders", definition).status == 201)
            let times: [Int64?] = [today, today, today - Self.day, today - 20 * Self.day]
            for names in [["a", "b", "c", "d"], ["e", "f", "g", "h"]] {
                let chunk = try await pool.handOver(HandedOver(ids: [1, 1, 1, 1], names: names, times: times))
                try await pool.run(
                    "update landing.chunk set mode = \(.text(mode)) where id = \(.int8(chunk))")
            }
            try await LoadWorker().run(pool) { try await pool.wait(until: Self.stored, is: 2) }
            let rows = try await pool.texts("select name from ws_default.orders order by at desc")
            #expect(rows == (mode == "upsert" ? ["f", "g"] : ["a", "c"]))
            let counts = try await pool.texts(
                "select concat_ws(' ', sum(stored), sum(filtered), sum(duplicates)) from millrace.application")
            #expect([["2 2 4"], ["3 2 3"], ["4 2 2"]].contains(counts), "\(counts)")
        }
    }

    @Test("Who sends a record for each of 600 days long ago gets 500 partitions, and the nearest ones")
    func limits() async throws {
        try await with { pool, client in
            _ = try await client.put("/v1/datasets/orders", Self.definition())
            let times = (0..<600).map { Optional(today - Int64($0) * Self.day) }
            try await pool.handOver(HandedOver(ids: Array(0..<600), times: times))
            try await LoadWorker().run(pool) {
                try await pool.wait(until: Self.stored, is: 1, within: .seconds(120))
            }
            let near = TimeGrain.day.nearDays + 1
            let made = try await partitions(pool)
            #expect(made.count == Int(near) + TimePartitioning.limit)
            #expect(made.first == Int32(today / Self.day) - (near + Int32(TimePartitioning.limit) - 1))
            #expect(Set(try await codes(pool)) == ["too_many_partitions"])
            #expect(try await pool.int("select count(*) from ws_default.orders") == made.count)
            // What is near is made all the same.
            let tomorrow = today + Self.day
            try await LoadWorker().run(pool) {
                try await pool.handOver(HandedOver(ids: [1000], times: [tomorrow]))
                try await pool.wait(until: Self.stored, is: 2)
            }
            #expect(try await pool.int("select count(*) from ws_default.orders where id = 1000") == 1)
        }
    }

    @Test("A partition is made while others read the whole and have written into it, and they wait for nothing")
    func attaches() async throws {
        try await with { pool, client in
            _ = try await client.put("/v1/datasets/orders", Self.definition())
            try await LoadWorker().run(pool) {
                try await pool.handOver(HandedOver(ids: [1], times: [today]))
                try await pool.wait(until: Self.stored, is: 1)
                try await pool.withTransaction { other in
                    try await other.query("select count(*) from ws_default.orders")
                    try await other.query(
                        """
                        insert into ws_default.orders (id, at, _batch, _row, _out)
                        select 7, max(at), 0, 0, 0 from ws_default.orders
                        """)
                    try await pool.handOver(HandedOver(ids: [2], times: [today - Self.day]))
                    try await pool.wait(until: Self.stored, is: 2)
                }
            }
            #expect(try await pool.int("select count(*) from ws_default.orders") == 3)
        }
    }

    @Test("A new column reaches every partition; a partition that is dropped under a worker is made again")
    func changes() async throws {
        try await with { pool, client in
            _ = try await client.put("/v1/datasets/orders", Self.definition())
            try await LoadWorker().run(pool) {
                try await pool.handOver(HandedOver(ids: [1, 2], times: [today, today - Self.day]))
                try await pool.wait(until: Self.stored, is: 1)
                var wider = try await client.get("/v1/datasets/orders").json
                #expect(wider["partition"] == "day")
                wider = Self.definition()
                guard case .object(var object) = wider, case .array(let columns)? = object["columns"] else { return }
                object["columns"] = .array(columns + [["name": "more", "type": "bool"]])
                #expect(try await client.put("/v1/datasets/orders", .object(object)).status == 200)
                let made = try await pool.texts("select name from millrace.time_partitions('ws_default', 'orders')")
                try await pool.run("drop table \(identifier: "ws_default", made[0])")
                try await pool.handOver(HandedOver(ids: [3, 4], names: ["c", "d"], times: [today, today - Self.day]))
                try await pool.wait(until: Self.stored, is: 2)
            }
            #expect(try await pool.int("select count(*) from ws_default.orders where id > 2") == 2)
        }
    }

    @Test("Each mistake of partitioning is named; what rows forbid is 409")
    func refuses() async throws {
        try await with { pool, client in
            @Sendable func paths(_ definition: JSONValue) async throws -> [String] {
                let answer = try await client.put("/v1/datasets/orders", definition)
                return (answer.json["errors"]?.array ?? []).compactMap { $0["path"]?.string }
            }
            #expect(try await paths(Self.definition(key: ["id"])) == ["primary_key"])
            #expect(try await paths(Self.definition([("retention", "1h")])) == ["retention"])
            #expect(try await paths(Self.definition([("retention", "501d")])) == ["retention"])
            #expect(try await paths(["partition": "day"]) == ["partition"])
            #expect(try await paths(["retention": "7d"]) == ["retention"])
            _ = try await client.put("/v1/datasets/orders", Self.definition([("retention", "7d")]))
            let found = try await client.get("/v1/datasets/orders").json
            #expect(found["partition"] == "day" && found["retention"] == "7d")
            #expect(found["columns"]?[2]?["nullable"] == false, "rows must have a time")
            let whole: JSONValue = [
                "columns": [["name": "id", "type": "int8"], ["name": "at", "type": "timestamptz"]]
            ]
            try await LoadWorker().run(pool) {
                try await pool.handOver(HandedOver(ids: [1], times: [today]))
                try await pool.wait(until: Self.stored, is: 1)
                #expect(try await paths(whole) == ["partition"])
                #expect(
                    try await client.put("/v1/datasets/orders", Self.definition([("retention", "9d")])).status == 200)
                try await pool.run("delete from ws_default.orders")
                #expect(try await client.put("/v1/datasets/orders", whole).status == 200)
                try await pool.handOver(HandedOver(ids: [2], times: [nil]))
                try await pool.wait(until: Self.stored, is: 2)
                #expect(try await partitions(pool).isEmpty)
                #expect(try await client.delete("/v1/datasets/orders?confirm=orders").status == 204)
            }
        }
    }
}
