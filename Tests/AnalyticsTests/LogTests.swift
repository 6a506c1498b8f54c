import Observability
import Testing

@testable import Analytics

extension QueryServiceTests {
    @Suite struct LogTests {
        @Test func whatIsLoggedGoesWhereTheServiceWasTold() async throws {
            try await QueryServer.run { server in
                let answer = try await server.query("select 1")
                #expect(answer.status == 200)
                let said = server.log.takeText()
                #expect(said.contains(#""message":"audit","audit.action":"postQuery""#), "\(said)")
            }
        }
    }
}
