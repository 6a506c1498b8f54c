import Configuration
import EventLoop
import HTTP
import HTTPServer
import Lifecycle
import Observability
import Platform
import Testing

@Suite("Platform: what a container's health check asks")
struct HealthProbeTests {
    /// What the probe finds at a server that is ready unless `fault` says why not; nil when it is content.
    private func probe(fault: String? = nil, host: String = "127.0.0.1") async throws -> String? {
        let loops = try EventLoopGroup(count: 1, name: "probe-test")
        defer { loops.shutdown() }
        let metrics = MetricsRegistry()
        let check = ReadinessCheck("database") { if let fault { throw Problem(.databaseUnavailable, fault) } }
        let routes = StandardRoutes.adding(to: [], title: "test", version: "1", readiness: [check], metrics: metrics)
        let server = HTTPServer(
            name: "test", port: 0, router: Router(routes: routes), loops: loops, logger: Logger.silent,
            metrics: metrics)
        let port = try server.bind()
        let probe = try HealthProbe("ingest", port: port, Environment(["MILLRACE_HOST": host]))
        return await withThrowingTaskGroup(of: Void.self) { group -> String? in
            let shutdown = ShutdownSignal()
            group.addTask { try await server.run(until: shutdown) }
            defer { shutdown.request() }
            return await ask(probe)
        }
    }

    /// What is wrong; nil when nothing is. The probe blocks its thread, which must not be one that the server runs on.
    private func ask(_ probe: HealthProbe) async -> String? {
        await BlockingCalls.run {
            do {
                try probe.ask()
                return nil
            } catch {
                return "\(error)"
            }
        }
    }

    @Test("A service that is ready passes, also where it listens on every address")
    func ready() async throws {
        #expect(try await probe() == nil)
        #expect(try await probe(host: "0.0.0.0") == nil)
    }

    @Test("One that is not is said with the status and the reason")
    func notReady() async throws {
        let said = try #require(await probe(fault: "it is away"))
        #expect(said.contains("503") && said.contains("it is away") && said.contains("database"))
    }

    @Test("The port is the service's own setting, then the common one, then its default; wrong ones are refused")
    func ports() async throws {
        func place(_ variables: [String: String]) async throws -> String {
            await ask(try HealthProbe("ingest", port: 3, Environment(variables))) ?? "an answer"
        }
        let both = ["MILLRACE_INGEST_PORT": "1", "MILLRACE_LISTEN_PORT": "2", "MILLRACE_STORE_PORT": "4"]
        #expect(try await place(both).hasPrefix("127.0.0.1 port 1: cannot connect"))
        #expect(try await place(["MILLRACE_LISTEN_PORT": "2"]).hasPrefix("127.0.0.1 port 2: "))
        #expect(try await place(["MILLRACE_HOST": "::"]).hasPrefix("::1 port 3: "))
        await #expect(throws: ConfigurationError.self) { try await place(["MILLRACE_INGEST_PORT": "many"]) }
    }

    @Test("A service that takes the connection and says nothing fails after the probe's patience, not later")
    func silent() async throws {
        let loops = try EventLoopGroup(count: 1, name: "probe-test")
        defer { loops.shutdown() }
        // Bound and never run: the kernel accepts, nobody answers.
        let server = HTTPServer(
            name: "test", port: 0, router: Router(routes: []), loops: loops, logger: Logger.silent,
            metrics: MetricsRegistry())
        let probe = try HealthProbe("ingest", port: server.bind(), Environment([:]))
        let begun = ContinuousClock.now
        #expect(await ask(probe)?.contains("no answer within") == true)
        #expect(begun.duration(to: .now) < .seconds(10))
    }
}
