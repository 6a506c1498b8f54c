import EventLoop
import Observability

/// Drives libcurl on one loop: starts transfers, tells it what is ready and what is due, and takes back what is over.
///
/// Each turn does a bounded amount of work and then lets the loop go on: what libcurl is told of stays ready, since its
/// descriptors are level-triggered.
final class TransferEngine {
    /// Transfers started in one turn: each opens a connection.
    private static let startsPerTurn = 16
    /// After this long a turn ends, though more is ready; a TLS handshake takes about as long.
    private static let turnTime = LoopInterval(.milliseconds(2))

    let loop: EventLoop
    let metrics: HTTPClientMetrics
    private let set: DescriptorSet
    private let multi: MultiHandle
    /// Those that libcurl knows and must not lose.
    private var transfers: [ObjectIdentifier: Transfer] = [:]
    private var starting: [Transfer] = []
    private var events: [DescriptorSet.Event] = []
    private var isDraining = false
    private var isBroken = false

    /// Errors: `.library`.
    init(on loop: EventLoop, idleConnections: Int, metrics: HTTPClientMetrics) throws(HTTPClientError) {
        let set: DescriptorSet
        do throws(EventLoopError) {
            set = try DescriptorSet(on: loop)
        } catch {
            throw HTTPClientError(.library, "the client cannot watch its connections: \(error)")
        }
        do throws(HTTPClientError) {
            multi = try MultiHandle(watchedBy: set, idleConnections: idleConnections)
        } catch {
            set.close()
            throw error
        }
        self.set = set
        self.loop = loop
        self.metrics = metrics
    }

    /// Has the transfer started in one of the next turns.
    func start(_ transfer: Transfer) {
        starting.append(transfer)
        metrics.transfers.add(1)
        wake()
    }

    /// Ends a transfer that is not over yet.
    func abandon(_ transfer: Transfer, _ error: HTTPClientError) {
        if let index = starting.firstIndex(where: { $0 === transfer }) {
            starting.remove(at: index)
            metrics.transfers.add(-1)
        } else {
            release(transfer)
        }
        transfer.finish(.failure(error))
    }

    func wake() { set.wake() }

    /// No more transfers will be started; `run` returns when there are none.
    func drain() {
        isDraining = true
        wake()
    }

    /// Works until `drain` and until all is done, or until the task is cancelled; what is left then fails.
    nonisolated(nonsending) func run() async {
        while !isBroken, !(isDraining && transfers.isEmpty && starting.isEmpty) {
            do throws(EventLoopError) {
                let hasWork = !starting.isEmpty || !events.isEmpty
                try await set.wait(until: hasWork ? .now : multi.deadline)
            } catch {
                if error != .timedOut { break }
            }
            turn()
        }
        let end = HTTPClientError(
            isBroken ? .library : .closed, isBroken ? "libcurl is broken" : "the client has ended")
        for transfer in starting + Array(transfers.values) { abandon(transfer, end) }
    }

    /// Closes all connections. The transfers are over.
    func close() { multi.close() }

    private func turn() {
        let end = LoopTime.now + TransferEngine.turnTime
        begin()
        if multi.deadline <= .now, !multi.actOnTime() { isBroken = true }
        if events.isEmpty { set.take(into: &events) }
        var done = 0
        while done < events.count, done == 0 || LoopTime.now < end {
            if !multi.act(on: events[done]) { isBroken = true }
            done += 1
        }
        events.removeFirst(done)
        while let (transfer, code) = multi.nextFinished() {
            release(transfer)
            transfer.finish(libcurl: code)
        }
    }

    private func begin() {
        for transfer in starting.prefix(TransferEngine.startsPerTurn) {
            transfers[ObjectIdentifier(transfer)] = transfer
            if !transfer.add(to: multi) {
                release(transfer)
                transfer.finish(.failure(HTTPClientError(.library, "libcurl refuses the transfer")))
            }
        }
        starting.removeFirst(min(starting.count, TransferEngine.startsPerTurn))
    }

    /// Takes a transfer away from libcurl; from here on it does not call it back.
    private func release(_ transfer: Transfer) {
        guard transfers.removeValue(forKey: ObjectIdentifier(transfer)) != nil else { return }
        transfer.remove(from: multi)
        metrics.transfers.add(-1)
    }
}
