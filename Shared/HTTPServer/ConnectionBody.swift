import EventLoop
import HTTP

/// A connection as its requests know it, wherever they are handled.
final class ConnectionReference: Sendable {
    private let connection: LoopBound<Connection>

    /// Must be called on the connection's loop.
    init(_ connection: Connection) { self.connection = LoopBound(connection, to: connection.loop) }

    var loop: EventLoop { connection.loop }
    /// Traps on any other thread than the loop's.
    var value: Connection { connection.value }
}

/// A request's body as its handler sees it, wherever that runs: reading goes on on the connection's loop.
final class ConnectionBody: RequestBodySource {
    private let connection: ConnectionReference
    private let serial: Int

    init(_ connection: ConnectionReference, _ serial: Int) {
        self.connection = connection
        self.serial = serial
    }

    nonisolated(nonsending) func next() async throws(Problem) -> [UInt8]? {
        if connection.loop.isCurrent { return try await connection.value.nextPiece(of: serial) }
        let result: Result<[UInt8]?, Problem> = await connection.loop.run {
            do throws(Problem) {
                return .success(try await connection.value.nextPiece(of: serial))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}

/// Where a handler's stream goes, wherever the handler runs.
struct ConnectionSink: ResponseSink {
    private let connection: ConnectionReference
    private let serial: Int

    init(_ connection: ConnectionReference, _ serial: Int) {
        self.connection = connection
        self.serial = serial
    }

    func write(_ bytes: [UInt8]) async throws {
        if connection.loop.isCurrent {
            try await connection.value.writePiece(bytes, of: serial)
        } else {
            try await connection.loop.run { try await connection.value.writePiece(bytes, of: serial) }
        }
    }
}
