import EventLoop

/// Where a request came from, and may leave.
protocol ClientPresence: Sendable {
    /// Returns when the client has gone, or when the task is cancelled.
    func awaitEnd() async
    /// Returns when the client has gone, when the server drains, or when the task is cancelled.
    func awaitEndOrDrain() async
}

extension RequestContext {
    /// Returns when the client has gone, so that work nobody waits for can be ended; or when the task is cancelled.
    ///
    /// To be called once the request's body has been read. A client that has only shut down its sending side counts
    /// as gone: the two cannot be told apart.
    public func clientGone() async {
        if let presence { return await presence.awaitEnd() }
        await withoutEnd()
    }

    /// The same, and also when the server is asked to stop, which an endless answer would hold up.
    func clientGoneOrDraining() async {
        if let presence { return await presence.awaitEndOrDrain() }
        await withoutEnd()
    }

    private func withoutEnd() async {
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }
}

/// A request's connection, wherever its handler runs.
struct ConnectionPresence: ClientPresence {
    private let connection: LoopBound<Connection>
    private let serial: Int

    init(_ connection: LoopBound<Connection>, _ serial: Int) {
        self.connection = connection
        self.serial = serial
    }

    func awaitEnd() async {
        await connection.loop.run { await connection.value.awaitClientEnd(during: serial) }
    }

    func awaitEndOrDrain() async {
        await connection.loop.run { await connection.value.awaitClientEnd(during: serial, orDrain: true) }
    }
}

extension Connection {
    /// Looks at the socket without reading it: what comes meanwhile belongs to the next request.
    func awaitClientEnd(during request: Int, orDrain: Bool = false) async {
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
