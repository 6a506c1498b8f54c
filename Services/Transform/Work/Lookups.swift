import Postgres
import Queue
import Records
import Synchronization

/// Reads what `lookup` steps need: which columns datasets have, and rows by their keys. Datasets are those of the given
/// workspace; no other can be named.
///
/// Rows are as they are committed when a batch is transformed, or at the latest when the query begins. What columns
/// there are is remembered for two seconds.
final class Lookups: Sendable {
    private struct Name: Hashable {
        var workspaceID: Int64
        var dataset: String
    }

    private struct Entry {
        /// Nil where there is no such dataset.
        var table: LookupTable?
        var until: ContinuousClock.Instant
    }

    static let retention = Duration.seconds(2)
    static let capacity = 1_000
    /// What one lookup of a batch may bring, in bytes of text.
    static let answerLimit = 64 << 20
    static let timeout = Duration.seconds(60)

    private let pool: PostgresPool
    private let entries = Mutex<[Name: Entry]>([:])

    init(pool: PostgresPool) {
        self.pool = pool
    }

    /// The columns of datasets, as the compiler needs them.
    func schema(_ datasets: Set<String>, workspaceID: Int64, isFresh: Bool = false) async throws -> LookupSchema {
        guard !datasets.isEmpty else { return LookupSchema() }
        return Self.schema(of: try await tables(datasets, workspaceID: workspaceID, isFresh: isFresh))
    }

    /// The same as a transaction sees them.
    static func schema(
        _ datasets: Set<String>, workspaceID: Int64, _ connection: PostgresConnection
    ) async throws -> LookupSchema {
        guard !datasets.isEmpty else { return LookupSchema() }
        let statement = FindLookupColumns(workspaceID: workspaceID, names: Array(datasets))
        return schema(of: tables(try await connection.query(statement)))
    }

    private static func schema(of tables: [String: LookupTable]) -> LookupSchema {
        LookupSchema(tables.mapValues { $0.applied.merging($0.pending) { applied, _ in applied } })
    }

    private static func tables(_ rows: [FindLookupColumns.Row]) -> [String: LookupTable] {
        var found: [String: LookupTable] = [:]
        for row in rows {
            var table =
                found[row.dataset] ?? LookupTable(schema: row.schema, name: row.dataset, isCreated: row.isCreated)
            if let (name, type, isApplied) = row.column {
                if isApplied { table.applied[name] = type } else { table.pending[name] = type }
            }
            found[row.dataset] = table
        }
        return found
    }

    /// Finds the rows that a batch needs. Errors: `lookup_failed` for a dataset that has been removed or changed since,
    /// `lookup_too_large`.
    func find(_ request: LookupRequest, workspaceID: Int64) async throws -> LookupAnswer {
        guard request.count > 0 else { return LookupAnswer(to: request) }
        let needed = request.keys.map(\.name) + request.columns.map(\.name)
        var table = try await tables([request.dataset], workspaceID: workspaceID)[request.dataset]
        if table?.has(needed) != true {
            table = try await tables([request.dataset], workspaceID: workspaceID, isFresh: true)[request.dataset]
        }
        guard let table else {
            throw JobFailure(code: "lookup_failed", message: "the dataset \(request.dataset) is not there any more")
        }
        // No row has a value in a column that the table lacks.
        guard table.has(request.keys.map(\.name)) else { return LookupAnswer(to: request) }
        return try await fetch(request, table, workspaceID)
    }

    private func fetch(
        _ request: LookupRequest, _ table: LookupTable, _ workspaceID: Int64
    ) async throws -> LookupAnswer {
        let present = request.columns.map { table.applied[$0.name] != nil }
        let query = request.query(table, columns: zip(request.columns, present).filter(\.1).map(\.0.name))
        let rows: FoundRows
        do {
            rows = try await pool.withTransaction(readOnly: true) { connection in
                try await connection.query("set local timezone = 'UTC'")
                return try await connection.stream(query, timeout: Self.timeout) { rows in
                    try await FoundRows(rows, columns: present.count(where: { $0 }), of: request.dataset)
                }
            }
        } catch let error as PostgresError where ["42P01", "42703", "42883"].contains(error.sqlstate?.code ?? "") {
            entries.withLock { $0[Name(workspaceID: workspaceID, dataset: request.dataset)] = nil }
            throw JobFailure(
                code: "lookup_failed", message: "the dataset \(request.dataset) has changed: \(error.message)")
        }
        return try rows.answer(request, present)
    }

    private func tables(
        _ datasets: Set<String>, workspaceID: Int64, isFresh: Bool = false
    ) async throws -> [String: LookupTable] {
        let now = ContinuousClock.now
        var found: [String: LookupTable] = [:]
        var unknown: [String] = []
        entries.withLock { entries in
            for dataset in datasets {
                let entry = entries[Name(workspaceID: workspaceID, dataset: dataset)]
                if let entry, !isFresh, entry.until > now {
                    found[dataset] = entry.table
                } else {
                    unknown.append(dataset)
                }
            }
        }
        guard !unknown.isEmpty else { return found }
        let statement = FindLookupColumns(workspaceID: workspaceID, names: unknown)
        let read = Self.tables(try await pool.withConnection { try await $0.query(statement) })
        found.merge(read) { _, fresh in fresh }
        entries.withLock { [found] entries in
            if entries.count >= Self.capacity { entries.removeAll() }
            for dataset in unknown {
                let name = Name(workspaceID: workspaceID, dataset: dataset)
                entries[name] = Entry(table: found[dataset], until: now + Self.retention)
            }
        }
        return found
    }
}

/// Rows that a lookup found, as text.
private struct FoundRows: Sendable {
    /// The places of their keys, from 0.
    private var places: [Int32] = []
    private var texts: [ByteColumn]
    private var validity: [[UInt8]]

    init(_ rows: PostgresRowStream, columns: Int, of dataset: String) async throws {
        texts = (0..<columns).map { _ in ByteColumn() }
        validity = Array(repeating: [], count: columns)
        var bytes = 0
        while let row = try await rows.next() {
            guard let place = Int32(try row.text(0)) else {
                throw PostgresError(.decode, "a key's place is no number", doing: "look rows up")
            }
            places.append(place - 1)
            for column in 0..<columns {
                let before = texts[column].data.count
                let text = try row.optionalText(column + 1)
                if let text { texts[column].data.append(contentsOf: text.utf8) }
                texts[column].endValue()
                validity[column].append(text == nil ? 0 : 1)
                bytes += texts[column].data.count - before + 8
            }
            guard bytes <= Lookups.answerLimit else {
                throw JobFailure(
                    code: "lookup_too_large",
                    message: """
                        what the batch needs of the dataset \(dataset) has more than \(Lookups.answerLimit >> 20) MiB
                        """, isPermanent: true)
            }
        }
    }

    /// - Parameter present: which of the request's columns were asked for; the others are NULL.
    func answer(_ request: LookupRequest, _ present: [Bool]) throws -> LookupAnswer {
        var next = 0
        let columns = try zip(request.columns, present).map { wanted, isPresent in
            guard isPresent else { return Column.nulls(wanted.type, count: places.count) }
            let text = Column(.text, .bytes(texts[next]), validity: validity[next])
            next += 1
            let cast = text.cast(to: wanted.type, rows: places, name: wanted.name)
            if let fault = cast.faults.first {
                // The column has another type than when the pipeline was compiled.
                throw JobFailure(code: "lookup_failed", message: "\(request.dataset).\(wanted.name): \(fault.message)")
            }
            return cast.column
        }
        return LookupAnswer(to: request, found: places, columns: columns)
    }
}
