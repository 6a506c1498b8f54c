import EventLoop
import Foundation
import HTTP
import Records
import Testing

@testable import HTTPServer

/// Ranges of a small file, which is read at once, and of a large one, which is streamed.
@Suite struct FileRangeTests {
    private func withClient(_ body: @Sendable (FileTree, TestClient) async throws -> Void) async throws {
        let tree = try FileTree()
        try await TestServer.run(try tree.routes()) { server in
            let client = try server.connect()
            defer { client.close() }
            try await body(tree, client)
        }
    }

    private static func slice(_ text: String, _ range: Range<Int>) -> String {
        String(decoding: Array(text.utf8)[range], as: UTF8.self)
    }

    @Test(
        arguments: [
            ("bytes=0-0", 0..<1), ("bytes=10-19", 10..<20), ("bytes=90-", 90..<100), ("bytes=-7", 93..<100),
            ("bytes=99-", 99..<100), ("bytes=50-1000", 50..<100), ("bytes=-1000", 0..<100), ("bytes=0-", 0..<100),
            ("bytes=0-9,5-19", 0..<20), ("bytes=0-0,-1", 0..<100), ("bytes=200-,3-4", 3..<5), ("BYTES= 1-1", 1..<2),
        ] as [(String, Range<Int>)])
    func ofASmallFile(_ field: String, _ range: Range<Int>) async throws {
        try await withClient { tree, client in
            let answer = try await client.get("/small.txt", ["Range": field])
            #expect(answer.status == 206 && answer.body == FileRangeTests.slice(tree.small, range))
            #expect(answer.fields["content-range"] == "bytes \(range.lowerBound)-\(range.upperBound - 1)/100")
            #expect(answer.fields["content-length"] == String(range.count))
            #expect(answer.fields["content-type"] == "text/plain; charset=utf-8" && answer.fields["etag"] != nil)
            #expect(answer.fields["cache-control"] == "no-cache" && answer.fields["vary"] == "Accept-Encoding")
            // A range of HEAD's means nothing.
            let head = try await client.get("/small.txt", ["Range": field], method: "HEAD")
            #expect(head.status == 200 && head.fields["content-length"] == "100")
            #expect(head.fields["content-range"] == nil)
        }
    }

    /// At the edges of the pieces that it is read in, among others.
    @Test(
        arguments: [
            (0, 1), (0, 65_535), (0, 65_536), (0, 65_537), (65_535, 65_537), (65_536, 131_072), (1, 200_001),
            (131_071, 131_073), (100_000, 250_000), (262_143, 262_145),
        ])
    func ofALargeFile(_ first: Int, _ end: Int) async throws {
        try await withClient { tree, client in
            let length = tree.large.utf8.count
            let answer = try await client.get("/large.txt", ["Range": "bytes=\(first)-\(end - 1)"])
            #expect(answer.status == 206 && answer.body == FileRangeTests.slice(tree.large, first..<end))
            #expect(answer.fields["content-range"] == "bytes \(first)-\(end - 1)/\(length)")
            #expect(answer.fields["content-length"] == String(end - first))
            let suffix = try await client.get("/large.txt", ["Range": "bytes=-\(end)"])
            #expect(suffix.status == 206 && suffix.body == FileRangeTests.slice(tree.large, (length - end)..<length))
        }
    }

    @Test(arguments: [
        "bytes=100-", "bytes=100-200", "bytes=-0", "bytes=100-,200-300", "bytes=99999999999999999999999-",
    ])
    func outside(_ field: String) async throws {
        try await withClient { _, client in
            let answer = try await client.get("/small.txt", ["Range": field])
            #expect(answer.status == 416 && answer.fields["content-range"] == "bytes */100")
            #expect(answer.body.contains("range_not_satisfiable") && answer.fields["etag"] == nil)
            #expect(try await client.get("/empty.txt", ["Range": "bytes=0-"]).fields["content-range"] == "bytes */0")
        }
    }

    @Test(arguments: [
        "bytes=", "bytes=5-1", "bytes=x", "items=0-1", "0-1", "bytes=0-1;", "bytes=0-1,x",
        "bytes=" + (0..<33).map { "\($0 * 3)-\($0 * 3)" }.joined(separator: ","),
    ])
    func ignored(_ field: String) async throws {
        try await withClient { tree, client in
            let answer = try await client.get("/small.txt", ["Range": field])
            #expect(answer.status == 200 && answer.body == tree.small && answer.fields["content-range"] == nil)
            #expect(try await client.get("/empty.txt", ["Range": "bytes=-5"]).status == 200)
        }
    }

