import Expressions
import HTTP
import Postgres
import Records
import Synchronization

/// All rows of a dataset that meet a condition, read by COPY and written as they come: what is in memory is a piece of
/// about 64 KiB, as it came and as it goes. The rows are those of one moment, in no order.
struct DatasetExport: Sendable {
    enum Format: String, Sendable, CaseIterable {
        case csv, ndjson
    }

    let columns: [CatalogColumn]
    let format: Format
    let numbers: NumberStyle
    private let select: String

    init(_ query: RowsQuery, _ format: Format, _ numbers: NumberStyle, of dataset: StoredDataset) {
        columns = query.columns
        self.format = format
        self.numbers = numbers
        // The lineage is narrower in the table.
        let names = columns.map {
            PostgresQuery.quoted(identifier: $0.name) + (RowsQuery.lineage.contains($0) ? "::int8" : "")
        }.joined(separator: ", ")
        var text = "select \(names) from \(PostgresQuery.quoted(identifier: dataset.schema))"
        text += ".\(PostgresQuery.quoted(identifier: dataset.name))"
        if let condition = query.condition {
            // COPY takes no parameters. A quoted literal has no type of its own either.
            text += " where " + condition.text(quotedBy: PostgresQuery.quoted(literal:))
        }
        select = text
    }

    /// Whether the statement can run at all; errors as those of the statement.
    func check(_ connection: PostgresConnection) async throws {
        try await connection.query("set local timezone = 'UTC'")
        try await connection.query("\(unsafeText: select) limit 0")
    }

    /// Reads everything and gives it to `write` in pieces; CSV's header row first.
    func run(
        _ connection: PostgresConnection, timeout: Duration, _ write: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let decoder = Mutex(CopyBinaryDecoder(columns: columns.map { ($0.name, $0.type) }))
        let (format, numbers) = (format, numbers)
        if format == .csv {
            let none = columns.map { NamedColumn($0.name, .nulls($0.type, count: 0)) }
            try await write(RecordBatch(rows: [], columns: none).csvHeader())
        }
        let copy: PostgresQuery = "copy (\(unsafeText: select)) to stdout (format binary)"
        _ = try await connection.copyOut(copy, timeout: timeout) { piece in
            let text = try await withTaskExecutorPreference(globalConcurrentExecutor) {
                let batch = try decoder.withLock { decoder in
                    decoder.append(piece)
                    return try decoder.takeRows()
                }
                return format == .csv ? batch.csvLines() : batch.ndjsonLines(numbers: numbers)
            }
            try await write(text)
        }
    }
}
