import Partitions
import Postgres

/// Rotates ids, marks the slots that are to leave, and names the partitions that leave.
struct RetireStatement: PostgresStatement {
    struct Row: Sendable {
        /// There is more to do at once.
        let again: Bool
        let leaving: [LeavingPartition]
    }

    /// Ids that one statement draws and leaves unused: 0.4 s.
    static let portion: Int32 = 1 << 20
    /// Dead letters that one statement forgets.
    static let limit: Int32 = 5_000

    let rotation: Duration
    let retention: Duration

    init(_ configuration: LeaderConfiguration) {
        rotation = configuration.rotation
        retention = configuration.retention
    }

    static let sql = """
        SELECT again, coalesce(parents, '{}'), coalesce(children, '{}'), coalesce(stages, '{}')
        FROM queue.retire($1, $2, $3, $4)
        """
    var parameters: [PostgresValue] {
        [.float8(rotation.seconds), .float8(retention.seconds), .int4(Self.portion), .int4(Self.limit)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        let (parents, names, stages) = (try row.textArray(1), try row.textArray(2), try row.textArray(3))
        var leaving: [LeavingPartition] = []
        for ((parent, name), stage) in zip(zip(parents, names), stages) {
            guard let stage = LeavingPartition.Stage(rawValue: stage) else {
                throw PostgresError(.decode, "a partition's stage is not known here", doing: "retire partitions")
            }
            leaving.append(LeavingPartition(schema: "queue", parent: parent, name: name, stage: stage))
        }
        return Row(again: try row.bool(0), leaving: leaving)
    }
}
