import Foundation
import Synchronization

/// Stands between clients and a cluster's socket and lets a test make the network fail.
///
/// It listens in a directory of its own, with two threads a connection. Stop it when done.
public final class FaultProxy: Sendable {
    public enum Fault: Sendable {
        case none
        /// Nothing is passed on, and nothing is closed: a network that is gone.
        case stalled
        /// The server's next answer is swallowed and both sides are closed; then back to `none`.
        case dropNextAnswer
    }

    private struct State {
        var fault = Fault.none
        var sockets: [Int: UnixSocket] = [:]
        var nextSocket = 0
        /// Connections up to this one are frozen.
        var frozen = 0
        var stopped = false
    }

    private let directory: String
    private let server: String
    private let listener: UnixSocket
    private let state = Mutex(State())

    public static func start(to cluster: TemporaryPostgres) throws -> FaultProxy {
        let proxy = try FaultProxy(cluster)
        Thread.detachNewThread { proxy.acceptAll() }
        return proxy
    }

    private init(_ cluster: TemporaryPostgres) throws {
        directory = "/tmp/millrace-proxy.\(getpid()).\(UniqueName.next())"
        server = cluster.directory + "/.s.PGSQL.\(cluster.port)"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        listener = try UnixSocket.listening(at: directory + "/.s.PGSQL.5432")
    }

    /// The database's URL through this proxy.
    public func url(of database: TestDatabase) -> String {
        "postgres://\(TemporaryPostgres.role)@/\(database.name)?host=\(directory)&port=5432"
    }

    public func set(_ fault: Fault) {
        state.withLock { $0.fault = fault }
    }

    /// Lets the connections that are open now hang for good, half-open: nothing passes, nothing is closed. New ones
    /// work.
    public func freeze() {
        state.withLock { $0.frozen = $0.nextSocket }
    }

    /// Closes all connections that are open now.
    public func cut() {
        for socket in state.withLock({ $0.sockets }).values { socket.shutDown() }
    }

    public func stop() {
        state.withLock { $0.stopped = true }
        listener.shutDown()
        cut()
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func acceptAll() {
        while let client = listener.accepted() {
            guard let upstream = try? UnixSocket.connected(to: server) else {
                client.close()
                continue
            }
            let ids = state.withLock { state in
                state.nextSocket += 2
                state.sockets[state.nextSocket] = client
                state.sockets[state.nextSocket + 1] = upstream
                return state.nextSocket
            }
            let ends = PairEnd()
            Thread.detachNewThread {
                self.pump(client, upstream, ids, answers: false)
                self.end(ids, ends)
            }
            Thread.detachNewThread {
                self.pump(upstream, client, ids, answers: true)
                self.end(ids, ends)
            }
        }
        listener.close()
    }

    private func pump(_ source: UnixSocket, _ sink: UnixSocket, _ ids: Int, answers: Bool) {
        while true {
            let bytes = source.read()
            guard !bytes.isEmpty, passes(ids, answers), sink.write(bytes) else { break }
        }
        // The end, too, is not told over a frozen connection.
        while state.withLock({ ids <= $0.frozen && !$0.stopped }) { Thread.sleep(forTimeInterval: 0.005) }
        source.shutDown()
        sink.shutDown()
    }

    /// Whether the bytes just read may go on; waits while the network is gone.
    private func passes(_ ids: Int, _ answers: Bool) -> Bool {
        while true {
            let fault = state.withLock { state in
                let fault = ids <= state.frozen ? .stalled : state.fault
                if case .dropNextAnswer = fault, answers { state.fault = .none }
                return state.stopped ? .none : fault
            }
            switch fault {
            case .none: return true
            case .dropNextAnswer: return !answers
            case .stalled: Thread.sleep(forTimeInterval: 0.005)
            }
        }
    }

    /// The second of the two threads closes the sockets.
    private func end(_ ids: Int, _ ends: PairEnd) {
        guard ends.isSecond() else { return }
        let sockets = state.withLock { state in
            [state.sockets.removeValue(forKey: ids), state.sockets.removeValue(forKey: ids + 1)]
        }
        for socket in sockets { socket?.close() }
    }
}

/// Tells the second of two callers from the first.
private final class PairEnd: Sendable {
    private let count = Atomic(0)
    func isSecond() -> Bool { count.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == 2 }
}
