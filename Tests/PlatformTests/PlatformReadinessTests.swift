import HTTP
import Lifecycle
import Migrations
import Observability
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import HTTPServer
@testable import Platform

@Suite struct PlatformReadinessTests {
    private func finding(of check: ReadinessCheck) async -> Readiness.Finding {
        // Longer than a service has: beside these tests others keep the machine busy.
        await Readiness.findings(of: [check], within: .seconds(60))[0]
    }

    private func migrated() async throws -> TestDatabase {
        try await TemporaryPostgres.shared().database(template: "platform") { url in
            try await withRunningPool(try PostgresConfiguration(url: url)) {
                _ = try await Migrator(logger: .silent).run($0)
            }
        }
    }

    @Test func aDatabaseOfThisBuildIsReady() async throws {
        try await migrated().withPool { pool in
            let finding = await finding(of: SchemaMonitor(pool: pool).readinessCheck)
            #expect(!finding.isFailed && finding.message == nil)
        }
    }

    @Test func whatADatabaseLacksIsNamed() async throws {
        let empty = try await TemporaryPostgres.shared().database()
        try await empty.withPool { pool in
            let finding = await finding(of: SchemaMonitor(pool: pool).readinessCheck)
            #expect(finding.isFailed && finding.message?.contains("0001_catalog.sql and ") == true)
        }
        try await migrated().withPool { pool in
            try await pool.withConnection {
                try await $0.execute(script: "delete from millrace.migration where name >= '0028'")
            }
            let state = try await SchemaState.read(pool)
            let finding = await finding(of: SchemaMonitor(pool: pool).readinessCheck)
            #expect(finding.isFailed && state.missing.first == "0028_dashboards.sql" && state.unknown.isEmpty)
            #expect(
                finding.message == "the database lacks 0028_dashboards.sql and \(state.missing.count - 1) more: "
                    + "run millrace-store migrate")
        }
    }

    /// Old processes go on while a new version is rolled out, and say so.
    @Test func aDatabaseThatIsAheadIsReady() async throws {
        try await migrated().withPool { pool in
            try await pool.withConnection {
                try await $0.execute(script: "insert into millrace.migration values ('9999_later.sql', '')")
            }
            let finding = await finding(of: SchemaMonitor(pool: pool).readinessCheck)
            #expect(!finding.isFailed && finding.message?.contains("9999_later.sql") == true)
        }
    }

    /// Asked again only after a minute while all is well, and soon while something is missing.
    @Test func whatIsWellIsRemembered() async throws {
        try await migrated().withPool { pool in
            let monitor = SchemaMonitor(pool: pool)
            #expect(await !finding(of: monitor.readinessCheck).isFailed)
            try await pool.withConnection { try await $0.execute(script: "delete from millrace.migration") }
            #expect(await !finding(of: monitor.readinessCheck).isFailed)
            #expect(await finding(of: SchemaMonitor(pool: pool).readinessCheck).isFailed)
        }
    }

    private final class Probe: Service {
        let name = "probe"
        let began = Mutex(false)

        func run(until shutdown: ShutdownSignal) async throws {
            began.withLock { $0 = true }
            await shutdown.requested()
        }
    }

    /// Also before the first migration, and it stops while it waits.
    @Test func whatWorksBeginsOnceTheSchemaIsThere() async throws {
        let empty = try await TemporaryPostgres.shared().database()
        try await empty.withPool { pool in
            let (probe, stopped) = (Probe(), Probe())
            func waiting(_ probe: Probe) -> AwaitingMigrations {
                AwaitingMigrations(service: probe, schema: SchemaMonitor(pool: pool), logger: .silent)
            }
            let (shutdown, early) = (ShutdownSignal(), ShutdownSignal())
            early.request()
            try await waiting(stopped).run(until: early)
            async let running: Void = waiting(probe).run(until: shutdown)
            try await Task.sleep(for: .milliseconds(1500))
            #expect(!probe.began.withLock { $0 })
            _ = try await Migrator(logger: .silent).run(pool)
            while !probe.began.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(20)) }
            shutdown.request()
            try await running
        }
    }

    @Test func aDatabaseThatIsAwayIsToldOfWithinTheLimit() async throws {
        var configuration = try PostgresConfiguration(url: "postgresql://nobody@/nothing?host=/nonexistent/millrace")
        configuration.unavailableTimeout = .milliseconds(500)
        try await withRunningPool(configuration) { pool in
            let began = ContinuousClock.now
            #expect(pool.isAvailable, "nobody has asked yet")
            await pool.refreshAvailability()
            #expect(!pool.isAvailable)
            let schema = await finding(of: SchemaMonitor(pool: pool).readinessCheck)
            #expect(schema.isFailed && ContinuousClock.now - began < .seconds(30))
            let database = await finding(of: .database(pool))
            #expect(database.isFailed && database.message?.hasPrefix("the database cannot be reached: ") == true)
            #expect(await !finding(of: .pool(pool)).isFailed, "a pool that is not asked is not exhausted")
        }
    }

    @Test func aPoolThatHasNoPlaceLeftIsNotReady() async throws {
        var configuration = try await migrated().configuration(poolSize: 1)
        configuration.maximumWaiters = 2
        let metrics = MetricsRegistry()
        try await withRunningPool(configuration, metrics: metrics) { pool in
            let (held, released) = (AsyncStream<Void>.makeStream(), AsyncStream<Void>.makeStream())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await pool.withConnection { _ in
                        held.continuation.yield()
                        for await _ in released.stream { break }
                    }
                }
                for await _ in held.stream { break }
                #expect(await finding(of: .pool(pool)).message == nil, "it is in use, and nobody waits")
                group.addTask { try await pool.withConnection { _ in } }
                while pool.load.waiting < 1 { await Task.yield() }
                let busy = await finding(of: .pool(pool))
                #expect(busy.message == "1 tasks wait for one of 1 connections, 1 of them in use" && !busy.isFailed)
                group.addTask { try await pool.withConnection { _ in } }
                while pool.load.waiting < 2 { await Task.yield() }
                let full = await finding(of: .pool(pool))
                #expect(full.isFailed && full.message?.contains("2 tasks wait") == true)
                await #expect(throws: PostgresError.self) { try await pool.withConnection { _ in } }
                released.continuation.finish()
                try await group.waitForAll()
            }
            let text = String(decoding: metrics.render(), as: UTF8.self)
            #expect(text.contains(#"millrace_postgres_refused_total{pool="postgres",reason="exhausted"} 1"#))
            #expect(text.contains(#"millrace_postgres_connections_max{pool="postgres"} 1"#))
        }
    }
}
