import Postgres

/// Makes a connection's session fit to keep a snapshot after its client has gone.
enum PinSession {
    static let script = """
        set statement_timeout = 0; set client_connection_check_interval = 0;
        set idle_in_transaction_session_timeout = 0;
        begin isolation level repeatable read read only
        """
}

/// Exports the transaction's snapshot, and says what it holds and who keeps it.
struct ExportSnapshot: PostgresStatement {
    static let sql = """
        select pg_export_snapshot(), pg_current_snapshot()::text, pg_backend_pid(),
            (select backend_start::text from pg_catalog.pg_stat_activity where pid = pg_backend_pid())
        """

    static func decode(_ row: PostgresRow) throws(PostgresError) -> SnapshotPin {
        SnapshotPin(name: try row.text(0), snapshot: try row.text(1), pid: try row.int4(2), started: try row.text(3))
    }
}

/// What the transaction's snapshot holds.
struct CurrentSnapshot: PostgresStatement {
    static let sql = "select pg_current_snapshot()::text"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// Whether a server process sleeps.
struct IsAsleep: PostgresStatement {
    static let sql = """
        select exists (select from pg_catalog.pg_stat_activity where pid = $1 and wait_event = 'PgSleep')
        """
    var pid: Int32

    var parameters: [PostgresValue] { [.int4(pid)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

/// Has a run's snapshot kept by another process. Affects no row when the run has got another one meanwhile.
struct MovePin: PostgresStatement {
    static let sql = """
        update millrace.run set pin = $4, pin_pid = $5, pin_started = $6::text::timestamptz,
            pinned_until = clock_timestamp() + make_interval(secs => $7)
        where id = $1 and epoch = $2 and pin = $3 and not released and millrace.is_going_on(state, deadline)
        """
    var run: Int64
    var epoch: Int32
    var old: SnapshotPin
    var new: SnapshotPin

    var parameters: [PostgresValue] {
        [
            .int8(run), .int4(epoch), .text(old.name), .text(new.name), .int4(new.pid), .text(new.started),
            .float8(SnapshotPin.seconds),
        ]
    }
}

/// Ends the process that keeps a snapshot.
struct EndPin: PostgresStatement {
    static let sql = "select from millrace.unpin($1, $2::text::timestamptz)"
    var pin: SnapshotPin

    var parameters: [PostgresValue] { [.int4(pin.pid), .text(pin.started)] }
}

/// The table that a slice lies in, quoted; no row when it is gone.
struct FindRelation: PostgresStatement {
    static let sql = """
        select format('%I.%I', n.nspname, c.relname), coalesce(pg_relation_filenode(c.oid)::int8, 0),
            array(select a.attname::text from pg_catalog.pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1::oid
        """
    var relation: Int64

    var parameters: [PostgresValue] { [.int8(relation)] }

    static func decode(
        _ row: PostgresRow
    ) throws(PostgresError) -> (name: String, filenode: Int64, columns: [String]) {
        (try row.text(0), try row.int8(1), try row.textArray(2))
    }
}
