private import CLinux
public import Observability

/// Runs a process's services together: starts them in order, and stops them in reverse order when a signal arrives,
/// one of them ends or fails, or the surrounding task is cancelled.
public struct ServiceGroup: Sendable {
    private let services: [any Service]
    private let signals: [ProcessSignal]
    private let drain: Duration
    private let logger: Logger
    private let exit: @Sendable (CInt) -> Void

    /// `drain` is the hard deadline for all services together, from the request to stop; afterwards their tasks are
    /// cancelled, and a process whose services do not end even then is ended with status 1 after another fifth of it.
    /// A second signal ends the process at once.
    public init(
        services: [any Service], signals: [ProcessSignal] = [.term, .int], drain: Duration = .seconds(25),
        logger: Logger
    ) {
        self.init(services: services, signals: signals, drain: drain, logger: logger) { status in
            logger.sink.flush(within: .milliseconds(500))
            clinux_exit(status)
        }
    }

    /// With another way to end the process, for tests.
    init(
        services: [any Service], signals: [ProcessSignal], drain: Duration, logger: Logger,
        exit: @escaping @Sendable (CInt) -> Void
    ) {
        self.services = services
        self.signals = signals
        self.drain = drain
        self.logger = logger
        self.exit = exit
    }

    /// Returns when all services have ended after a request to stop.
    /// Errors: what the first failing service threw, else `LifecycleError`.
    public func run() async throws {
        let stop = ShutdownSignal()
        let watch = signals.isEmpty ? nil : try SignalWatch(signals) { signal in receive(signal, stop) }
        defer { watch?.end() }
        try await withTaskCancellationHandler {
            try await supervise(stop)
        } onCancel: {
            stop.request()
        }
    }

    private func receive(_ signal: ProcessSignal, _ stop: ShutdownSignal) {
        let number = LogValue.int(Int(signal.number))
        if stop.isRequested {
            logger.warning("a second signal ends the process at once", ["signal": number])
            exit(128 + signal.number)
        } else {
            logger.info("stopping on a signal", ["signal": number])
            stop.request()
        }
    }

    fileprivate enum Event: Sendable {
        case ended(Int, (any Error)?)
        case stopRequested
        case deadlinePassed
        case cancelled
    }

    /// Reacts to events one at a time: `Supervision` decides, this acts.
    private func supervise(_ stop: ShutdownSignal) async throws {
        let shutdowns = services.map { _ in ShutdownSignal() }
        let deadline = ShutdownSignal()
        var supervision = Supervision(names: services.map(\.name))
        var watchdog: Task<Void, Never>?
        await withTaskGroup(of: Event.self) { group in
            for (index, service) in services.enumerated() {
                logger.info("starting a service", ["service.name": .string(service.name)])
                group.addTask { await run(service, index, until: shutdowns[index]) }
            }
            group.addTask {
                await stop.requested()
                return stop.isRequested ? .stopRequested : .cancelled
            }
            while !supervision.isFinished, let event = await group.next() {
                log(event)
                // A service may end on the request before the request's own event comes.
                let stopping = stop.isRequested || Task.isCancelled
                let inputs = (stopping ? [.stopRequested] : []) + [event.input].compactMap { $0 }
                for action in inputs.flatMap({ supervision.react(to: $0) }) {
                    switch action {
                    case .stop(let index):
                        logger.info("stopping a service", ["service.name": .string(services[index].name)])
                        shutdowns[index].request()
                    case .startDeadline:
                        watchdog = startWatchdog(deadline)
                        group.addTask {
                            await deadline.requested()
                            return deadline.isRequested ? .deadlinePassed : .cancelled
                        }
                    case .cancelAll:
                        group.cancelAll()
                    }
                }
            }
            group.cancelAll()
        }
        watchdog?.cancel()
        if let error = supervision.failure { throw error }
    }

    /// The clock of the drain. Not a child of the group: cancelling the group must not stop it.
    private func startWatchdog(_ deadline: ShutdownSignal) -> Task<Void, Never> {
        Task {
            guard (try? await Task.sleep(for: drain)) != nil else { return }
            deadline.request()
            guard (try? await Task.sleep(for: drain / 5)) != nil else { return }
            logger.error("services did not end when cancelled; the process ends")
            exit(1)
        }
    }

    private func run(_ service: any Service, _ index: Int, until shutdown: ShutdownSignal) async -> Event {
        do {
            try await service.run(until: shutdown)
            return .ended(index, nil)
        } catch {
            return .ended(index, error)
        }
    }

    private func log(_ event: Event) {
        switch event {
        case .ended(let index, nil):
            logger.info("a service ended", ["service.name": .string(services[index].name)])
        case .ended(let index, let error?):
            logger.error(
                "a service failed",
                ["service.name": .string(services[index].name), "error": .describing(error)])
        case .deadlinePassed: logger.warning("the drain deadline passed")
        case .stopRequested, .cancelled: break
        }
    }
}

extension ServiceGroup.Event {
    fileprivate var input: Supervision.Input? {
        switch self {
        case .ended(let index, let error): .ended(index, error)
        case .stopRequested: .stopRequested
        case .deadlinePassed: .deadlinePassed
        case .cancelled: nil
        }
    }
}
