import JSON
import Partitions
import Postgres

/// By what datasets are partitioned. No row for one that is not.
struct FindPartitionings: PostgresStatement {
    static let sql = """
        select id, definition from millrace.dataset
        where id = any($1) and definition ->> 'partition' in ('day', 'month')
        """
    var datasetIDs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(datasetIDs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (id: Int64, rule: TimePartitioning?) {
        (try row.int8(0), (try? JSONValue.parse(try row.json(1))).flatMap(TimePartitioning.init))
    }
}

/// The partitions of a table.
struct ListTimePartitions: PostgresStatement {
    struct Partition: Sendable, Equatable {
        /// The first day, counted from 2000-01-01.
        var day: Int32
        var name: String
        /// It is being detached: nobody reads it any more.
        var isPending: Bool
    }

    static let sql = "select day, name, pending from millrace.time_partitions($1, $2)"
    var schema: String
    var table: String

    var parameters: [PostgresValue] { [.text(schema), .text(table)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Partition {
        Partition(day: try row.int4(0), name: try row.text(1), isPending: try row.bool(2))
    }
}

/// Makes partitions that are not there, within the transaction that holds the dataset's row. Gives how many it made.
struct MakeTimePartitions: PostgresStatement {
    static let sql = "select millrace.make_time_partitions($1, $2, $3, $4)"
    var schema: String
    var table: String
    /// The first days, each with the day after its partition's last.
    var days: [Int32]
    var grain: TimeGrain

    var parameters: [PostgresValue] {
        [.text(schema), .text(table), .int4Array(days), .int4Array(days.map(grain.end))]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 { try row.int4(0) }
}

/// Notes that a dataset's rows of the time before a day leave it.
struct RetainFrom: PostgresStatement {
    static let sql = """
        update millrace.dataset set retained_from = timestamptz '2000-01-01 00:00:00Z' + $2 * interval '24 hours'
        where id = $1 and (retained_from is null
            or retained_from < timestamptz '2000-01-01 00:00:00Z' + $2 * interval '24 hours')
        """
    var datasetID: Int64
    /// Counted from 2000-01-01.
    var day: Int32

    var parameters: [PostgresValue] { [.int8(datasetID), .int4(day)] }
}

/// The datasets that have a partitioned table.
struct ListPartitionedDatasets: PostgresStatement {
    static let sql = """
        select d.id, w.schema_name, d.name, d.definition
        from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id
        where d.table_created and d.definition ->> 'partition' in ('day', 'month') order by d.id
        """

    struct Dataset: Sendable {
        var id: Int64
        var schema: String
        var name: String
        var rule: TimePartitioning?
    }

    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Dataset {
        Dataset(
            id: try row.int8(0), schema: try row.text(1), name: try row.text(2),
            rule: (try? JSONValue.parse(try row.json(3))).flatMap(TimePartitioning.init))
    }
}

/// Partitions of datasets that were detached and not dropped, whether or not their dataset is there.
struct ListDetachedPartitions: PostgresStatement {
    static let sql = """
        select w.schema_name, c.relname from millrace.workspace w
        join pg_catalog.pg_namespace n on n.nspname = w.schema_name
        join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind = 'r' and not c.relispartition
        where c.relname ~ '^[a-z][a-z0-9_]{0,47}(\\.re)?\\.p[0-9]{8}$'
        """
    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> LeavingPartition {
        let name = try row.text(1)
        return LeavingPartition(
            schema: try row.text(0), parent: String(name.dropLast(".p20000101".count)), name: name, stage: .detached)
    }
}
