import HTTP
import HTTPServer
import JSON
import Testing

@Suite struct ReadingTests {
    private func code(_ headers: HTTPHeaders, _ body: String, limit: Int = 100) async throws -> String {
        let request = try Fixture.request(.put, "/", headers: headers, body: body)
        do {
            _ = try await request.json(limit: limit)
            return "ok"
        } catch {
            return error.code.name
        }
    }

    @Test func jsonBodiesAreChecked() async throws {
        let json: HTTPHeaders = ["content-type": "application/json; charset=UTF-8"]
        #expect(try await code(json, "{}") == "ok")
        #expect(try await code(json, "") == "empty_body")
        #expect(try await code(json, "{") == "invalid_json")
        #expect(try await code(json, "[1,2,3]", limit: 6) == "payload_too_large")
        #expect(try await code([:], "{}") == "unsupported_media_type")
        #expect(try await code(["content-type": "text/plain"], "{}") == "unsupported_media_type")
        #expect(try await code(["content-type": "application/json;charset=latin1"], "{}") == "unsupported_media_type")
        let packed: HTTPHeaders = ["content-type": "application/json", "content-encoding": "gzip"]
        #expect(try await code(packed, "{}") == "unsupported_media_type")
    }

    @Test func bodiesAreReadPieceByPieceOrWhole() async throws {
        let pieces: [[UInt8]] = [[1], [2, 3], [4]]
        let whole = try await RequestBody(PiecewiseBody(pieces), contentLength: nil).collect(limit: 4)
        #expect(whole == [1, 2, 3, 4])
        var seen: [[UInt8]] = []
        for try await piece in RequestBody(PiecewiseBody(pieces), contentLength: 4) { seen.append(piece) }
        #expect(seen == pieces)
        seen = []
        for try await piece in RequestBody([9, 9]) { seen.append(piece) }
        for try await piece in RequestBody() { seen.append(piece) }
        #expect(seen == [[9, 9]])
        await #expect(throws: Problem.self) {
            try await RequestBody(PiecewiseBody(pieces), contentLength: nil).collect(limit: 3)
        }
    }

    @Test func listsHaveOneShape() {
        #expect(Response.list([1, "a"], nextCursor: "c").bodyText == #"{"items":[1,"a"],"next_cursor":"c"}"#)
        #expect(Response.list([], nextCursor: nil).bodyText == #"{"items":[],"next_cursor":null}"#)
    }
}
