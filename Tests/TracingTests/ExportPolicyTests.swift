import HTTP
import Testing

@testable import Tracing

@Suite struct ExportPolicyTests {
    @Test(arguments: [200, 202, 204]) func whatIsTakenIsTaken(_ status: Int) {
        #expect(ExportPolicy.verdict(HTTPStatus(status), retryAfter: nil, rejected: 2) == .taken(rejected: 2))
    }

    @Test(arguments: [429, 502, 503, 504]) func whatMayPassIsTriedAgain(_ status: Int) {
        #expect(ExportPolicy.verdict(HTTPStatus(status), retryAfter: nil, rejected: 0) == .again(after: nil))
        #expect(ExportPolicy.verdict(HTTPStatus(status), retryAfter: "7", rejected: 0) == .again(after: .seconds(7)))
        #expect(ExportPolicy.verdict(HTTPStatus(status), retryAfter: "soon", rejected: 0) == .again(after: nil))
        #expect(ExportPolicy.verdict(HTTPStatus(status), retryAfter: "-7", rejected: 0) == .again(after: .zero))
    }

    @Test(arguments: [301, 400, 401, 404, 413, 500]) func otherAnswersAreFinal(_ status: Int) {
        #expect(ExportPolicy.verdict(HTTPStatus(status), retryAfter: "1", rejected: 0) == .refused)
    }

    @Test func pausesGrowAndHaveAnEnd() {
        let longest = (1...20).map { ExportPolicy.pause(after: $0, asked: nil, random: 1) }
        #expect(longest.prefix(5) == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16)])
        #expect(longest.dropFirst(5).allSatisfy { $0 == .seconds(30) })
        #expect(ExportPolicy.pause(after: 3, asked: nil, random: 0) == .seconds(2))
        #expect(ExportPolicy.pause(after: 1, asked: .seconds(9), random: 0) == .seconds(9))
        #expect(ExportPolicy.pause(after: 1, asked: .seconds(9_000), random: 0) == .seconds(30))
    }
}
