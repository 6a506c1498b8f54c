import Foundation
import TestSupport
import Testing

@testable import Queue

/// Random histories against a model, on a real server. `SIMULATION_HISTORIES` says how many (300), `SIMULATION_START`
/// which seed is the first, and `SIMULATION_SEED` replays one alone.
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
    private func run(_ seeds: [UInt64], mutation: SimulationMutation? = nil, limit: Int = 1) async throws -> [Failure] {
        var lane = try await SimulationLane(mutation: mutation?.sql)
        var failures: [Failure] = []
        for seed in seeds where failures.count < limit {
            let simulation = Simulation(lane, seed: seed, mood: mutation?.mood)
            do {
                guard let text = try await simulation.run() else { continue }
                failures.append(Failure(seed: seed, text: text))
            } catch {
                failures.append(Failure(seed: seed, text: "\(error)\(simulation.story)", isError: true))
            }
            if failures.count < limit { lane = try await SimulationLane(mutation: mutation?.sql) }
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
        let start = Self.environment["SIMULATION_START"].flatMap(UInt64.init) ?? (TestSeed.next() & 0xFFFF_FFFF) << 20
        let failures = try await withThrowingTaskGroup(of: [Failure].self) { group in
            for lane in 0..<Self.lanes {
                let seeds = stride(from: lane, to: count, by: Self.lanes).map { start + UInt64($0) }
                group.addTask { try await run(seeds, limit: 3) }
            }
            return try await group.reduce(into: [Failure]()) { $0 += $1 }
        }
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test("It finds a mistake", arguments: SimulationMutation.all.indices)
    func findsMistake(_ place: Int) async throws {
        let mutation = SimulationMutation.all[place]
        let name = mutation.name
        let failures = try await run((0..<1000).map { UInt64($0) }, mutation: mutation)
        let found = try #require(failures.first, "\(name) was not found")
        #expect(!found.isError, "\(name): \(found)")
    }
}
