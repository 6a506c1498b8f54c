import Access
import Catalog
import HTTP
import Observability
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// What a process remembers of endpoints while others change them.
    @Suite struct EndpointDirectoryTests {
        private final class Clock: Sendable {
            private let instant = Mutex(ContinuousClock.now)
            var now: ContinuousClock.Instant { instant.withLock { $0 } }
            func pass(_ time: Duration) { instant.withLock { $0 += time } }
        }

        @Test func changesElsewhereAreSeenWithinTheLifetimeAndOwnOnesAtOnce() async throws {
            try await QueryServer.run { server in
                try await server.database.withPool { pool in
                    let clock = Clock()
                    let store = DefinitionStore<StoredEndpoint>(pool: pool)
                    let metrics = EndpointMetrics(MetricsRegistry())
                    let directory = EndpointDirectory(store: store, metrics: metrics) { clock.now }
                    let name = try #require(ResourceName("one"))
                    let principal = Principal(workspaceID: 1, workspace: "default", keyID: 1, scopes: .administrator)
                    func version() async throws -> Int32 { try await directory.endpoint(name, for: principal).version }
                    _ = try await server.put("one", "select 1 as a")
                    #expect(try await version() == 1)
                    // The server stands for another process.
                    _ = try await server.put("one", "select 2 as a")
                    clock.pass(EndpointDirectory.lifetime / 2 - .milliseconds(1))
                    #expect(try await version() == 1)
                    clock.pass(.milliseconds(1))
                    #expect(try await version() == 2)
                    _ = try await server.put("one", "select 3 as a")
                    #expect(try await version() == 2)
                    directory.forget(name, workspaceID: 1)
                    #expect(try await version() == 3)
                    _ = try await server.send("DELETE", "/v1/endpoints/one")
                    clock.pass(EndpointDirectory.lifetime)
                    let problem = await #expect(throws: Problem.self) { try await version() }
                    #expect(problem?.code == .notFound)
                }
            }
        }

        @Test func seriesOfTheirOwnAreBounded() {
            let registry = MetricsRegistry()
            let metrics = EndpointMetrics(registry)
            for number in 0..<1000 {
                metrics.calls(workspace: "default", endpoint: "e\(number)").count(.ok, since: .now)
            }
            let text = String(decoding: registry.render(), as: UTF8.self)
            let series = text.split(separator: "\n").filter { $0.hasPrefix("millrace_endpoint_calls_total{") }
            #expect(series.count == 4 * (EndpointMetrics.ownSeries + 1))
            #expect(text.contains(#"endpoint="overflow",status="200"} 600"#))
        }
    }
}
