import Postgres
import Records

/// Enters a run that reads a table, and a job that begins it. Timeout in seconds.
struct InsertTableRun: PostgresStatement {
    static let sql = """
        with run as (
            insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, schedule, batches,
                deadline, idempotency_key)
            select $1, p.workspace_id, 'run', p.id, $3, 'queued', $4, $5, 0, now() + make_interval(secs => $6), $7
            from millrace.pipeline p where p.id = $2 returning id, workspace_id
        )
        select queue.enqueue('transform', 'run.begin', workspace_id, array[jsonb_build_object('run', id, 'epoch', 0)],
            in_priority => (-1)::int2)
        from run
        """
    var id: Int64
    var pipelineID: Int64
    var version: Int32
    var request: [UInt8]
    var schedule: [UInt8]?
    var timeout: Double?
    var key: String?

    var parameters: [PostgresValue] {
        [
            .int8(id), .int8(pipelineID), .int4(version), .json(request), .optional(schedule) { .json($0) },
            .optional(timeout) { .float8($0) }, .optional(key) { .text($0) },
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}

/// The run of a pipeline that was made for an `Idempotency-Key`, and whether it was asked for in the same way.
struct FindRunByKey: PostgresStatement {
    static let sql = """
        select id, request = $3::jsonb from millrace.run where pipeline_id = $1 and idempotency_key = $2
        order by id desc limit 1
        """
    var pipelineID: Int64
    var key: String
    var request: [UInt8]

    var parameters: [PostgresValue] { [.int8(pipelineID), .text(key), .json(request)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (run: Int64, isSame: Bool) {
        (try row.int8(0), try row.bool(1))
    }
}

/// Another run of the pipeline that reads its table, and has not ended.
struct FindGoingTableRun: PostgresStatement {
    static let sql = """
        select id from millrace.run
        where pipeline_id = $1 and kind = 'run' and state in ('queued', 'running')
            and coalesce(deadline > clock_timestamp(), true) order by id limit 1
        """
    var pipelineID: Int64

    var parameters: [PostgresValue] { [.int8(pipelineID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// A run whose table is to be read, as its pipeline's version has it.
struct TableRun: Sendable {
    var id: Int64
    var epoch: Int32
    var workspaceID: Int64
    var pipelineID: Int64
    var version: Int32
    var definition: [UInt8]
    /// In µs since 2000-01-01 UTC.
    var createdAt: Int64
    /// Nil until the reading has begun.
    var reading: TableReading?
}

/// How every slice of a run is read.
struct TableReading: Sendable {
    var columns: [TableColumn]
    var pin: SnapshotPin
    /// More than half of the time has passed for which the snapshot is kept.
    var isDue: Bool
}

/// A run that is going on and is not released. No row for any other.
struct FindTableRun: PostgresStatement {
    static let sql = """
        select r.id, r.epoch, r.workspace_id, r.pipeline_id, r.version, v.definition, r.columns, r.types, r.pin,
            r.snapshot, r.pin_pid, r.pin_started::text,
            coalesce(r.pinned_until < clock_timestamp() + make_interval(secs => $2), false),
            r.created_at
        from millrace.run r
        join millrace.pipeline_version v on v.pipeline_id = r.pipeline_id and v.version = r.version
        where r.id = $1 and r.kind = 'run' and not r.released and millrace.is_going_on(r.state, r.deadline)
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run), .float8(SnapshotPin.seconds / 2)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> TableRun {
        var reading: TableReading?
        if let pin = try row.optionalText(8) {
            reading = TableReading(
                columns: try TableColumn.columns(row, names: 6, types: 7),
                pin: SnapshotPin(
                    name: pin, snapshot: try row.text(9), pid: try row.int4(10), started: try row.text(11)),
                isDue: try row.bool(12))
        }
        return TableRun(
            id: try row.int8(0), epoch: try row.int4(1), workspaceID: try row.int8(2), pipelineID: try row.int8(3),
            version: try row.int4(4), definition: try row.json(5),
            createdAt: try row.timestamp(13), reading: reading)
    }
}

/// Begins a run's reading: `millrace.begin_run`. The row is nil where there is nothing to begin any more.
struct BeginTableRun: PostgresStatement {
    static let sql = """
        select millrace.begin_run($1, $2, $3, $4, $5, $6, $7, $8, $9::text::timestamptz, $10, $11, $12)
        """
    var run: TableRun
    /// Quoted, with its schema; nil for a dataset that has none yet.
    var table: String?
    var columns: [TableColumn]
    var pin: SnapshotPin
    /// About what a slice holds, in bytes.
    var sliceBytes: Int64
    var sliceLimit: Int64

    var parameters: [PostgresValue] {
        [
            .int8(run.id), .int4(run.epoch), .optional(table) { .text($0) }, .textArray(columns.map(\.name)),
            .textArray(columns.map(\.type.rawValue)),
            .text(pin.name), .text(pin.snapshot), .int4(pin.pid), .text(pin.started), .float8(SnapshotPin.seconds),
            .int8(sliceBytes), .int8(sliceLimit),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32? { try row.optionalInt4(0) }
}

/// Begins a run's reading anew. The row is false where another process keeps its snapshot meanwhile: it need not be
/// lost.
struct RestartTableRun: PostgresStatement {
    static let sql = "select millrace.restart_run($1, $2, $3)"
    var run: Int64
    var epoch: Int32
    var pin: SnapshotPin

    var parameters: [PostgresValue] { [.int8(run), .int4(epoch), .text(pin.name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

struct FailTableRun: PostgresStatement {
    static let sql = "select from millrace.fail_run($1, $2)"
    var run: Int64
    var error: String

    var parameters: [PostgresValue] { [.int8(run), .text(error)] }
}

/// A range of blocks that a run is to read. It has a batch id of its own, drawn when the reading began: of another
/// epoch it has another.
struct TableSlice: Sendable {
    var ordinal: Int32
    var batchID: Int64
    var relation: Int64
    var filenode: Int64
    var blocks: Range<Int64>
}

/// The slices among a range of a run's that are still to be read.
struct FindSlices: PostgresStatement {
    static let sql = """
        select ordinal, batch, relation, filenode, low, high from millrace.run_batch
        where run = $1 and ordinal >= $2 and ordinal < $3 and state in ('queued', 'dead') order by ordinal
        """
    var run: Int64
    var ordinals: Range<Int32>

    var parameters: [PostgresValue] { [.int8(run), .int4(ordinals.lowerBound), .int4(ordinals.upperBound)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> TableSlice {
        let (low, high) = (try row.int8(4), try row.int8(5))
        return TableSlice(
            ordinal: try row.int4(0), batchID: try row.int8(1), relation: try row.int8(2), filenode: try row.int8(3),
            blocks: low..<max(low, high))
    }
}

/// Notes down that a slice was read, and what it became: its chunk, which waits for the others. Affects no row when it
/// was read meanwhile.
struct MarkRead: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set state = 'read', chunk = $4, received = $5, read_bytes = $6, filtered = $7,
            quarantined = $8, duplicates = $9, error = null, dead_letter = null
        where b.run = $1 and b.ordinal = $2 and b.batch = $3 and b.state in ('queued', 'dead')
        """
    var run: Int64
    var slice: TableSlice
    var chunk: Int64
    var readBytes: Int64
    var ledger: ApplicationUpdate

    var parameters: [PostgresValue] {
        [
            .int8(run), .int4(slice.ordinal), .int8(slice.batchID), .int8(chunk), .int4(ledger.received),
            .int8(readBytes), .int4(ledger.filtered), .int4(ledger.quarantined), .int4(ledger.duplicates),
        ]
    }
}

/// Cuts a slice that holds too much. The row says whether it did.
struct SplitSlice: PostgresStatement {
    static let sql = "select millrace.split_slice($1, $2, $3, $4)"
    var run: Int64
    var slice: TableSlice
    var parts: Int32

    var parameters: [PostgresValue] { [.int8(run), .int4(slice.ordinal), .int8(slice.batchID), .int4(parts)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

/// Puts slices that a job has not got to back, as a job of their own.
struct PutBackSlices: PostgresStatement {
    static let sql = """
        select queue.enqueue('transform', 'run.slice', r.workspace_id,
            array[jsonb_build_object('run', r.id, 'epoch', $2, 'first', $3)], in_priority => (-1)::int2,
            in_items => $4)
        from millrace.run r where r.id = $1
        """
    var run: Int64
    var epoch: Int32
    var ordinals: Range<Int32>

    var parameters: [PostgresValue] {
        [.int8(run), .int4(epoch), .int4(ordinals.lowerBound), .int4(Int32(ordinals.count))]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}
