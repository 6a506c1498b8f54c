import Access
import JSON
import Postgres
import TestSupport

@testable import Analytics

extension QueryServer {
    /// One request on a connection of its own.
    func send(
        _ method: String, _ target: String, _ body: JSONValue? = nil, headers: [String] = [], key: String = Self.key
    ) async throws -> QueryClient.Answer {
        let text = body.map { String(decoding: $0.serialized(), as: UTF8.self) } ?? ""
        var lines = ["\(method) \(target) HTTP/1.1", "Host: test", "Connection: close", "Authorization: Bearer \(key)"]
        if body != nil { lines += ["Content-Type: application/json", "Content-Length: \(text.utf8.count)"] }
        let client = try QueryClient(port: port)
        try await client.send((lines + headers + ["", text]).joined(separator: "\r\n"))
        return try await client.answer()
    }

    func put(_ name: String, _ sql: String, _ more: [(String, JSONValue)] = []) async throws -> QueryClient.Answer {
        let body = JSONValue.object(JSONObject([("sql", .string(sql))] + more))
        return try await send("PUT", "/v1/endpoints/\(name)", body)
    }

    /// The answer of an endpoint that is put for this.
    func call(_ sql: String, _ query: String = "") async throws -> QueryClient.Answer {
        let put = try await put("one", sql)
        guard put.status < 300 else { return put }
        return try await data("one", query)
    }

    func data(
        _ name: String, _ query: String = "", headers: [String] = [], key: String = Self.key
    ) async throws -> QueryClient.Answer {
        try await send("GET", "/v1/endpoints/\(name)/data" + query, headers: headers, key: key)
    }

    /// A new key of a workspace.
    func makeKey(_ scopes: [String], workspace: String = "default") async throws -> String {
        let key = try APIKey.generate()
        try await database.withPool(size: 1) { pool in
            try await pool.withConnection { connection in
                guard let found = try await connection.query(FindWorkspace(name: workspace)).first else { return }
                let insert = InsertKey(key, as: NewKey(workspaceID: found.id, name: "test", scopes: scopes))
                _ = try await connection.query(insert)
            }
        }
        return key.reveal()
    }

    /// The value of a series in the metrics; nil where there is none.
    func metric(_ series: String) async throws -> Double? {
        let lines = try await get("/metrics").text.split(separator: "\n")
        return lines.first { $0.hasPrefix(series + " ") }.flatMap { Double($0.split(separator: " ").last ?? "") }
    }
}

extension QueryClient.Answer {
    var items: String { String(decoding: (json["items"] ?? .null).serialized(), as: UTF8.self) }
    /// The faults as `path: message`.
    var faults: [String] {
        (json["errors"]?.array ?? []).map { "\($0["path"]?.string ?? ""): \($0["message"]?.string ?? "")" }
    }
}
