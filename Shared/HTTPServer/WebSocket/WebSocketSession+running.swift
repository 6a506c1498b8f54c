import EventLoop
import HTTP
import Observability

extension WebSocketSession {
    /// Runs the handler and closes, to the end of the connection.
    nonisolated(nonsending) func run(_ upgrade: WebSocketUpgrade) async {
        instruments.open.add(1)
        let began = loop.now
        let bound = LoopBound(self, to: loop)
        await withDiscardingTaskGroup { group in
            group.addTask(executorPreference: loop) { await bound.value.runFlusher() }
            var failure: (any Error)?
            do {
                try await upgrade.handler(WebSocket(bound, subprotocol: upgrade.handshake.subprotocol))
            } catch {
                failure = error
            }
            group.addTask(executorPreference: loop) { await bound.value.limitClosing() }
            await close(after: failure)
            finish()
            group.cancelAll()
        }
        instruments.open.add(-1)
        instruments.ended(closeCode)
        AccessLog.record(request, ended: closeCode, after: loop.now - began)
    }

    /// The code that the connection ended with: the client's where it closed first; nil without a close frame.
    private var closeCode: WebSocketCloseCode? {
        if let sentClose, end != nil || peerClose == nil { return sentClose.code }
        return peerClose?.code ?? sentClose?.code
    }

    /// Ends the closing handshake when its time is over.
    private func limitClosing() async {
        guard (try? await loop.sleep(for: options.closeTimeout)) != nil else { return }
        breakOff()
        socket.close()
    }

    private nonisolated(nonsending) func close(after failure: (any Error)?) async {
        guard !isBroken, end != .gone else { return }
        let (close, problem) = farewell(failure)
        if let problem { append(WebSocketMessage(.text, problem.body())) }
        WebSocketWriter.append(close, to: &output)
        sentClose = close
        await flush()
        guard !isBroken, !Task.isCancelled else { return }
        if case .fault = end { socket.shutdownWrite() }
        if peerClose == nil { await awaitPeerClose() }
        if !isBroken { socket.shutdownWrite() }
    }

    /// How the connection is closed, and the problem that is told before.
    private func farewell(_ failure: (any Error)?) -> (WebSocketClose, Problem?) {
        var problem: Problem?
        if let failure, !(failure is WebSocketEnd) {
            problem = ProblemMapping.problem(for: failure, request).withRetryAfter
        }
        switch end {
        case .fault(let fault): return (WebSocketClose(fault.code, fault.reason), problem)
        case .timedOut: return (WebSocketClose(.policyViolation, "the client was silent, or too slow"), problem)
        case .cancelled: return (WebSocketClose(.goingAway, "the server stops"), nil)
        case .gone, nil: break
        }
        if let problem { return (WebSocketClose(WebSocketCloseCode(problem), problem.code.name), problem) }
        if let peerClose { return (WebSocketClose(peerClose.code), nil) }
        return isDraining ? (WebSocketClose(.goingAway, "the server stops"), nil) : (WebSocketClose(.normal), nil)
    }
}
