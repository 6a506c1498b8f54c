import HTTP
import JSON
import Testing

@testable import Access

@Suite struct SignedTokenTests {
    private static let settings: TokenSettings = {
        var settings = TokenSettings(issuer: "https://issuer.example", audience: "millrace", keysURL: "https://x")
        settings.workspace = "default"
        settings.workspaceClaim = "workspace"
        return settings
    }()

    private static let keys: [(String, JSONValue)] = [
        (
            "r1", ["kty": "RSA", "kid": "r1", "use": "sig", "n": .string(TokenSamples.modulus), "e": "AQAB"]
        ),
        (
            "e1",
            [
                "kty": "EC", "kid": "e1", "crv": "P-256", "alg": "ES256", "x": .string(TokenSamples.x),
                "y": .string(TokenSamples.y),
            ]
        ),
    ]

    private func set(_ keys: [JSONValue]) throws -> SignatureKeySet {
        try #require(SignatureKeySet(JSONValue.object(["keys": .array(keys)]).serialized()))
    }

    private func token(header: String, claims: String, signature: String = "AAAA") -> [UInt8] {
        Array("\(Base64URL.encode(Array(header.utf8))).\(Base64URL.encode(Array(claims.utf8))).\(signature)".utf8)
    }

    private func fault(_ text: [UInt8]) -> String? {
        do throws(SignedToken.Fault) {
            _ = try SignedToken(text)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test(arguments: [TokenSamples.rsa, TokenSamples.ec])
    func aSignatureIsGoodForItsTokenOnly(_ text: String) throws {
        let token = try SignedToken(Array(text.utf8))
        let keys = try set(Self.keys.map(\.1))
        let key = try #require(keys.key(token.keyID, for: token.algorithm))
        #expect(key.verifies(token.signature, of: token.message))
        var other = token.message
        other[20] ^= 1
        #expect(!key.verifies(token.signature, of: other))
        for place in [0, token.signature.count / 2, token.signature.count - 1] {
            var broken = token.signature
            broken[place] ^= 1
            #expect(!key.verifies(broken, of: token.message))
        }
        for wrong in [[], [0], Array(token.signature.dropLast()), token.signature + [0]] {
            #expect(!key.verifies(wrong, of: token.message))
        }
        #expect(!key.verifies([UInt8](repeating: 0, count: token.signature.count), of: token.message))
    }

    @Test func aKeyIsForItsAlgorithmWhateverATokenSays() throws {
        let keys = try set(Self.keys.map(\.1))
        #expect(keys.key("r1", for: .es256) == nil && keys.key("e1", for: .rs256) == nil)
        #expect(keys.key("r1", for: .rs256) != nil && keys.key("x", for: .rs256) == nil)
        #expect(keys.key(nil, for: .rs256) != nil, "the only one")
        let two = try set([Self.keys[0].1, Self.keys[0].1])
        #expect(two.key(nil, for: .rs256) == nil && two.key("r1", for: .rs256) == nil, "which one is meant?")
    }

    @Test func keysThatAreNoneOfOursAreLeftOut() throws {
        func rsa(_ n: String, _ e: String, _ more: [(String, JSONValue)] = []) -> JSONValue {
            .object(JSONObject([("kty", "RSA"), ("n", .string(n)), ("e", .string(e))] + more))
        }
        let flipped = String(TokenSamples.x.dropLast()) + "A"
        let wrong: [JSONValue] = [
            rsa(TokenSamples.weakModulus, "AQAB"), rsa(TokenSamples.modulus, "AQ"), rsa(TokenSamples.modulus, "Ag"),
            rsa(TokenSamples.modulus, "AQABAAE"), rsa("", "AQAB"), rsa(TokenSamples.modulus + "=", "AQAB"),
            rsa(TokenSamples.modulus, "AQAB", [("use", "enc")]), rsa(TokenSamples.modulus, "AQAB", [("alg", "RS512")]),
            rsa(TokenSamples.modulus, "AQAB", [("alg", "ES256")]),
            rsa(TokenSamples.modulus, "AQAB", [("key_ops", ["sign"])]), ["kty": "oct", "k": "AAAA"], "x", [:],
            ["kty": "EC", "crv": "P-256", "x": .string(flipped), "y": .string(TokenSamples.y)],
            ["kty": "EC", "crv": "P-384", "x": .string(TokenSamples.x), "y": .string(TokenSamples.y)],
            ["kty": "EC", "crv": "P-256", "x": .string(TokenSamples.x), "y": "AAAA"],
        ]
        for key in wrong { #expect(try set([key]).isEmpty, "\(key)") }
        for text in ["", "[]", "{}", #"{"keys": 1}"#] { #expect(SignatureKeySet(Array(text.utf8)) == nil) }
    }

    @Test(arguments: [
        (#"{"alg":"none"}"#, "{}", "the token's alg is neither RS256 nor ES256"),
        (#"{"alg":"HS256"}"#, "{}", "the token's alg is neither RS256 nor ES256"),
        (#"{"alg":"rs256"}"#, "{}", "the token's alg is neither RS256 nor ES256"),
        (#"{"alg":["RS256"]}"#, "{}", "the token's alg is neither RS256 nor ES256"),
        (#"{"typ":"JWT"}"#, "{}", "the token's alg is neither RS256 nor ES256"),
        (#"{"alg":"RS256","crit":["exp"]}"#, "{}", "the token's header has crit"),
        (#"{"alg":"RS256","kid":7}"#, "{}", "the token's kid is no text"),
        (#"{"alg":"none","alg":"RS256"}"#, "{}", "the token's header is no JSON object with each member once"),
        (#"{"alg":"RS256"}"#, #"{"sub":"a","sub":"b"}"#, "the token's claims is no JSON object with each member once"),
        (#"{"alg":"RS256"}"#, #"{"x":{"a":1,"a":2}}"#, "the token's claims is no JSON object with each member once"),
        (#"{"alg":"RS256"}"#, "[]", "the token's claims is no JSON object with each member once"),
        ("{", "{}", "the token's header is no JSON object with each member once"),
    ])
    func whatIsNoTokenIsRefused(_ header: String, _ claims: String, _ reason: String) {
        #expect(fault(token(header: header, claims: claims)) == reason)
    }

    @Test func partsAndLength() {
        #expect(fault(token(header: #"{"alg":"RS256"}"#, claims: "{}")) == nil)
        for text in ["a.b", "a.b.c.d", "", "..", "a..c"] { #expect(fault(Array(text.utf8)) != nil, "\(text)") }
        #expect(fault(token(header: #"{"alg":"RS256"}"#, claims: "{}", signature: "")) != nil, "unsigned")
        #expect(fault(token(header: #"{"alg":"RS256"}"#, claims: "{}", signature: "AA==")) != nil, "padded")
        let long = "{\"x\":\"\(String(repeating: "a", count: SignedToken.longest))\"}"
        #expect(fault(token(header: #"{"alg":"RS256"}"#, claims: long)) == "the token is too long")
    }

    // MARK: - Claims

    private func claims(_ change: [(String, JSONValue?)] = [], now: Double = 1_000) -> Result<
        TokenClaims, SignedToken.Fault
    > {
        var object = JSONObject([
            ("iss", "https://issuer.example"), ("aud", "millrace"), ("sub", "ada"), ("exp", 2_000),
            ("scope", "openid datasets:read nonsense query/x admin"),
        ])
        for (name, value) in change { object[name] = value }
        return Result { () throws(SignedToken.Fault) in try TokenClaims(object, Self.settings, now: now) }
    }

    @Test func whatATokenSays() throws {
        let read = try claims().get()
        #expect(read.subject == "ada" && read.workspace == "default" && read.scopes == ["datasets:read", "admin"])
        #expect(read.expires == 2_060)
        #expect(try claims([("workspace", "sales")]).get().workspace == "sales")
        #expect(try claims([("scope", ["raw:read", "x", 7])]).get().scopes == ["raw:read"])
        #expect(try claims([("aud", ["other", "millrace"])]).get() == read)
        #expect(try claims([("scope", nil)]).get().scopes.isEmpty)
    }

    @Test func timesHaveALeewayAndNoMore() throws {
        #expect(throws: Never.self) { try claims(now: 2_059.9).get() }
        #expect(throws: SignedToken.Fault(reason: "the token has expired")) { try claims(now: 2_060).get() }
        #expect(throws: Never.self) { try claims([("nbf", 1_060)]).get() }
        #expect(throws: SignedToken.Fault(reason: "the token is not valid yet")) { try claims([("nbf", 1_061)]).get() }
    }

    @Test(
        arguments: [
            ("iss", "https://issuer.example/", "the token is of another issuer"),
            ("iss", nil, "the token is of another issuer"),
            ("iss", ["https://issuer.example"], "the token is of another issuer"),
            ("aud", "millrace2", "the token is for another audience"),
            ("aud", nil, "the token is for another audience"),
            ("aud", [], "the token is for another audience"), ("exp", nil, "the token has no exp"),
            ("exp", "2000", "the token has no exp"), ("exp", -1, "the token has no exp"),
            ("nbf", "0", "the token is not valid yet"), ("sub", nil, "the token has no sub, or a long one"),
            ("sub", "", "the token has no sub, or a long one"), ("workspace", 1, "the token names no workspace"),
            ("workspace", "No-Name", "the token names no workspace"),
        ] as [(String, JSONValue?, String)])
    func whatATokenMustSay(_ name: String, _ value: JSONValue?, _ reason: String) {
        #expect(throws: SignedToken.Fault(reason: reason)) { try claims([(name, value)]).get() }
    }

    // MARK: - The set's life

    @Test func anUnknownKeyIsFetchedForOnceInAWhile() throws {
        var state = KeySetState()
        let start = ContinuousClock.now
        func answer(_ id: String, _ seconds: Int) -> String {
            switch state.find(id, for: .rs256, now: start + .seconds(seconds)) {
            case .key: "key"
            case .wait: "wait"
            case .none: "none"
            case .unavailable: "unavailable"
            }
        }
        #expect(answer("r1", 0) == "wait")
        state.begin(start)
        #expect(answer("r1", 1) == "wait")
        state.end(nil)
        #expect(answer("r1", 1) == "unavailable" && state.hasFailed)
        #expect(state.due(start) == start + KeySetState.pause)
        #expect(answer("r1", 30) == "wait")
        state.begin(start + .seconds(30))
        state.end(try set(Self.keys.map(\.1)))
        #expect(answer("r1", 31) == "key" && answer("r2", 31) == "none" && answer("r2", 59) == "none")
        #expect(answer("r2", 60) == "wait")
        #expect(state.due(start) == start + .seconds(930))
        // A server that is away: what is known stays, whatever its age.
        state.begin(start + .seconds(60))
        state.end(nil)
        #expect(answer("r1", 86_400) == "key")
        // Whether it has another one by now, nobody can tell.
        #expect(answer("r2", 61) == "unavailable")
    }
}
