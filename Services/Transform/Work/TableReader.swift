import Postgres
import Records
import Synchronization

/// Reads slices of a table, each by the run's snapshot, straight into typed columns.
struct TableReader: Sendable {
    let pool: PostgresPool
    /// What a slice may hold, in bytes as COPY sends them, before it is cut; one block is read whatever it holds.
    let byteLimit: Int

    /// What a slice holds.
    struct Rows: Sendable {
        var batch: RecordBatch
        /// As COPY sent them.
        var bytes: Int
        /// These, where they were to be kept.
        var copied: [UInt8]?
    }

    /// The slice has to be cut.
    struct TooMuch: Error {}

    /// Reads one slice. Errors: ``SnapshotPin/Lost`` when the snapshot is gone, or the table's file is not the one that
    /// was cut into slices; ``TooMuch``.
    func read(_ slice: TableSlice, _ reading: TableReading, keepsBytes: Bool = false) async throws -> Rows {
        let columns = reading.columns + [TableColumn(name: TableRecord.extra, type: .jsonb)]
        let decoder = CopyBinaryDecoder(rows: reading.columns.map { ($0.name, $0.type) })
        let mayExceed = slice.blocks.count == 1
        let filled = try await pool.withTransaction(isolation: .repeatableRead, readOnly: true) { connection in
            try await reading.pin.adopt(on: connection)
            guard let relation = try await connection.query(FindRelation(relation: slice.relation)).first else {
                throw SnapshotPin.Lost()
            }
            let collected = Collected(decoder)
            let values = Self.values(columns, of: relation.columns)
            let copy: PostgresQuery = """
                copy (select \(unsafeText: values) from only \(unsafeText: relation.name)
                where ctid >= '(\(unsafeText: String(slice.blocks.lowerBound)),0)'::tid
                    and ctid < '(\(unsafeText: String(slice.blocks.upperBound)),0)'::tid) to stdout (format binary)
                """
            do {
                _ = try await connection.copyOut(copy) { piece in
                    guard collected.append(piece) <= byteLimit || mayExceed else { throw TooMuch() }
                }
            } catch let error as PostgresError where error.sqlstate == .undefinedTable {
                // It was dropped. The snapshot's catalog has it still.
                throw SnapshotPin.Lost()
            }
            // Now that the table is locked: what has been rewritten has its rows elsewhere, or hides them from this
            // snapshot.
            let after = try await connection.query(FindRelation(relation: slice.relation)).first
            guard after?.name == relation.name, after?.filenode == slice.filenode else { throw SnapshotPin.Lost() }
            return collected.decoder
        }
        return Rows(
            batch: try filled.finish(), bytes: filled.byteCount, copied: keepsBytes ? filled.bytes : nil)
    }

    /// A list to select: what the table lacks, because it was only agreed on, is NULL.
    private static func values(_ columns: [TableColumn], of table: [String]) -> String {
        let known = Set(table)
        return columns.map { column in
            known.contains(column.name)
                ? PostgresQuery.quoted(identifier: column.name) : "null::\(column.type.rawValue)"
        }.joined(separator: ", ")
    }
}

/// A decoder that a COPY fills piece by piece.
private final class Collected: Sendable {
    private let state: Mutex<CopyBinaryDecoder>

    init(_ decoder: CopyBinaryDecoder) {
        state = Mutex(decoder)
    }

    /// Gives how much there is.
    func append(_ piece: [UInt8]) -> Int {
        state.withLock { decoder in
            decoder.append(piece)
            return decoder.byteCount
        }
    }

    var decoder: CopyBinaryDecoder { state.withLock { $0 } }
}
