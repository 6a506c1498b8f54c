import Foundation
import TestSupport
import Testing

@testable import Queue

/// Random histories against a model, on a real server. `SIMULATION_HISTORIES` says how many (300), and
/// `SIMULATION_SEED` replays one alone.
@Suite("Queue: simulation")
struct SimulationTests {
    private struct Failure: Sendable, CustomStringConvertible {
        let seed: UInt64
        let text: String
        /// The history itself went wrong.
        var isError = false

        var description: String { "history \(seed) (replay: SIMULATION_SEED=\(seed)): \(text)" }
    }

    private static let environment = ProcessInfo.processInfo.environment
    private static let lanes = 4

    /// Runs histories in one database after another, each until one fails, up to `limit` failures.
    private func run(_ seeds: [UInt64], mutation: String? = nil, limit: Int = 1) async throws -> [Failure] {
        var lane = try await SimulationLane(mutation: mutation)
        var failures: [Failure] = []
        for seed in seeds where failures.count < limit {
            let simulation = Simulation(lane, seed: seed)
            do {
                guard let text = try await simulation.run() else { continue }
                failures.append(Failure(seed: seed, text: text))
            } catch {
                failures.append(Failure(seed: seed, text: "\(error)\(simulation.story)", isError: true))
            }
            if failures.count < limit { lane = try await SimulationLane(mutation: mutation) }
        }
        return failures
    }

    @Test("Random histories hold what the model says")
    func histories() async throws {
        if let text = Self.environment["SIMULATION_SEED"], let seed = UInt64(text) {
            let failures = try await run([seed])
            #expect(failures.isEmpty, "\(failures.map(\.description).joined())")
            return
        }
        let count = Self.environment["SIMULATION_HISTORIES"].flatMap { Int($0) } ?? 300
        let start = (TestSeed.next() & 0xFFFF_FFFF) << 20
        let failures = try await withThrowingTaskGroup(of: [Failure].self) { group in
            for lane in 0..<Self.lanes {
                let seeds = stride(from: lane, to: count, by: Self.lanes).map { start + UInt64($0) }
                group.addTask { try await run(seeds, limit: 3) }
            }
            return try await group.reduce(into: [Failure]()) { $0 += $1 }
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    /// Mistakes that the queue might have, each to be found within some histories.
    static let mutations: [(name: String, sql: String)] = [
        (
            "a settle without the fence",
            """
            CREATE OR REPLACE FUNCTION queue.hold(in_lease int8, in_finish bool) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                IF in_finish THEN DELETE FROM queue.lease l WHERE l.id = in_lease; END IF;
            END $$
            """
        ),
        (
            "jobs given back without a look at their outcomes",
            replacing("queue.give_back(int8,bool)", "WHERE NOT EXISTS", "WHERE true OR NOT EXISTS")
        ),
        (
            "a seal by the snapshot's upper end",
            replacing(
                "queue.advance(int2)", "pending_xid = pg_current_xact_id()",
                "pending_xid = pg_snapshot_xmax(pg_current_snapshot())")
        ),
        (
            "a rescue that charges nobody",
            replacing("queue.rescue(int8,float8,float8)", "IF NOT held.solo THEN", "IF true THEN")
        ),
    ]

    /// SQL that puts a text in the place of another in a function's definition.
    private static func replacing(_ function: String, _ old: String, _ new: String) -> String {
        """
        DO $do$
        DECLARE text text := pg_get_functiondef('\(function)'::regprocedure);
        BEGIN
            IF strpos(text, $x$\(old)$x$) = 0 THEN RAISE EXCEPTION 'nothing to replace'; END IF;
            EXECUTE replace(text, $x$\(old)$x$, $x$\(new)$x$);
        END $do$
        """
    }

    @Test("It finds a mistake", arguments: mutations.indices)
    func findsMistake(_ place: Int) async throws {
        let (name, sql) = Self.mutations[place]
        let failures = try await run((0..<1000).map { UInt64($0) }, mutation: sql)
        let found = try #require(failures.first, "\(name) was not found")
        #expect(!found.isError, "\(name): \(found)")
    }
}
