import HTTP
import Postgres

extension RollupStatement {
    /// Refuses to fill gaps where that would make more rows than a moment is enough for, however few are shown of them.
    /// To be called in the transaction of the answer. Errors: the problem `query_too_large`, and the database's.
    func checkFill(generation: Int32, _ connection: PostgresConnection) async throws {
        let buckets = query.filledBuckets
        guard buckets > 0, !query.groups.isEmpty else { return }
        let most = RollupQuery.largestFill / buckets
        let counts = groupCounts(generation: generation, most: most)
        guard try await connection.query(counts.bound)[0].int8(0) > most else { return }
        let groups = try await connection.query(counts.exact)[0].int8(0)
        guard groups > most else { return }
        throw Problem(
            .queryTooLarge,
            "fill would make \(buckets) buckets of each of \(groups) groups, more than \(RollupQuery.largestFill) "
                + "rows: ask for fewer groups (where, group_by), longer buckets (grain) or less time")
    }
}
