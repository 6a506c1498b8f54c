import Expressions
import Postgres
import Queue
import Records

/// Erases the records of one batch that meet a condition, wherever they are: in raw bytes, quarantine, chunks, and the
/// rows of every dataset that were made of them. Works in the transaction that moves the run's batch on.
///
/// A record meets the condition where a row that the dataset has of it does, or where its own fields do.
struct BatchErasure: Sendable {
    let erasure: Erasure
    let condition: ErasureCondition
    let names: FieldNames

    /// Nil where somebody has the batch's raw bytes in hands: it is to be looked at again. The pipelines that read its
    /// source are locked until the commit, so nobody begins to.
    func run(_ one: FindErasureBatches.Batch, _ connection: PostgresConnection) async throws -> ErasedCounts? {
        let batch = one.id
        let names = names.names(of: one.source)
        if !erasure.isDry {
            _ = try await connection.query(HoldBatch(batch: batch))
            // What a table that takes another's place has of the batch is seen before, or after.
            guard try await connection.query(HoldRebuilds(batch: batch)).first ?? true else { return nil }
        }
        let use = FindBatchUse(batch: batch, run: erasure.run)
        if try await connection.query(use).first ?? false { return nil }
        if !erasure.isDry { _ = try await connection.query(LockQuarantine(batch: batch)) }
        let tables = try await connection.query(FindBatchTables(batch: batch))
        var met: Set<Int32> = []
        if let table = erasure.table, tables.contains(where: { $0.table == table }) {
            met.formUnion(try await connection.query(matching(table, batch)).int4Column())
        }
        var counts = ErasedCounts()
        let payload = try await connection.query(FindRawBatch(batchID: batch)).first
        let frame: BatchFrame?
        if let payload {
            let read: Read = try await off {
                try self.read(BatchFrame(decoding: payload, limit: RawRecords.frameLimit), names)
            }
            (frame, counts.unreadable) = (read.frame, Int64(read.unreadable))
            met.formUnion(read.met)
        } else {
            frame = nil
            let kept = try await connection.query(FindQuarantinedRaws(batch: batch))
            let read: Read = try await off { try self.quarantined(kept, names, one.slice) }
            counts.unreadable = Int64(read.unreadable)
            met.formUnion(read.met)
        }
        guard !met.isEmpty else { return counts }
        try await erase(met, of: batch, frame, tables, &counts, connection)
        return counts
    }

    private func erase(
        _ met: Set<Int32>, of batch: Int64, _ frame: BatchFrame?, _ tables: [FindBatchTables.Found],
        _ counts: inout ErasedCounts, _ connection: PostgresConnection
    ) async throws {
        let rows = met.sorted()
        for found in tables {
            let count: Int64
            if erasure.isDry {
                count = try await connection.query(found.table.count(rows, of: batch))[0].int8(0)
            } else {
                count = Int64(try await connection.query(found.table.erase(rows, of: batch)).affectedRows)
                if found.keepsDeletions {
                    var deleted = found.table
                    deleted.name = DatasetTable.deletedName(deleted.name)
                    try await connection.query(deleted.erase(rows, of: batch))
                }
                try await connection.execute(EndRebuild(datasetID: found.datasetID))
            }
            if count > 0 { counts.rows[found.table.name] = count }
        }
        counts.records = Int64(frame.map { frame in rows.count { frame.lengths[Int($0)] > 0 } } ?? 0)
        if erasure.isDry {
            let quarantined = CountQuarantinedOf(batch: batch, rows: rows)
            counts.quarantined = try await connection.query(quarantined).first ?? 0
            return
        }
        try await connection.execute(EndRebuildsOfBatch(batch: batch))
        let beside = EraseBeside(batch: batch, rows: rows, run: erasure.run)
        counts.quarantined = try await connection.query(beside).first ?? 0
        if let frame, counts.records > 0 {
            let body = try await off { try frame.erasing(met).encode() }
            try await connection.execute(RewritePayload(batch: batch, body: body))
        }
    }

