import EventLoop
import HTTP
import Testing

@testable import HTTPServer

/// Conditions and what answers say of versions, over the wire; `TAG` in a field stands for the file's own.
@Suite struct FileConditionTests {
    private static let date = FileTree.date
    private static let before = "Sun, 06 Nov 1994 08:49:36 GMT"

    private func withClient(
        now: Int64 = FileTree.later, at prefix: String = "/",
        _ body: @Sendable (FileTree, TestClient) async throws -> Void
    ) async throws {
        let tree = try FileTree()
        try await TestServer.run(try tree.routes(at: prefix, now: now)) { server in
            let client = try server.connect()
            defer { client.close() }
            try await body(tree, client)
        }
    }

    @Test(arguments: [
        ("/small.txt", "text/plain; charset=utf-8"), ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/sub/", "text/html; charset=utf-8"), ("/a%20b/c+d%2520%C3%A9.txt", "text/plain; charset=utf-8"),
        ("/large.txt", "text/plain; charset=utf-8"), ("/empty.txt", "text/plain; charset=utf-8"),
    ])
    func filesAreServed(_ target: String, _ type: String) async throws {
        try await withClient { tree, client in
            let contents = [
                "/small.txt": tree.small, "/": "the index", "/app.js": tree.script, "/sub/": "the index of sub",
                "/a%20b/c+d%2520%C3%A9.txt": "spaced", "/large.txt": tree.large, "/empty.txt": "",
            ]
            let answer = try await client.get(target)
            #expect(answer.status == 200 && answer.body == contents[target])
            #expect(answer.fields["content-type"] == type && answer.fields["x-content-type-options"] == "nosniff")
            #expect(answer.fields["accept-ranges"] == "bytes" && answer.fields["cache-control"] == "no-cache")
            #expect(answer.fields["last-modified"] == FileTree.date && answer.fields["vary"] == "Accept-Encoding")
            #expect(answer.fields["content-length"] == String(answer.body.utf8.count))
            let head = try await client.get(target, method: "HEAD")
            var fields = answer.fields
            for name in ["date", "x-request-id"] { fields[name] = head.fields[name] }
            if target == "/large.txt" { fields["content-length"] = head.fields["content-length"] }
            #expect(head.status == 200 && head.fields == fields)
        }
    }

    @Test(
        arguments: [
            (["If-None-Match": "TAG"], 304), (["If-None-Match": "W/TAG"], 304), (["If-None-Match": "*"], 304),
            (["If-None-Match": "\"x\", TAG"], 304), (["If-None-Match": "\"x\""], 200), (["If-Match": "TAG"], 200),
            (["If-Match": "*"], 200), (["If-Match": "\"x\""], 412), (["If-Match": "W/TAG"], 412),
            (["If-Modified-Since": date], 304), (["If-Modified-Since": before], 200),
            (["If-Unmodified-Since": date], 200), (["If-Unmodified-Since": before], 412),
            (["If-None-Match": "\"x\"", "If-Modified-Since": date], 200),
            (["If-None-Match": "TAG", "If-Modified-Since": before], 304),
            (["If-Match": "TAG", "If-Unmodified-Since": before], 200),
            (["If-Match": "\"x\"", "If-None-Match": "TAG"], 412), (["If-Match": "TAG", "If-None-Match": "TAG"], 304),
            (["If-Unmodified-Since": date, "If-Modified-Since": date], 304),
            (["If-None-Match": "TAG", "Range": "bytes=0-1"], 304), (["If-Match": "\"x\"", "Range": "bytes=0-1"], 412),
            (["If-Match": "\"x\"", "Range": "bytes=900-"], 412), (["If-Match": "TAG", "Range": "bytes=0-1"], 206),
            (["If-Unmodified-Since": date, "Range": "bytes=0-1"], 206),
        ] as [([String: String], Int)])
    func conditions(_ given: [String: String], _ status: Int) async throws {
        try await withClient { tree, client in
            for path in ["/small.txt", "/large.txt"] where !(given["Range"] == "bytes=900-" && path == "/large.txt") {
                let tag = try #require(try await client.get(path).fields["etag"])
                var headers = HTTPHeaders()
                for (name, value) in given { headers.add(name, value.replacing("TAG", with: tag)) }
                let answer = try await client.get(path, headers)
                #expect(answer.status == status, "\(path)")
                guard status == 304 else { continue }
                #expect(answer.fields["etag"] == tag && answer.fields["cache-control"] == "no-cache")
                #expect(answer.fields["vary"] == "Accept-Encoding" && answer.fields["content-length"] == nil)
                #expect(answer.fields["last-modified"] == nil && answer.fields["content-type"] == nil)
                let head = try await client.get(path, headers, method: "HEAD")
                #expect(head.status == 304 && head.fields["etag"] == tag)
            }
        }
    }

