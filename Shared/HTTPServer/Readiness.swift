import EventLoop
import HTTP
import JSON

/// What `GET /readyz` answers: every check with what it found.
enum Readiness {
    /// As long may a check take; all are made at the same time.
    static let limit = Duration.seconds(2)

    /// What a check found.
    struct Finding: Sendable {
        var check: String
        var isFailed: Bool
        /// Why it failed, or what is worth to be known.
        var message: String?

        var json: JSONValue {
            var members: [(String, JSONValue)] = [
                ("check", .string(check)), ("status", isFailed ? "failed" : "ok"),
            ]
            if let message { members.append(("message", .string(message))) }
            return .object(JSONObject(members))
        }
    }

    static let schema = Schema.answer([
        ("status", ["type": "string", "const": "ready"]),
        (
            "checks",
            Schema.array(
                of: Schema.answer(
                    [
                        ("check", Schema.string), ("status", ["type": "string", "const": "ok"]),
                        ("message", Schema.string),
                    ], optional: ["message"]))
        ),
    ])

    static let example: JSONValue = [
        "status": "ready",
        "checks": [["check": "database", "status": "ok"], ["check": "migrations", "status": "ok"]],
    ]

    static func answer(_ findings: [Finding]) throws(Problem) -> Response {
        let checks = JSONValue.array(findings.map(\.json))
        let failed = findings.filter(\.isFailed)
        guard failed.isEmpty else {
            throw Problem(
                .notReady, "not ready: \(failed.map(\.check).joined(separator: ", "))",
                errors: failed.map { FieldFault(path: $0.check, message: $0.message ?? "") }, retryAfter: .seconds(5),
                extensions: [("checks", checks)])
        }
        return .json(.ok, ["status": "ready", "checks": checks] as JSONValue)
    }

    /// Makes the checks, in their order in what is returned.
    static func findings(of checks: [ReadinessCheck], within limit: Duration = limit) async -> [Finding] {
        await withTaskGroup(of: (Int, Finding).self) { group in
            for (place, check) in checks.enumerated() {
                group.addTask { (place, await finding(of: check, within: limit)) }
            }
            var findings: [(Int, Finding)] = []
            for await finding in group { findings.append(finding) }
            return findings.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private static func finding(of check: ReadinessCheck, within limit: Duration) async -> Finding {
        await withTaskGroup(of: Finding.self) { group in
            group.addTask {
                do {
                    return Finding(check: check.name, isFailed: false, message: try await check.note())
                } catch let problem as Problem {
                    return Finding(check: check.name, isFailed: true, message: problem.detail)
                } catch {
                    return Finding(check: check.name, isFailed: true, message: "\(error)")
                }
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return Finding(check: check.name, isFailed: true, message: "did not answer within \(limit)")
            }
            defer { group.cancelAll() }
            return await group.next() ?? Finding(check: check.name, isFailed: true)
        }
    }
}

extension RequestContext {
    /// Whether the server has been asked to stop: what is under way is answered, nothing new should come.
    nonisolated(nonsending) var isDraining: Bool {
        get async {
            guard let connection else { return false }
            return await connection.loop.run { connection.value.server.isDraining }
        }
    }
}
