import JSON
import TestSupport
import Testing

@testable import Analytics

extension QueryServiceTests {
    /// Sessions over HTTP: a key in, a cookie out, and what the cookie is good for.
    @Suite struct SessionServiceTests {
        /// One request as a browser sends it; `cookie` is the pair alone.
        private static func ask(
            _ server: QueryServer, _ method: String, _ target: String, body: String? = nil, cookie: String? = nil,
            fields: [String] = ["Origin: http://test"]
        ) async throws -> QueryClient.Answer {
            var lines = ["\(method) \(target) HTTP/1.1", "Host: test", "Connection: close"] + fields
            if let cookie { lines.append("Cookie: \(cookie)") }
            if let body { lines += ["Content-Type: application/json", "Content-Length: \(body.utf8.count)"] }
            let client = try QueryClient(port: server.port)
            try await client.send((lines + ["", body ?? ""]).joined(separator: "\r\n"))
            return try await client.answer()
        }

        private static func signIn(
            _ server: QueryServer, key: String = QueryServer.key, fields: [String] = ["Origin: http://test"]
        ) async throws -> (QueryClient.Answer, cookie: String) {
            let answer = try await ask(server, "POST", "/v1/session", body: #"{"key": "\#(key)"}"#, fields: fields)
            return (answer, String((answer.headers["set-cookie"] ?? "").prefix { $0 != ";" }))
        }

        @Test func aKeyIsExchangedForACookieThatEndsWithTheSession() async throws {
            try await QueryServer.run { server in
                let (answer, cookie) = try await Self.signIn(server)
                #expect(answer.status == 201 && answer.json["workspace"] == "default", "\(answer.text)")
                #expect(answer.json["scopes"] == ["admin"] && answer.json["expires_at"]?.string != nil)
                let given = answer.headers["set-cookie"] ?? ""
                #expect(given.hasSuffix("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "\(given)")
                #expect(answer.headers["cache-control"] == "no-store")
                let sql = #"{"sql": "select count(*) as n from web"}"#
                let result = try await Self.ask(server, "POST", "/v1/query", body: sql, cookie: cookie)
                #expect(result.rowsText == "[[100]]", "\(result.text)")
                let who = try await Self.ask(server, "GET", "/v1/session", cookie: cookie, fields: [])
                #expect(who.status == 200 && who.json == answer.json)
                let out = try await Self.ask(server, "DELETE", "/v1/session", cookie: cookie)
                #expect(out.status == 204 && out.headers["set-cookie"]?.contains("Max-Age=0") == true)
                #expect(try await Self.ask(server, "GET", "/v1/session", cookie: cookie, fields: []).status == 401)
                #expect(try await Self.ask(server, "POST", "/v1/query", body: sql, cookie: cookie).status == 401)
                #expect(try await Self.ask(server, "DELETE", "/v1/session", cookie: cookie).status == 204)
            }
        }

        @Test func aKeyInAuthorizationWillDoAndOneThatIsNoneWillNot() async throws {
            try await QueryServer.run { server in
                let bearer = ["Authorization: Bearer \(QueryServer.key)"]
                #expect(try await Self.ask(server, "POST", "/v1/session", fields: bearer).status == 201)
                let who = try await Self.ask(server, "GET", "/v1/session", fields: bearer)
                #expect(who.status == 200 && who.json["expires_at"] == .null)
                let unknown = "mr_" + String(repeating: "x", count: 42) + "A"
                for key in [unknown, "x", ""] {
                    let (answer, cookie) = try await Self.signIn(server, key: key)
                    #expect(answer.code == "unauthorized" && cookie.isEmpty, "\(key)")
                    #expect(!answer.text.contains("xxxx"))
                }
                #expect(try await Self.ask(server, "POST", "/v1/session").code == "unauthorized")
                #expect(try await Self.ask(server, "GET", "/v1/session").code == "unauthorized")
                let more = #"{"key": "x", "name": "y"}"#
                #expect(try await Self.ask(server, "POST", "/v1/session", body: more).code == "unknown_field")
                let long = #"{"key": "\#(String(repeating: "x", count: 5000))"}"#
                #expect(try await Self.ask(server, "POST", "/v1/session", body: long).code == "payload_too_large")
            }
        }

        @Test func anotherSitesPageCanNeitherSignInNorOutNorAsk() async throws {
            try await QueryServer.run { server in
                let elsewhere = ["Origin: http://other.example"]
                #expect(try await Self.signIn(server, fields: elsewhere).0.code == "cross_site_request")
                let (_, cookie) = try await Self.signIn(server)
                let sql = #"{"sql": "select 1"}"#
                for fields in [elsewhere, [], ["Origin: http://test", "Sec-Fetch-Site: same-site"]] {
                    let query = try await Self.ask(
                        server, "POST", "/v1/query", body: sql, cookie: cookie, fields: fields)
                    #expect(query.status == 403 && query.code == "cross_site_request", "\(fields)")
                    let out = try await Self.ask(server, "DELETE", "/v1/session", cookie: cookie, fields: fields)
                    #expect(out.status == 403, "\(fields)")
                }
                #expect(try await Self.ask(server, "POST", "/v1/query", body: sql, cookie: cookie).status == 200)
            }
        }

        @Test func theCookieIsSecureWhereATrustedProxySaysSo() async throws {
            try await QueryServer.run { server in
                let fields = ["Origin: https://test", "X-Forwarded-Proto: https"]
                let (answer, cookie) = try await Self.signIn(server, fields: fields)
                #expect(answer.headers["set-cookie"]?.hasSuffix("; Secure") == true)
                let out = try await Self.ask(server, "DELETE", "/v1/session", cookie: cookie, fields: fields)
                #expect(out.headers["set-cookie"]?.hasSuffix("; Secure") == true)
            }
            try await QueryServer.run(settings: ["MILLRACE_TRUSTED_PROXIES": "none"]) { server in
                let fields = ["Origin: https://test", "X-Forwarded-Proto: https"]
                let (answer, _) = try await Self.signIn(server, fields: fields)
                #expect(answer.headers["set-cookie"]?.hasSuffix("; SameSite=Strict") == true)
            }
        }

        @Test func aSessionHasItsKeysScopesAndEndsWithIt() async throws {
            try await QueryServer.run { server in
                let key = try await server.makeKey(["dashboards:read"])
                let (_, cookie) = try await Self.signIn(server, key: key)
                #expect(try await Self.ask(server, "GET", "/v1/dashboards", cookie: cookie).status == 200)
                let refused = try await Self.ask(server, "GET", "/v1/endpoints", cookie: cookie)
                #expect(refused.status == 403 && refused.json["scope"] == "endpoints:read")
                try await server.database.administer(
                    "update millrace.api_key set revoked_at = now() where scopes = '{dashboards:read}'")
                // What is remembered of a key holds for ten seconds; a new session is not made any more.
                #expect(try await Self.signIn(server, key: key).0.code == "unauthorized")
            }
        }

        @Test func aConsoleThatCannotBeOpenedIsNamed() async throws {
            for (settings, named) in [
                (["MILLRACE_CONSOLE": "/nowhere"], "MILLRACE_CONSOLE: the folder /nowhere"),
                (
                    ["MILLRACE_CONSOLE": "/", "MILLRACE_CONSOLE_LIBRARIES": "/nowhere"],
                    "MILLRACE_CONSOLE_LIBRARIES: the folder /nowhere/chart.js"
                ),
            ] {
                await #expect {
                    try await QueryServer.run(settings: settings) { _ in }
                } throws: {
                    "\($0)".hasPrefix(named)
                }
            }
        }
    }
}
