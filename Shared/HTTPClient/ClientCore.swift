import EventLoop
import HTTP
import Observability

/// The part of a client that only its loop's thread touches: places, names, and the engine while it runs.
final class ClientCore {
    let loop: EventLoop
    private let settings: HTTPClientSettings
    private let metrics: HTTPClientMetrics
    private let logger: Logger
    private let names: NameCache
    private var slots: TransferSlots
    private var waiters: [Int: LoopWaiter] = [:]
    private var engine: TransferEngine?

    init(
        on loop: EventLoop, settings: HTTPClientSettings, resolver: any NameResolver, logger: Logger,
        metrics: HTTPClientMetrics
    ) {
        self.loop = loop
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
        names = NameCache(
            on: loop, resolver: resolver, lifetime: settings.nameLifetime, lookups: settings.lookups)
        slots = TransferSlots(
            total: settings.transfers, perOrigin: settings.transfersPerOrigin, waiting: settings.waiting)
    }

    // MARK: Requests

    /// Starts a transfer once there is a place for it and its host has an address. `end` gives the place back.
    nonisolated(nonsending) func begin(
        _ request: ClientRequest, to url: RequestURL, until deadline: LoopTime
    ) async throws(HTTPClientError) -> Transfer {
        try await acquire(url.origin, until: deadline)
        do throws(HTTPClientError) {
            // A short request could be over before anything is waited for.
            if Task.isCancelled { throw ClientCore.cancelled }
            let limits = request.limits ?? settings.limits
            let connected = min(deadline, loop.now + LoopInterval(limits.connect))
            let addresses = url.literal == nil ? try await names.addresses(of: url.host, until: connected) : []
            guard let engine else { throw ClientCore.ended }
            let now = LoopTime.now
            guard now < connected else { throw HTTPClientError(.timedOut, "there was no time left to connect") }
            let setup = TransferSetup(
                request, to: url, at: addresses, settings: settings, connect: connected - now, whole: deadline - now)
            let transfer = try Transfer(request, setup, on: engine)
            engine.start(transfer)
            return transfer
        } catch {
            release(url.origin)
            throw error
        }
    }

    /// The transfer is not needed any more; if it is under way it is cut off.
    func end(_ transfer: Transfer, to url: RequestURL) {
        transfer.abandon()
        release(url.origin)
    }

    func answered() { metrics.answered.add() }

    /// Notes that a request has failed.
    func failed(_ error: HTTPClientError) {
        metrics.failed(error.code)
        if error.code == .addressRefused {
            logger.warning("http_client.address_refused", ["error": .string(error.description)])
        }
    }

    private nonisolated(nonsending) func acquire(
        _ origin: String, until deadline: LoopTime
    ) async throws(HTTPClientError) {
        let id: Int
        switch slots.request(origin) {
        case .granted: return
        case .closed: throw ClientCore.ended
        case .overloaded: throw HTTPClientError(.overloaded, "\(settings.waiting) requests wait already")
        case .wait(let number): id = number
        }
        let waiter = LoopWaiter(on: loop)
        waiters[id] = waiter
        defer { waiters[id] = nil }
        do throws(EventLoopError) {
            try await waiter.wait(until: deadline)
        } catch {
            tell(slots.giveUp(id))
            if error == .timedOut { throw HTTPClientError(.timedOut, "no place became free in time") }
            throw ClientCore.cancelled
        }
        guard slots.claim(id) else { throw ClientCore.ended }
    }

    private func release(_ origin: String) { tell(slots.release(origin)) }

    private func tell(_ ids: [Int]) {
        for id in ids { waiters[id]?.wake() }
    }

    private static var cancelled: HTTPClientError { HTTPClientError(.cancelled, "the task was cancelled") }
    private static var ended: HTTPClientError { HTTPClientError(.closed, "the client has ended") }

    // MARK: Running

    /// Serves requests until `drain` and until none is under way, or until the task is cancelled. Runs once.
    /// Errors: `.library`.
    nonisolated(nonsending) func run() async throws(HTTPClientError) {
        precondition(slots.phase != .open, "a client runs once")
        defer { close() }
        let engine = try TransferEngine(on: loop, idleConnections: settings.idleConnections, metrics: metrics)
        self.engine = engine
        tell(slots.open())
        await engine.run()
        self.engine = nil
        engine.close()
    }

    /// Takes no more requests; those that wait for a place fail.
    func drain() {
        close()
        engine?.drain()
    }

    private func close() { tell(slots.close()) }
}
