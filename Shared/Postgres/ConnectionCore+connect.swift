import EventLoop

extension ConnectionCore {
    /// TCP settings that end a half-open connection within about a minute.
    private static let keepAlive = [
        ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
        ("tcp_user_timeout", "30000"),
    ]

    /// Resolves, connects, authenticates and makes the session's settings. To be called on `loop`'s thread.
    static func connect(
        _ configuration: PostgresConfiguration, on loop: EventLoop
    ) async throws(PostgresError) -> ConnectionCore {
        let deadline = ContinuousClock.now + configuration.connectTimeout
        let settings = try await HostResolver.resolve(configuration.connectionSettings(keepAlive: keepAlive))
        guard let handle = ConnectionHandle(connecting: settings.values) else {
            throw PostgresError(.unavailable, "out of memory", doing: "connect")
        }
        let core = try await establish(handle, configuration, on: loop, until: deadline)
        do {
            try await core.setUpSession()
        } catch {
            core.close()
            throw error as? PostgresError ?? PostgresError(.unavailable, "\(error)", doing: "connect")
        }
        return core
    }

    private static func establish(
        _ handle: consuming ConnectionHandle, _ configuration: PostgresConfiguration, on loop: EventLoop,
        until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> ConnectionCore {
        var step = ConnectionHandle.ConnectStep.waitWritable
        while true {
            switch step {
            case .failed: throw handle.refusal
            case .connected:
                do throws(EventLoopError) {
                    let descriptor = try PolledDescriptor(adopting: handle.socket, owned: false, loop: loop)
                    return ConnectionCore(handle, descriptor, configuration)
                } catch {
                    throw PostgresError(.unavailable, "\(error)", doing: "connect")
                }
            case .waitReadable, .waitWritable:
                let reading = if case .waitReadable = step { true } else { false }
                try await wait(handle.socket, reading: reading, on: loop, until: deadline)
                step = handle.pollConnect()
            }
        }
    }

    /// libpq may change its socket between two steps, even to one of the same number, so each wait registers anew.
    private static func wait(
        _ socket: CInt, reading: Bool, on loop: EventLoop, until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) {
        do throws(EventLoopError) {
            let descriptor = try PolledDescriptor(adopting: socket, owned: false, loop: loop)
            defer { descriptor.close() }
            if reading {
                try await descriptor.waitReadable(until: deadline)
            } else {
                try await descriptor.waitWritable(until: deadline)
            }
        } catch {
            switch error {
            case .cancelled: throw PostgresError(.cancelled, "the task was cancelled", doing: "connect")
            case .timedOut: throw PostgresError(.unavailable, "no answer within the time limit", doing: "connect")
            case .closed, .system: throw PostgresError(.unavailable, "\(error)", doing: "connect")
            }
        }
    }

    private func setUpSession() async throws {
        let script = configuration.sessionScript
        guard !script.isEmpty else { return }
        try await perform("connect", limit: configuration.connectTimeout) {
            _ = try await runScript(script)
        }
    }

    /// Looks, without waiting, whether an idle connection is still there; reads what the server has said meanwhile.
    func checkIdle() -> Bool {
        // Twice: the first may read the server's goodbye, only the second then finds the end.
        guard phase == .idle, handle.consumeInput(), handle.consumeInput(), !handle.isBusy else { return false }
        guard handle.isGood else { return false }
        while handle.takeNotification() != nil {}
        return true
    }
}

extension PostgresConfiguration {
    func connectionSettings(keepAlive: [(String, String)]) -> ConnectionSettings {
        var settings = settings
        for (name, value) in keepAlive { settings.setDefault(name, value) }
        settings.set("client_encoding", "UTF8")
        settings.set("fallback_application_name", applicationName)
        // Negotiating it would cost a round trip where nobody asked for it.
        if settings["gssencmode"] == nil || settings["gssencmode"] == "prefer" { settings.set("gssencmode", "disable") }
        return settings
    }

    /// The statements that every new connection starts with. A transaction pooler would give what they set to others.
    var sessionScript: String {
        guard statementMode == .named else { return "" }
        var values = [("TimeZone", "UTC"), ("DateStyle", "ISO, YMD")]
        if let statementTimeout {
            let (seconds, attoseconds) = statementTimeout.components
            let milliseconds = min(max(seconds * 1000 + attoseconds / 1_000_000_000_000_000, 1), Int64(Int32.max))
            values.append(("statement_timeout", "\(milliseconds)"))
        }
        values += sessionSettings.map { ($0.name, $0.value) }
        return values.map { name, value in
            "SET \(PostgresQuery.quoted(identifier: name)) = \(PostgresQuery.quoted(literal: value));"
        }.joined()
    }

    /// How long a statement may take before we give it up ourselves.
    var statementLimit: Duration? {
        guard let statementTimeout else { return isPooled ? StatementLimit.current : nil }
        return statementMode == .named ? statementTimeout + answerGrace : statementTimeout
    }
}
