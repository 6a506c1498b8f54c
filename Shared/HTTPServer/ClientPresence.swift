import EventLoop

extension RequestContext {
    /// Returns when the client has gone, so that work nobody waits for can be ended; or when the task is cancelled.
    ///
    /// To be called once the request's body has been read. A client that has only shut down its sending side counts
    /// as gone: the two cannot be told apart.
    public func clientGone() async { await clientGone(orDrain: false) }

    /// The same, and also when the server is asked to stop, which an endless answer would hold up.
    func clientGoneOrDraining() async { await clientGone(orDrain: true) }

    private func clientGone(orDrain: Bool) async {
        guard let connection else {
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
            return
        }
        await connection.loop.run { await connection.value.awaitClientEnd(during: serial, orDrain: orDrain) }
    }
}

extension Connection {
    /// Looks at the socket without reading it: what comes meanwhile belongs to the next request.
    func awaitClientEnd(during request: Int, orDrain: Bool) async {
        while request == serial, !Task.isCancelled {
            if input.hasEnded || socket.hasPeerEnded || orDrain && server.isDraining { return }
            do throws(ConnectionSocket.Failure) {
                try await socket.waitReadable(until: loop.now + LoopInterval(.seconds(3600)))
            } catch {
                if error == .gone { return }
            }
        }
    }
}
