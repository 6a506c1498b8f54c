import EventLoop
import HTTP
import Testing

@testable import HTTPServer

@Suite struct FilePathTests {
    @Test(
        arguments: [
            ("/", 0, [], true), ("", 0, [], true), ("/a", 0, ["a"], false), ("/a/", 0, ["a"], true),
            ("/a/b.js", 0, ["a", "b.js"], false), ("/files", 1, [], false), ("/files/", 1, [], true),
            ("/files/a%20b", 1, ["a b"], false), ("/x/y/z", 2, ["z"], false), ("/%61", 0, ["a"], false),
            ("/a%25", 0, ["a%"], false), ("/c%5Cd", 0, ["c\\d"], false), ("/%C3%A9", 0, ["é"], false),
        ] as [(String, Int, [String], Bool)])
    func names(_ path: String, _ mount: Int, _ names: [String], _ isFolder: Bool) throws {
        let read = try #require(FilePath(Array(path.utf8)[...], below: mount))
        #expect(read.names == names && read.isFolder == isFolder)
    }

    /// Refused before anything is looked up: what the kernel would say to them does not matter.
    @Test(arguments: [
        "/..", "/../", "/../a", "/a/..", "/a/../b", "/./a", "/.", "/%2e%2e/a", "/%2E./a", "/.%2e/a", "/a%2fb", "/%2F",
        "/..%2fa", "//a", "/a//b", "/a//", "/.a", "/a/.b/c", "/%2ea", "/a%00", "/%00", "/a%0a", "/a%7f", "/a%1fb", "/%",
        "/a%zz", "/%ff", "/%c0%ae%c0%ae/a", "/" + String(repeating: "n", count: 256),
        String(repeating: "/a", count: 33),
    ])
    func refuses(_ path: String) {
        #expect(FilePath(Array(path.utf8)[...], below: 0) == nil)
    }

    @Test(arguments: [
        ("/a.html", "text/html; charset=utf-8"), ("/", "text/html; charset=utf-8"),
        ("/a.JS", "text/javascript; charset=utf-8"),
        ("/a.json", "application/json"), ("/a.svg", "image/svg+xml"), ("/a.tar.gz", "application/gzip"),
        ("/a", "application/octet-stream"), ("/js", "application/octet-stream"), ("/a.", "application/octet-stream"),
        ("/a.php", "application/octet-stream"), ("/a.html/", "text/html; charset=utf-8"),
    ])
    func typesGoByTheExtension(_ path: String, _ type: String) throws {
        #expect(FileType.of(try #require(FilePath(Array(path.utf8)[...], below: 0))) == type)
    }

    /// The system calls themselves follow no link and lead nowhere up, even if a path got past the reader.
    @Test(arguments: [
        "../secret.txt", "sub/../index.html", "./index.html", "", "/index.html", "sub//index.html", ".hidden",
    ])
    func theKernelIsNotAskedForSuchPathsEither(_ path: String) throws {
        let tree = try FileTree()
        let directory = try FileCalls.openDirectory(tree.root)
        defer { FileCalls.close(directory) }
        #expect(throws: StaticFilesError.system(call: "openat", errno: 2)) {
            try OpenFile(path, below: directory)
        }
    }

    @Test func aRootThatIsNoFolderIsRefused() throws {
        let tree = try FileTree()
        #expect(throws: StaticFilesError.self) { try StaticFiles(root: "\(tree.root)/small.txt") }
        #expect(throws: StaticFilesError.self) { try StaticFiles(root: "\(tree.root)/absent") }
    }
}
