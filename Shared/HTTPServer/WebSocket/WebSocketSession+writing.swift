import EventLoop
import HTTP
import Observability

/// The writing side. Frames are put at the end of `output`, and the kernel takes what it has room for at once; for the
/// rest there is a task of its own, the flusher, so that a sender that is cancelled cuts no frame in two, and the one
/// who receives can owe a pong without waiting for the client to read.
extension WebSocketSession {
    nonisolated(nonsending) func send(_ message: WebSocketMessage) async throws(WebSocketEnd) {
        guard !isBroken, sentClose == nil else { throw .gone }
        append(message)
        try await push()
    }

    func append(_ message: WebSocketMessage) {
        writer.append(message, to: &output)
        instruments.sent.add(1)
        instruments.sentOctets.add(message.octets.count)
    }

    /// Has the output sent, and waits while there is more of it than the buffer may hold.
    nonisolated(nonsending) func push() async throws(WebSocketEnd) {
        startFlush()
        while output.count > options.sendBuffer, !isBroken {
            await withCheckedContinuation { waitingSenders.append($0) }
        }
        if isBroken { throw .gone }
    }

    /// Waits until all of the output is sent, or the connection is broken.
    nonisolated(nonsending) func flush() async {
        startFlush()
        while isFlushing, !isBroken { await withCheckedContinuation { waitingSenders.append($0) } }
    }

    /// Sends what there is room for, without waiting.
    func startFlush() {
        guard !isFlushing, !isBroken, !output.isEmpty else { return }
        switch socket.trySend(output) {
        case .octets(output.count): output.removeAll(keepingCapacity: output.count < 1024)
        case .octets(let count):
            output.removeFirst(count)
            wakeFlusher()
        case .blocked: wakeFlusher()
        case .failed: breakOff()
        }
    }

    /// Nothing can be sent any more.
    func breakOff() {
        isBroken = true
        output = []
        wakeSenders()
    }

    /// The handler and what follows it have ended: the flusher may go.
    func finish() {
        isFinished = true
        waitingFlusher.take()?.resume()
    }

    private func wakeFlusher() {
        isFlushing = true
        waitingFlusher.take()?.resume()
    }

    private func wakeSenders() {
        let waiting = waitingSenders
        waitingSenders = []
        for sender in waiting { sender.resume() }
    }

    /// The flusher's task.
    nonisolated(nonsending) func runFlusher() async {
        while !isFinished {
            if isFlushing {
                await sendOutput()
            } else {
                await withCheckedContinuation { waitingFlusher = $0 }
            }
        }
    }

    private nonisolated(nonsending) func sendOutput() async {
        var octets: [UInt8] = []
        swap(&octets, &output)
        var pace = connection.server.settings.writePace
        do {
            try await socket.send(octets, &pace)
        } catch {
            breakOff()
        }
        if output.isEmpty { isFlushing = false }
        wakeSenders()
    }
}
