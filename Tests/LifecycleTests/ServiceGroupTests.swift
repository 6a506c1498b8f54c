import Glibc
import Observability
import Synchronization
import Testing

@testable import Lifecycle

/// Signals belong to the process, so these run one after the other.
@Suite(.serialized) struct ServiceGroupTests {
    private final class Journal: Sendable {
        let entries = Mutex<[String]>([])
        func note(_ entry: String) { entries.withLock { $0.append(entry) } }
        var all: [String] { entries.withLock { $0 } }
    }

    private struct Stub: Service {
        let name: String
        let body: @Sendable (ShutdownSignal) async throws -> Void
        func run(until shutdown: ShutdownSignal) async throws { try await body(shutdown) }
    }

    private struct Failed: Error, Equatable {}

    private func orderly(_ name: String, _ journal: Journal, started: ShutdownSignal? = nil) -> Stub {
        Stub(name: name) { shutdown in
            started?.request()
            await shutdown.requested()
            journal.note(name)
        }
    }

    private func group(
        _ services: [any Service], signals: [ProcessSignal] = [], drain: Duration = .seconds(30),
        exit: @escaping @Sendable (CInt) -> Void = { _ in }
    ) -> ServiceGroup {
        ServiceGroup(services: services, signals: signals, drain: drain, logger: .silent, exit: exit)
    }

    @Test func aSignalStopsServicesInReverseOrder() async throws {
        let journal = Journal()
        let started = ShutdownSignal()
        let services = [orderly("a", journal), orderly("b", journal), orderly("c", journal, started: started)]
        async let running: Void = group(services, signals: [.user1]).run()
        await started.requested()
        kill(getpid(), SIGUSR1)
        try await running
        #expect(journal.all == ["c", "b", "a"])
    }

    @Test func aSecondSignalEndsTheProcess() async throws {
        let started = ShutdownSignal()
        let exited = ShutdownSignal()
        let status = Mutex<CInt?>(nil)
        let stubborn = Stub(name: "stubborn") { shutdown in
            started.request()
            await shutdown.requested()
            kill(getpid(), SIGUSR2)
            await exited.requested()
        }
        let all = group([stubborn], signals: [.user2]) { code in
            status.withLock { $0 = code }
            exited.request()
        }
        async let running: Void = all.run()
        await started.requested()
        kill(getpid(), SIGUSR2)
        try await running
        #expect(status.withLock { $0 } == 128 + SIGUSR2)
    }

    @Test func aFailingServiceStopsTheOthers() async {
        let journal = Journal()
        let failing = Stub(name: "failing") { _ in throw Failed() }
        await #expect(throws: Failed()) { try await group([orderly("a", journal), failing]).run() }
        #expect(journal.all == ["a"])
    }

    @Test func aServiceThatEndsEarlyStopsTheOthers() async {
        let journal = Journal()
        let brief = Stub(name: "brief") { _ in }
        await #expect(throws: LifecycleError.endedEarly(service: "brief")) {
            try await group([brief, orderly("b", journal)]).run()
        }
        #expect(journal.all == ["b"])
    }

    @Test func theDrainDeadlineCancels() async {
        let hanging = Stub(name: "hanging") { _ in try await Task.sleep(for: .seconds(3600)) }
        let brief = Stub(name: "brief") { _ in throw Failed() }
        await #expect(throws: Failed()) {
            try await group([hanging, brief], drain: .milliseconds(50)).run()
        }
    }

    @Test func aProcessWhoseServicesIgnoreCancellationEnds() async throws {
        let exited = ShutdownSignal()
        let deaf = Stub(name: "deaf") { _ in
            // Waits in a task of its own, which no cancellation reaches.
            await Task.detached { await exited.requested() }.value
        }
        let brief = Stub(name: "brief") { _ in }
        let status = Mutex<CInt?>(nil)
        let all = group([deaf, brief], drain: .milliseconds(50)) { code in
            status.withLock { $0 = code }
            exited.request()
        }
        await #expect(throws: LifecycleError.endedEarly(service: "brief")) { try await all.run() }
        #expect(status.withLock { $0 } == 1)
    }

    @Test func cancellingTheGroupStopsIt() async throws {
        let journal = Journal()
        let started = ShutdownSignal()
        let all = group([orderly("a", journal, started: started)])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await all.run() }
            await started.requested()
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
        #expect(journal.all == ["a"])
    }

    @Test func onlyOneGroupWatchesSignals() async throws {
        let watch = try SignalWatch([.user1]) { _ in }
        await #expect(throws: LifecycleError.signals(number: EBUSY)) {
            try await group([], signals: [.user2]).run()
        }
        watch.end()
        let again = try SignalWatch([.user1]) { _ in }
        again.end()
    }
}
