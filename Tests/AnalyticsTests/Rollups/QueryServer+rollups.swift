import Foundation
import JSON
import TestSupport

extension QueryServer {
    static let hits: JSONValue = [
        "dataset": "hits", "time": ["column": "at", "grain": "minute"], "dimensions": ["who"],
        "measures": ["hits": "count()", "total": "sum(n)"],
    ]

    /// The dataset `hits` of the workspace `default`, as store makes it: batch 1 with a row a minute.
    func makeHits(rows: Int = 4) async throws {
        _ = try await database.administer(
            """
            set role \(TemporaryPostgres.role);
            with d as (insert into millrace.dataset (workspace_id, name, table_created)
                select id, 'hits', true from millrace.workspace where name = 'default' returning id)
            insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
                select d.id, c.place, c.name, c.type, 'applied', 1 from d,
                    (values (1, 'at', 'timestamptz'), (2, 'who', 'text'), (3, 'n', 'int8')) c (place, name, type);
            create table ws_default.hits (at timestamptz, who text, n int8, _batch int8, _row int4, _out int4);
            create index on ws_default.hits using brin (_batch);
            insert into ws_default.hits select timestamptz '2026-01-01 00:00:00Z' + g * interval '1 minute', 'a', g, 1,
                g, 0 from generate_series(0, \(rows - 1)) g;
            """)
    }

    /// Adds a row as a load does.
    func append(batch: Int, who: String = "b", minute: Int = 0) async throws {
        let time = "timestamptz '2026-01-01 00:00:00Z' + \(minute) * interval '1 minute'"
        try await append(batch: batch, row: "values (\(time), '\(who)', 1, \(batch), 0, 0)")
    }

    /// Adds a row as a load does: `row` is what is inserted.
    func append(batch: Int, row: String) async throws {
        _ = try await database.administer(
            """
            set role \(TemporaryPostgres.role);
            begin;
            insert into ws_default.hits \(row);
            select millrace.note_appended(id, array[\(batch)::int8], array[0]) from millrace.dataset
            where name = 'hits';
            commit;
            notify millrace_queue, 'analytics';
            """)
    }

    /// A rollup once nothing of its dataset waits.
    func settledRollup(_ name: String = "by_minute") async throws -> JSONValue {
        for _ in 0..<1000 {
            let found = try await send("GET", "/v1/rollups/\(name)").json
            if found["state"] == "failed" { throw TestSupportError(found.text) }
            let waiting = try await database.administer("select count(*) from millrace.rollup_change")
            if found["state"] == "ready", found["waiting_batches"] == 0, waiting == "0" { return found }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw TestSupportError("the rollup does not become ready")
    }

    /// The answer to a request for a rollup's changes, which does not end.
    func listen(_ name: String = "by_minute", after id: String? = nil, key: String = Self.key) async throws
        -> RollupStream
    {
        let client = try QueryClient(port: port)
        let last = id.map { "Last-Event-ID: \($0)\r\n" } ?? ""
        try await client.send(
            "GET /v1/rollups/\(name)/live HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                + "Authorization: Bearer \(key)\r\n\(last)\r\n")
        return RollupStream(client)
    }
}

/// Server-sent events of a chunked answer, one by one.
actor RollupStream {
    private let client: QueryClient
    private var text = ""

    init(_ client: QueryClient) {
        self.client = client
    }

    /// The next event as `id event data`; nil at the end.
    func next() async throws -> String? {
        while true {
            while let event = takeEvent() {
                if !event.isEmpty { return event }
            }
            let piece = try await client.receive()
            if piece.isEmpty { return nil }
            // The lines between chunks end in CRLF.
            text += String(decoding: piece.filter { $0 != 13 }, as: UTF8.self)
        }
    }

    private func takeEvent() -> String? {
        guard let end = text.range(of: "\n\n") else { return nil }
        let lines = text[..<end.lowerBound].split(separator: "\n")
        text.removeSubrange(..<end.upperBound)
        let fields = ["id: ", "event: ", "data: "].compactMap { name in
            lines.first { $0.hasPrefix(name) }.map { String($0.dropFirst(name.count)) }
        }
        return fields.joined(separator: " ")
    }

    nonisolated func leave() { client.leave() }
}
