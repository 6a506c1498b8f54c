import Postgres
import TestSupport
import Testing

@testable import Access

/// Which other key a workspace's administrator's key may go for.
@Suite struct StandInTests {
    /// What the key that goes has, and the other one: hours until they end, nil for never.
    struct Case: Sendable, CustomStringConvertible {
        var own: Int?
        var other: Int?
        var scopes = ["admin"]
        var ownLimits = KeyLimits.none
        var limits = KeyLimits.none
        var workspaceID: Int64 = 1
        let expected: Bool

        var description: String { "\(own.map(String.init) ?? "never") \(other.map(String.init) ?? "never") \(scopes)" }
    }

    static let limits = KeyLimits(requestsPerDay: 10)

    @Test(arguments: [
        Case(own: nil, other: nil, expected: true),
        Case(own: nil, other: 2, expected: false),
        Case(own: 2, other: nil, expected: true),
        Case(own: 2, other: 2, expected: true),
        Case(own: 2, other: 3, expected: true),
        Case(own: 3, other: 2, expected: false),
        Case(own: -2, other: -1, expected: false),
        Case(own: nil, other: nil, scopes: ["keys:write", "datasets:*"], expected: false),
        Case(own: nil, other: nil, limits: StandInTests.limits, expected: false),
        Case(own: nil, other: nil, ownLimits: StandInTests.limits, limits: StandInTests.limits, expected: true),
        Case(own: nil, other: nil, ownLimits: StandInTests.limits, expected: true),
        Case(own: nil, other: nil, workspaceID: 2, expected: false),
    ])
    func aKeyStandsInThatLivesAsLongAndDoesAsMuch(_ one: Case) async throws {
        try await CatalogDatabase.make().withPool { pool in
            try await pool.run("insert into millrace.workspace (name, schema_name, query_role) values ('b', 'b', 'b')")
            try await pool.withTransaction { connection in
                let now = try await connection.query("select now()")[0].timestamp(0)
                func make(_ scopes: [String], _ hours: Int?, _ limits: KeyLimits, in workspace: Int64) async throws
                    -> Int64
                {
                    let new = NewKey(
                        workspaceID: workspace, name: "one", scopes: scopes, limits: limits,
                        expiresAt: hours.map { now + Int64($0) * 3_600_000_000 })
                    return try #require(try await connection.query(InsertKey(APIKey.generate(), as: new)).first).id
                }
                let own = try await make(["admin"], one.own, one.ownLimits, in: 1)
                #expect(try await connection.query(FindStandIn(id: own)) == [false], "alone")
                let other = try await make(one.scopes, one.other, one.limits, in: one.workspaceID)
                #expect(try await connection.query(FindStandIn(id: own)) == [one.expected])
                try await connection.execute(RevokeKey(id: other))
                #expect(try await connection.query(FindStandIn(id: own)) == [false], "revoked")
            }
        }
    }
}
