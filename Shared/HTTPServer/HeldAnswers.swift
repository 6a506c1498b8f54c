import Buffers
import EventLoop

/// Answers of one loop that wait for the end of its turn, one behind the other in one buffer.
///
/// A write wakes the client, and where that shares the processor it takes over at once: writes between requests cost
/// the loop its processor, and its caches, again and again. So small whole answers of a turn are written together at
/// its end, and those to pipelined requests in one write. Once the turn has lasted `patience` they are held no longer
/// than there are pipelined requests to answer.
struct HeldAnswers: ~Copyable {
    /// Octets of one connection's answers, from the end of the piece before it on.
    private struct Piece {
        let connection: Connection
        var end: Int
    }

    var octets = OctetBuffer(capacity: 16 * 1024)
    private var pieces: [Piece] = []

    /// How long a turn may last for its answers to be held; and how long they may, thus, take longer to leave.
    static let patience = LoopInterval(.milliseconds(1))
    /// Octets that are worth writing before there are more.
    static let limit = 256 * 1024

    /// What has been appended to `octets` since the last piece is an answer of this connection.
    mutating func close(_ connection: Connection) {
        if let last = pieces.last, last.connection === connection {
            pieces[pieces.count - 1].end = octets.count
        } else {
            pieces.append(Piece(connection: connection, end: octets.count))
        }
    }

    /// Has each connection send what is its, and forgets it.
    mutating func send() {
        var start = 0
        for piece in pieces {
            piece.connection.sendHeld(octets, start..<piece.end)
            start = piece.end
        }
        pieces.removeAll(keepingCapacity: true)
        octets.removeAll()
    }
}