    /// The rows of batches nothing else of which is kept. Those whose raw bytes are there came in later.
    func runRows(_ connection: PostgresConnection) async throws -> ErasedCounts {
        var counts = ErasedCounts()
        guard let table = erasure.table else { return counts }
        let rest = """
            t where (\(condition.rows.text(firstParameter: 2)))
                and not exists (select from landing.payload p where p.batch_id = t._batch)
                and not exists (
                    select from millrace.run_batch b where b.run = $1 and b.batch = t._batch and b.batch > 0)
            """
        let place = "\(PostgresQuery.quoted(identifier: table.schema)).\(PostgresQuery.quoted(identifier: table.name))"
        let parameters = [PostgresValue.int8(erasure.run)] + condition.rows.literals.map { .inferred($0) }
        let count: Int64
        if erasure.isDry {
            let query = PostgresQuery(unsafeText: "select count(*) from \(place) \(rest)", parameters)
            count = try await connection.query(query)[0].int8(0)
        } else {
            let text =
                "with gone as (delete from \(place) \(rest) returning t._batch) "
                + "select _batch, count(*) from gone group by _batch"
            let gone = try await connection.query(PostgresQuery(unsafeText: text, parameters))
            count = try (0..<gone.rowCount).reduce(0) { try $0 + gone[$1].int8(1) }
            if count > 0 {
                let batches = try (0..<gone.rowCount).map { try gone[$0].int8(0) }
                try await connection.execute(EraseLoadedChunks(batches: batches))
                try await connection.execute(EndRebuild(datasetID: erasure.datasetID))
            }
        }
        if count > 0 { counts.rows[table.name] = count }
        return counts
    }

    private func matching(_ table: OutputPlace.Table, _ batch: Int64) -> PostgresQuery {
        let place = "\(PostgresQuery.quoted(identifier: table.schema)).\(PostgresQuery.quoted(identifier: table.name))"
        return PostgresQuery(
            unsafeText: "select distinct _row from \(place) t where _batch = $1 and "
                + "(\(condition.rows.text(firstParameter: 2)))",
            [.int8(batch)] + condition.rows.literals.map { .inferred($0) })
    }

    private struct Read: Sendable {
        var frame: BatchFrame?
        var met: Set<Int32>
        var unreadable: Int
    }

    private func read(_ frame: BatchFrame, _ names: [FieldNames.Names]) throws -> Read {
        let found = try condition.records(of: frame, names: names)
        return Read(frame: frame, met: found.met, unreadable: found.unreadable)
    }

    private func quarantined(
        _ kept: [(row: Int32, raw: [UInt8], format: RecordFormat?)], _ names: [FieldNames.Names],
        _ slice: FindErasureBatches.Batch.Slice?
    ) throws -> Read {
        guard let format = kept.first?.format else { return Read(met: [], unreadable: kept.count) }
        var frame = BatchFrame(format: format)
        for record in kept { frame.append(record: record.raw) }
        let found =
            if let slice {
                try condition.rows(of: frame, names: names, areOwn: slice == .own)
            } else {
                try condition.records(of: frame, names: names)
            }
        return Read(met: Set(found.met.map { kept[Int($0)].row }), unreadable: found.unreadable)
    }

    private func off<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withTaskExecutorPreference(globalConcurrentExecutor) { try body() }
    }
}

extension OutputPlace.Table {
    /// Deletes the rows of records of a batch, of whichever output.
    fileprivate func erase(_ rows: [Int32], of batch: Int64) -> PostgresQuery {
        "delete from \(identifier: schema, name) where _batch = \(.int8(batch)) and _row = any(\(.int4Array(rows)))"
    }

    fileprivate func count(_ rows: [Int32], of batch: Int64) -> PostgresQuery {
        """
        select count(*) from \(identifier: schema, name)
        where _batch = \(.int8(batch)) and _row = any(\(.int4Array(rows)))
        """
    }
}

extension PostgresResult {
    fileprivate func int4Column() throws -> [Int32] { try (0..<rowCount).map { try self[$0].int4(0) } }
}
