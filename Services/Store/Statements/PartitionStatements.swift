import Partitions
import Postgres

/// Rotates landing's ids in time, marks the partitions that nothing keeps any more, and gives all that are marked and
/// not dropped. Durations in seconds.
struct RetirePartitions: PostgresStatement {
    static let sql = "select parent, child, stage from landing.retire($1, $2, $3, $4, $5, $6)"
    var rawRetention: Double
    var quarantineRetention: Double
    var batchRotation: Double
    var chunkRotation: Double
    var margin: Double
    var limit: Int32

    var parameters: [PostgresValue] {
        [
            .float8(rawRetention), .float8(quarantineRetention), .float8(batchRotation), .float8(chunkRotation),
            .float8(margin), .int4(limit),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> LeavingPartition {
        guard let stage = LeavingPartition.Stage(rawValue: try row.text(2)) else {
            throw PostgresError(.decode, "a partition's stage is not known here", doing: "retire partitions")
        }
        return LeavingPartition(
            schema: "landing", parent: try row.text(0), name: try row.text(1), stage: stage)
    }
}

/// Notes that a partition's table is gone; in the transaction that drops it.
struct MarkPartitionDropped: PostgresStatement {
    static let sql = """
        update landing.expired set dropped_at = now() where parent = $1 and parent || '_' || slot = $2
        """
    var parent: String
    var name: String

    var parameters: [PostgresValue] { [.text(parent), .text(name)] }
}
