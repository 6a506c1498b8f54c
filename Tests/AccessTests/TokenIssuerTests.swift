import EventLoop
import HTTP
import HTTPClient
import Observability
import TestSupport
import Testing

@testable import Access

/// What an issuer that does not answer means for tokens that name a key of its.
@Suite struct TokenIssuerTests {
    private let issuer: TokenIssuer
    private let client: HTTPClient
    private let metrics = MetricsRegistry()
    private let token = Array(TokenSamples.rsa.utf8)

    init() throws {
        // An address that nobody connects to.
        var settings = TokenSettings(
            issuer: "https://issuer.example", audience: "millrace", keysURL: "https://127.0.0.1:9/keys")
        settings.workspace = "default"
        client = HTTPClient(on: try TestLoops.shared().next(), logger: .silent, metrics: metrics)
        issuer = TokenIssuer(settings, client: client, logger: .silent, metrics: metrics) { 1_000 }
    }

    private func problem(_ token: [UInt8]) async -> Problem? {
        do {
            _ = try await issuer.verify(token)
            return nil
        } catch {
            return error as? Problem
        }
    }

    /// The issuer's service does not run yet, so whoever asks for a key waits.
    @Test func whoComesWhenTooManyWaitIsToldToComeAgain() async throws {
        try await withThrowingTaskGroup(of: Problem?.self) { group in
            for _ in 0..<TokenIssuer.maximumWaiting { group.addTask { await problem(token) } }
            while issuer.waiting < TokenIssuer.maximumWaiting { await Task.yield() }
            let refused = try #require(await problem(token))
            #expect(refused.code == .issuerUnavailable && refused.status == .serviceUnavailable)
            #expect(refused.retryAfter == .seconds(1))
            // What needs no key is decided all the same.
            await #expect(throws: SignedToken.Fault.self) { try await issuer.verify(Array("a.b.c".utf8)) }
            issuer.release()
            for try await waited in group { #expect(waited?.code == .issuerUnavailable, "nothing was fetched") }
        }
        #expect(issuer.waiting == 0)
    }

    @Test func withoutAnyKeyAndWithAnIssuerThatIsAwayNothingIsSaidOfTheToken() async throws {
        try await withRunningService(client) {
            try await withRunningService(issuer) {
                let refused = try #require(await problem(token))
                #expect(refused.code == .issuerUnavailable && refused.retryAfter == .seconds(5))
            }
        }
        #expect(issuer.isAway)
        // And nobody waits for one that has ended.
        #expect(await problem(token)?.code == .issuerUnavailable)
    }
}
