import Postgres

/// Takes a stream: makes it, or takes it over from whoever had it. Waits for a commit of the other's that is under way.
struct TakeStream: PostgresStatement {
    static let sql = """
        insert into millrace.ingest_stream as s (source_id, name) values ($1, $2)
        on conflict (source_id, name) do update
            set epoch = nextval('millrace.ingest_stream_epoch'), touched_at = now()
        returning epoch, seq
        """
    var sourceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(sourceID), .text(name)] }

    /// The new epoch, and the last message that is committed.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> (epoch: Int64, seq: Int64) {
        (try row.int8(0), try row.int8(1))
    }
}

/// Marks a stream as in use.
struct TouchStream: PostgresStatement {
    static let sql = """
        update millrace.ingest_stream set touched_at = now() where source_id = $1 and name = $2 and epoch = $3
        """
    var sourceID: Int64
    var name: String
    var epoch: Int64

    var parameters: [PostgresValue] { [.int8(sourceID), .text(name), .int8(epoch)] }
}

/// Lands one batch as ``LandBatch`` does and moves the streams in it on, all of them or none. No row: at least one is
/// not where its position says, and nothing was done.
struct LandStreamBatch: PostgresStatement {
    /// The rows are locked in one order, then looked at as they are by then; so two that move the same stream do so one
    /// after the other, and the second finds that it may not.
    static let sql =
        """
        with claim as (
            select * from unnest($10::text[], $11::int8[], $12::int8[], $13::int8[]) as c (name, epoch, first, last)
        ), held as (
            select s.name from millrace.ingest_stream s
            join claim c on c.name = s.name and c.epoch = s.epoch and c.first = s.seq + 1
            where s.source_id = $2 order by s.name for update of s
        ), sound as (
            select 1 where (select count(*) from held) = cardinality($10::text[])
        ), moved as (
            update millrace.ingest_stream s set seq = c.last, touched_at = now()
            from claim c, sound where s.source_id = $2 and s.name = c.name and s.epoch = c.epoch
        ), batch as (
            \(LandBatch.insertion) select \(LandBatch.values) from sound
            returning id, source_id, records
        ), \(LandBatch.consequences)
        """

    var batch: LandBatch
    var positions: [StreamPosition]

    var parameters: [PostgresValue] {
        batch.parameters + [
            .textArray(positions.map(\.name)), .int8Array(positions.map(\.epoch)),
            .int8Array(positions.map(\.first)), .int8Array(positions.map(\.last)),
        ]
    }

    /// The batch's id.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Which of these positions still are where their streams are.
struct FindHeldStreams: PostgresStatement {
    static let sql = """
        select (c.place - 1)::int8
        from unnest($2::text[], $3::int8[], $4::int8[]) with ordinality as c (name, epoch, first, place)
        join millrace.ingest_stream s
            on s.source_id = $1 and s.name = c.name and s.epoch = c.epoch and s.seq = c.first - 1
        order by c.place
        """
    var sourceID: Int64
    var positions: [StreamPosition]

    var parameters: [PostgresValue] {
        [
            .int8(sourceID), .textArray(positions.map(\.name)), .int8Array(positions.map(\.epoch)),
            .int8Array(positions.map(\.first)),
        ]
    }

    /// A place among the positions.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { Int(try row.int8(0)) }
}