    @Test func whatIsNotThereIsNoPrecondition() async throws {
        try await withClient { _, client in
            for (target, status) in [("/absent", 404), ("/sub", 301)] {
                for field in ["If-Match", "If-None-Match"] {
                    let answer = try await client.get(target, [field: "*"])
                    #expect(answer.status == status)
                }
            }
        }
    }

    /// Each of these makes another version; the last has the same length and the same time of modification.
    @Test func everyChangeChangesTheTag() async throws {
        try await withClient { tree, client in
            var tags: Set<String> = []
            func note() async throws { tags.insert(try #require(try await client.get("/small.txt").fields["etag"])) }
            try await note()
            try await note()
            #expect(tags.count == 1)
            try tree.write("other content", to: "small.txt")
            try await note()
            try tree.write("OTHER CONTENT", to: "small.txt")
            try await note()
            try tree.write("Other Content", to: "next.txt")
            try tree.rename("next.txt", to: "small.txt")
            try await note()
            #expect(tags.count == 4)
            #expect(try await client.get("/small.txt").body == "Other Content")
        }
    }

    /// A file that was changed just now may change again without showing it.
    @Test func aFileThatWasJustChangedHasNoVersion() async throws {
        try await withClient(now: 0) { _, client in
            for path in ["/small.txt", "/large.txt"] {
                let answer = try await client.get(path)
                #expect(answer.status == 200 && answer.fields["etag"] == nil && answer.fields["last-modified"] == nil)
                #expect(try await client.get(path, ["If-Modified-Since": FileConditionTests.date]).status == 200)
                #expect(try await client.get(path, ["If-Match": "\"x\""]).status == 412)
                #expect(try await client.get(path, ["Range": "bytes=0-1"]).status == 206)
                let dated: HTTPHeaders = ["Range": "bytes=0-1", "If-Range": FileConditionTests.date]
                #expect(try await client.get(path, dated).status == 200)
            }
        }
    }

    /// The rule itself, by the second: the time of change counts for the tag, that of modification for the date too.
    @Test(
        arguments: [
            (100, 100, 101, false, false), (100, 100, 102, true, true), (50, 100, 101, false, false),
            (50, 100, 102, true, true), (200, 100, 102, true, false), (200, 100, 202, true, true),
        ] as [(Int64, Int64, Int64, Bool, Bool)])
    func atRest(_ modified: Int64, _ changed: Int64, _ now: Int64, _ hasTag: Bool, _ hasDate: Bool) {
        let state = FileState(
            size: 1, device: 1, inode: 1, modified: FileState.Moment(seconds: modified, nanoseconds: 0),
            changed: FileState.Moment(seconds: changed, nanoseconds: 0))
        let validators = state.validators(now: now)
        #expect((validators.tag != nil) == hasTag && (validators.lastModified != nil) == hasDate)
    }

    @Test func cachingIsASetting() async throws {
        let tree = try FileTree()
        let files = try tree.files(caching: .immutable)
        try await TestServer.run(files.routes(at: "/assets", id: "getAsset", summary: "An asset")) { server in
            let client = try server.connect()
            defer { client.close() }
            let answer = try await client.get("/assets/app.js")
            #expect(answer.fields["cache-control"] == "public, max-age=31536000, immutable")
        }
    }

    @Test func everyAnswerOfAFileHasTheFieldsThatWereGiven() async throws {
        let tree = try FileTree()
        let policy = "default-src 'none'"
        let files = try StaticFiles(root: tree.root, fields: ["content-security-policy": policy]) { FileTree.later }
        let routes =
            [files.index(at: "/", id: "page", summary: "")] + files.routes(at: "/files", id: "file", summary: "")
        try await TestServer.run(routes) { server in
            let client = try server.connect()
            defer { client.close() }
            let whole = try await client.get("/files/large.txt")
            #expect(whole.status == 200 && whole.fields["content-security-policy"] == policy)
            let tag = try #require(whole.fields["etag"])
            for (name, value, status) in [("if-none-match", tag, 304), ("range", "bytes=0-1", 206)] {
                var headers = HTTPHeaders()
                headers.add(name, value)
                let answer = try await client.get("/files/large.txt", headers)
                #expect(answer.status == status && answer.fields["content-security-policy"] == policy)
            }
            // The index alone is at the other path.
            let index = try await client.get("/")
            #expect(index.body == "the index" && index.fields["content-security-policy"] == policy)
            #expect(try await client.get("/small.txt").status == 404)
        }
    }
}
