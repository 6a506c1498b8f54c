import Lifecycle
import Postgres
import Synchronization
import Testing

@testable import Platform

@Suite struct BoundedStatementsTests {
    private final class Probe: Service {
        let name = "probe"
        let found = Mutex<[Duration?]>([])

        func run(until shutdown: ShutdownSignal) async throws {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { self.found.withLock { $0.append(StatementLimit.current) } }
            }
        }
    }

    @Test func whatAServiceRunsIsBoundAndOthersAreNot() async throws {
        let probe = Probe()
        let bounded = BoundedStatements(service: probe, limit: .seconds(7))
        #expect(bounded.name == "probe")
        try await bounded.run(until: ShutdownSignal())
        try await probe.run(until: ShutdownSignal())
        #expect(probe.found.withLock { $0 } == [.seconds(7), nil])
    }
}