    @Test(arguments: [
        ("/app.js", [0..<10, 1000..<1100, 2590..<2600]), ("/app.js", [2000..<2010, 0..<1]),
        ("/large.txt", [0..<10, 70_000..<200_000]), ("/large.txt", [300_000..<300_001, 5..<6, 1000..<1010]),
    ])
    func several(_ path: String, _ ranges: [Range<Int>]) async throws {
        try await withClient { tree, client in
            let text = path == "/app.js" ? tree.script : tree.large
            let field = ranges.map { "\($0.lowerBound)-\($0.upperBound - 1)" }.joined(separator: ", ")
            let answer = try await client.get(path, ["Range": "bytes=\(field)", "Accept-Encoding": "gzip"])
            #expect(answer.status == 206 && answer.fields["content-range"] == nil && answer.fields["etag"] != nil)
            let type = try #require(answer.fields["content-type"])
            #expect(type.hasPrefix("multipart/byteranges; boundary=") && answer.fields["content-encoding"] == nil)
            let parts = answer.body.components(separatedBy: "\r\n--\(type.split(separator: "=")[1])")
            #expect(parts.count == ranges.count + 2 && parts.first?.isEmpty == true && parts.last == "--\r\n")
            for (part, range) in zip(parts.dropFirst(), ranges) {
                let kind = path == "/app.js" ? "javascript" : "plain"
                let place = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(text.utf8.count)"
                let head = "\r\ncontent-type: text/\(kind); charset=utf-8\r\ncontent-range: \(place)\r\n\r\n"
                #expect(part == head + FileRangeTests.slice(text, range))
            }
            #expect(answer.fields["content-length"] == String(answer.body.utf8.count))
        }
    }

    @Test(
        arguments: [
            ("TAG", 206), ("W/TAG", 200), ("\"x\"", 200), ("*", 200), ("TAG, TAG", 200),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 206), ("Sun, 06 Nov 1994 08:49:38 GMT", 200),
            ("Sun, 06 Nov 1994 08:49:36 GMT", 200), ("junk", 200),
        ])
    func ifRange(_ value: String, _ status: Int) async throws {
        try await withClient { tree, client in
            for path in ["/small.txt", "/large.txt"] {
                let tag = try #require(try await client.get(path).fields["etag"])
                let condition = value.replacing("TAG", with: tag)
                let answer = try await client.get(path, ["Range": "bytes=5-9", "If-Range": condition])
                #expect(answer.status == status)
                #expect(
                    answer.body.utf8.count == (status == 206 ? 5 : path == "/small.txt" ? 100 : tree.large.utf8.count))
                // What does not lie in the file is only told to who has its version.
                let outside = try await client.get(path, ["Range": "bytes=9999999-", "If-Range": condition])
                #expect(outside.status == (status == 206 ? 416 : 200))
            }
        }
    }

    /// One version in two codings: each has a tag of its own, and a range is of the one without a coding.
    @Test(arguments: ["/app.js", "/large.txt"])
    func aCodingHasATagOfItsOwn(_ path: String) async throws {
        try await withClient { tree, client in
            let text = path == "/app.js" ? tree.script : tree.large
            let plain = try #require(try await client.get(path).fields["etag"])
            let accepting: HTTPHeaders = ["Accept-Encoding": "gzip"]
            let coded = try await client.get(path, accepting, method: "HEAD")
            let tag = try #require(coded.fields["etag"])
            #expect(coded.fields["content-encoding"] == "gzip" && tag == plain.dropLast() + "-gzip\"")
            #expect(coded.fields["accept-ranges"] == nil && coded.fields["vary"] == "Accept-Encoding")
            func get(_ fields: HTTPHeaders) async throws -> Answer {
                var headers = accepting
                for field in fields.fields { headers.add(field.name, field.value) }
                return try await client.get(path, headers)
            }
            let range = try await get(["Range": "bytes=3-9"])
            #expect(range.status == 206 && range.body == FileRangeTests.slice(text, 3..<10))
            #expect(range.fields["etag"] == plain && range.fields["content-encoding"] == nil)
            #expect(try await get(["Range": "bytes=3-9", "If-Range": plain]).status == 206)
            #expect(try await get(["Range": "bytes=3-9", "If-Match": tag]).status == 412)
            #expect(try await get(["Range": "bytes=3-9", "If-Match": plain]).status == 206)
            let unchanged = try await get(["If-None-Match": tag])
            #expect(unchanged.status == 304 && unchanged.fields["etag"] == tag)
            #expect(try await get(["If-None-Match": plain]).fields["etag"] == plain)
            // Last, since its body is no text: who has part of the coding gets all of it again.
            try await client.send(
                "GET \(path) HTTP/1.0\r\nAccept-Encoding: gzip\r\nRange: bytes=3-9\r\nIf-Range: \(tag)\r\n\r\n")
            let octets = try await client.receiveAll()
            let head = String(decoding: octets.prefix(600), as: UTF8.self)
            #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.contains("content-encoding: gzip\r\n"))
            let end = try #require(octets.indices.first { octets[$0...].starts(with: "\r\n\r\n".utf8) })
            let decompressor = Decompressor(.gzip, limit: 1 << 24)
            decompressor.push(Array(octets[(end + 4)...]))
            var expanded: [UInt8] = []
            while let piece = try decompressor.pull() { expanded += piece }
            try decompressor.finish()
            #expect(String(decoding: expanded, as: UTF8.self) == text)
        }
    }
}
