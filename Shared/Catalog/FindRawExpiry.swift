public import Postgres

/// When a batch's raw bytes expired, in µs since 2000-01-01 UTC; no row while they are kept.
///
/// A partition's raw bytes are marked first and gone a little later: look for the bytes before asking this.
public struct FindRawExpiry: PostgresStatement {
    public static let sql = """
        select expired_at from landing.expired where parent = 'payload' and low <= $1 and high > $1
        order by low desc limit 1
        """
    let batchID: Int64

    public init(batchID: Int64) {
        self.batchID = batchID
    }

    public var parameters: [PostgresValue] { [.int8(batchID)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.timestamp(0) }
}
