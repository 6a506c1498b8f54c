import EventLoop
import HTTP

/// A connection's reading side: octets into heads and body pieces. It reads from the socket only when asked, so a
/// client is held up by TCP while its request is being handled; what it holds is at most one read buffer's worth.
struct ConnectionInput {
    /// What one attempt at a head gave.
    enum Step {
        case head(HTTPRequestHead)
        case fault(RequestFault)
        /// Octets came, but no head is complete.
        case progress
        /// There is nothing now.
        case blocked
        case end
    }

    private var parser: RequestParser
    /// Octets behind the end of the current request: pipelined ones.
    private var pending: [UInt8] = []
    private var pendingStart = 0
    /// Octets of the current body that have come and were not asked for yet.
    private var body: [UInt8] = []
    private(set) var isBodyComplete = true
    private(set) var fault: RequestFault?
    /// The client will send no more.
    private(set) var hasEnded = false

    init(limits: RequestParserLimits) {
        parser = RequestParser(limits: limits)
    }

    /// A head has begun to come.
    var isInHead: Bool { parser.isInHead }
    /// Octets beyond the current request have come already.
    var hasPipelined: Bool { pendingStart < pending.count }
    /// Nothing of a further request has come.
    var isIdle: Bool { !hasPipelined && parser.isBetweenRequests }
    var hasBodyOctets: Bool { !body.isEmpty }

    /// Takes the octets of the body that have come.
    mutating func takeBody() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &body)
        return taken
    }

    /// Takes the octets beyond the current request: what comes first in another protocol.
    mutating func takePipelined() -> [UInt8] {
        let taken = Array(pending[pendingStart...])
        pending = []
        pendingStart = 0
        return taken
    }

    /// A head from what was pipelined.
    mutating func nextPipelined() -> Step {
        guard hasPipelined else { return .blocked }
        let octets = pending
        var position = pendingStart
        let head = absorb(octets, at: &position, to: octets.count)
        pendingStart = position
        if position == octets.count {
            pending = []
            pendingStart = 0
        }
        return step(head)
    }

    /// Reads what is there now into `buffer`, which is the loop's, and parses it. The call does not suspend, and
    /// nothing of the buffer is kept.
    mutating func read(_ socket: ConnectionSocket, _ buffer: inout [UInt8]) -> Step {
        switch socket.receive(into: &buffer) {
        case .octets(let count):
            var position = 0
            let head = absorb(buffer, at: &position, to: count)
            if position < count, fault == nil {
                pending = Array(buffer[position..<count])
                pendingStart = 0
            }
            return step(head)
        case .blocked: return .blocked
        case .end, .failed:
            hasEnded = true
            return .end
        }
    }

    private func step(_ head: HTTPRequestHead?) -> Step {
        if let head { return .head(head) }
        if let fault { return .fault(fault) }
        return .progress
    }

    /// Parses up to the end of the current request, or of the octets.
    private mutating func absorb(_ octets: [UInt8], at position: inout Int, to end: Int) -> HTTPRequestHead? {
        var head: HTTPRequestHead?
        do throws(RequestFault) {
            while true {
                switch try parser.next(in: octets, at: &position, to: end) {
                case .needsInput: return head
                case .head(let complete):
                    head = complete
                    isBodyComplete = false
                case .body(let range): body.append(contentsOf: octets[range])
                case .end:
                    isBodyComplete = true
                    return head
                }
            }
        } catch {
            fault = error
            return head
        }
    }
}
