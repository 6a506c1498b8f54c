import Postgres

/// The schedules that are due, or those that will be next; the earliest first.
struct DueSchedulesStatement: PostgresStatement {
    struct Row: Sendable {
        let id: Int64
        let version: Int32
        let cron: String
        let timezone: String
        let missed: String
        let queue: String
        /// Microseconds since 2000-01-01 UTC, as `now`, the server's time.
        let nextAt: Int64
        let now: Int64

        var isDue: Bool { nextAt <= now }
        var dueIn: Duration { .microseconds(nextAt - now) }
    }

    static let limit: Int32 = 1000

    /// Only ticks after this are looked at.
    let after: Int64

    static let sql = """
        SELECT s.id, s.version, s.cron, s.timezone, s.missed, s.queue, s.next_at, clock_timestamp()
        FROM queue.schedule s
        WHERE s.next_at > $1 AND s.next_at <= (
            SELECT greatest(min(n.next_at), clock_timestamp()) FROM queue.schedule n WHERE n.next_at > $1)
        ORDER BY s.next_at LIMIT \(limit)
        """
    var parameters: [PostgresValue] { [.timestamp(microsSince2000: after)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(
            id: try row.int8(0), version: try row.int4(1), cron: try row.text(2), timezone: try row.text(3),
            missed: try row.text(4), queue: try row.text(5), nextAt: try row.timestamp(6), now: try row.timestamp(7))
    }
}

/// Fires a schedule, if its next tick is still the one that was seen. Its row is how many jobs that made; nil when
/// the tick was another's.
struct FireScheduleStatement: PostgresStatement {
    let id: Int64
    let version: Int32
    let seen: Int64
    let plan: TickPlan
    let passed: Int64

    static let sql = "SELECT cardinality(queue.fire_schedule($1, $2, $3, $4, $5, $6))"
    var parameters: [PostgresValue] {
        [
            .int8(id), .int4(version), .timestamp(microsSince2000: seen),
            .timestampArray(microsSince2000: plan.ticks),
            .optional(plan.next) { .timestamp(microsSince2000: $0) }, .timestamp(microsSince2000: passed),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32? { try row.optionalInt4(0) }
}
