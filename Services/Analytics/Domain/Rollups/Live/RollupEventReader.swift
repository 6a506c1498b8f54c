import JSON
import Postgres
import Records

/// Reads the events of a rollup, and with each the rows that it says have changed, as they are now: what has changed
/// since is told by a later event, too.
struct RollupEventReader: Sendable {
    /// Events that are read at once.
    static let pageCount: Int32 = 64
    /// Bytes of data beyond which no further event is read.
    static let pageBytes = 1 << 20
    /// An event with more than these becomes a reset.
    static let maximumRows = 10_000
    static let maximumBytes = 1 << 20

    let pool: PostgresPool

    /// The events after one; none where there are none, or they cannot be told yet. Nil where there is no such rollup.
    func read(_ rollupID: Int64, after id: Int64, _ numbers: NumberStyle) async throws -> [RollupEvent]? {
        do {
            return try await pool.withTransaction { connection in
                try await connection.query("set local statement_timeout = \(literal: RollupRoutes.patience)")
                guard let rollup = try await connection.query(FindRollup(id: rollupID)).first else { return nil }
                return try await events(of: rollup, after: id, numbers, connection)
            }
        } catch let error as PostgresError where error.sqlstate?.classCode == "42" {
            // Another generation, or another version, has just taken the place of what was to be read.
            return []
        } catch let error as PostgresError where error.code == .rowTooLarge || error.sqlstate?.code == "57014" {
            // There is more to an event than can be told in bounded time and memory; nobody is to wait for it.
            let find = FindRollupHeads(ids: [rollupID])
            let head = try await pool.withConnection { try await $0.query(find).first }
            return head.map { [RollupEvent($0.last, of: rollupID, reset: .changed)] }
        }
    }

    private func events(
        of rollup: StoredRollup, after id: Int64, _ numbers: NumberStyle, _ connection: PostgresConnection
    ) async throws -> [RollupEvent] {
        let last = rollup.lastEvent
        if id > last { return [RollupEvent(last, of: rollup.id, reset: .unknown)] }
        guard id < last, let generation = rollup.shown else { return [] }
        let list = ListRollupEvents(rollupID: rollup.id, after: id, upTo: last, limit: Self.pageCount)
        let heads = try await connection.query(list)
        guard heads.first?.id == id + 1 else { return [RollupEvent(last, of: rollup.id, reset: .expired)] }
        let definition = try RollupDefinition(stored: rollup.definition)
        let plan = try RollupPlan(rollup, definition)
        var (events, byteCount): ([RollupEvent], Int) = ([], 0)
        for head in heads where byteCount < Self.pageBytes {
            var statement = RollupStatement(rollup, plan, definition, RollupQuery(changedBy: head.id, of: plan))
            let data = head.isReset ? nil : try await data(head, &statement, generation, numbers, connection)
            let event =
                if let data { RollupEvent(head.id, of: rollup.id, data: data) } else {
                    RollupEvent(head.id, of: rollup.id, reset: .changed)
                }
            events.append(event)
            byteCount += event.byteCount
        }
        return events
    }

    /// `{"replaced": […], "items": […], …}`; nil where it would be too long.
    private func data(
        _ head: ListRollupEvents.Head, _ statement: inout RollupStatement, _ generation: Int32,
        _ numbers: NumberStyle, _ connection: PostgresConnection
    ) async throws -> [UInt8]? {
        let (rows, columns) = statement.build(generation: generation)
        var answer = RollupAnswer(.items, columns, numbers, rows: Self.maximumRows, bytes: Self.maximumBytes)
        try await answer.read(rows, connection)
        guard answer.isWhole else { return nil }
        var data = Array(#"{"replaced":["#.utf8)
        if head.replaces {
            let replaced = try await connection.query(statement.replaced, format: .text)
            for place in 0..<replaced.rowCount {
                if place > 0 { data.append(0x2C) }
                _ = replaced[place].withSpan(0) { ValueText.appendJSON($0, .timestamptz, numbers, into: &data) }
            }
        }
        data.append(contentsOf: "],".utf8)
        data.append(contentsOf: answer.end().dropFirst())
        return data
    }
}
