import EventLoop
import HTTP
import HTTPServer
import Testing

/// Paths that try to leave the folder, to get at what is hidden in it, or to make the server wait.
@Suite struct HostilePathTests {
    private static let hostile = [
        "/..", "/../", "/../secret.txt", "/../../../../../../etc/passwd", "/sub/../../secret.txt", "/sub/../small.txt",
        "/./small.txt", "/sub/.", "/sub/..", "/%2e%2e/secret.txt", "/%2E%2e%2fsecret.txt", "/..%2fsecret.txt",
        "/..%5csecret.txt", "/..\\secret.txt", "/%252e%252e/secret.txt", "/%c0%ae%c0%ae/secret.txt",
        "/%e0%80%ae%e0%80%ae/secret.txt", "/....//secret.txt", "/..;/secret.txt", "/sub%2findex.html",
        "/%2fetc%2fpasswd",
        "//etc/passwd", "/sub//index.html", "/../served-not/secret.txt", "/../served/small.txt", "/small.txt/",
        "/small.txt/x", "/small.txt/../small.txt", "/small.txt%00", "/small.txt%00.html", "/%00", "/small.txt%0d%0a",
        "/small.txt%0a", "/%ff", "/small.txt%", "/small.txt%2", "/.hidden", "/%2ehidden", "/.git/config", "/.git/",
        "/.git", "/sub/.env", "/link.txt", "/inside.txt", "/up/secret.txt", "/up/served/small.txt", "/up/", "/loop",
        "/loop/x", "/zero", "/fifo", "/fifo/", "/bare", "/bare/", "/odd/", "/odd", "/absent", "/absent/", "/SMALL.TXT",
        "/small.txt;x", "/~root/", "/" + String(repeating: "a", count: 300), "/" + String(repeating: "a/", count: 40),
        "/" + String(repeating: "sub/../", count: 20) + "small.txt", "http://a/../secret.txt",
        "http://a/%2e%2e/secret.txt",
    ]

    @Test(arguments: ["/", "/files", "/deep/down"])
    func reachNothing(_ prefix: String) async throws {
        let tree = try FileTree()
        #expect(HostilePathTests.hostile.count >= 25)
        try await TestServer.run(try tree.routes(at: prefix)) { server in
            let client = try server.connect()
            defer { client.close() }
            for path in HostilePathTests.hostile {
                let target = prefix == "/" || path.hasPrefix("http") ? path : prefix + path
                let answer = try await client.get(target)
                #expect(answer.status == 404 || answer.status == 400, "\(target) is \(answer.status)")
                #expect(!answer.body.contains(FileTree.secret) && answer.fields["etag"] == nil, "\(target)")
                guard answer.fields["connection"] != "close" else {
                    Issue.record("\(target) ends the connection")
                    return
                }
            }
            let good = try await client.get(prefix == "/" ? "/small.txt" : "\(prefix)/small.txt")
            #expect(good.body == tree.small)
        }
    }

    /// A folder's name cannot make the redirect to it one to another site.
    @Test(arguments: [
        ("/", "/%5Cevil.example", "/%5Cevil.example/"), ("/", "/\\evil.example", "/%5Cevil.example/"),
        ("/", "/sub?x=1&y=//e", "/sub/?x=1&y=//e"), ("/", "/%73ub", "/sub/"), ("/files", "/files/sub", "/files/sub/"),
        ("/files", "/files", "/files/"), ("/files", "/files?a", "/files/?a"), ("/files", "/%66iles/sub", "/files/sub/"),
    ])
    func foldersAreFoundWithTheirSlash(_ prefix: String, _ target: String, _ location: String) async throws {
        let tree = try FileTree()
        try await TestServer.run(try tree.routes(at: prefix)) { server in
            let client = try server.connect()
            defer { client.close() }
            let answer = try await client.get(target)
            #expect(answer.status == 301 && answer.fields["location"] == location && answer.body.isEmpty)
            #expect(try await client.get(location).body.hasPrefix(target.contains("evil") ? "evil" : "the index"))
        }
    }

    @Test func otherMethodsAreRefused() async throws {
        let tree = try FileTree()
        try await TestServer.run(try tree.routes()) { server in
            let client = try server.connect()
            defer { client.close() }
            for method in ["PUT", "DELETE", "POST", "PROPFIND"] {
                let answer = try await client.get("/small.txt", method: method)
                #expect(answer.status == 405 && answer.fields["allow"] == "GET, HEAD, OPTIONS")
            }
        }
    }
}
