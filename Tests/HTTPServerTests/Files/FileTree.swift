import Foundation
import Glibc
import HTTP
import Synchronization

@testable import HTTPServer

/// A folder that is served, with things around it and in it that must not be.
final class FileTree: Sendable {
    /// What no answer may ever hold.
    static let secret = "the secret"
    /// Sun, 06 Nov 1994 08:49:37 GMT, when all files were modified.
    static let modified: Int64 = 784_111_777
    static let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    /// A time at which every file has been at rest for long.
    static let later: Int64 = 4_000_000_000

    private let base: String
    var root: String { "\(base)/served" }

    /// 100 octets; read at once.
    private static let small = String((0..<100).map { Character(UnicodeScalar(0x20 + UInt8($0 % 90))) })
    /// Compresses well; read at once.
    private static let script = String(repeating: "export const answer = 42;\n", count: 100)
    /// Read piece by piece.
    private static let large = (0..<40_000).map { "line \($0 % 7919)\n" }.joined()

    var small: String { FileTree.small }
    var script: String { FileTree.script }
    var large: String { FileTree.large }

    init() throws {
        var template = Array("/tmp/millrace-files-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        base = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for folder in ["sub", "bare", "odd/index.html", ".git", "\\evil.example", "a b"] { try makeFolder(folder) }
        try FileManager.default.createDirectory(atPath: "\(base)/served-not", withIntermediateDirectories: false)
        for path in ["../secret.txt", "../served-not/secret.txt", ".hidden", ".git/config", "sub/.env"] {
            try write(FileTree.secret, to: path)
        }
        try write("the index", to: "index.html")
        try write("the index of sub", to: "sub/index.html")
        try write("evil", to: "\\evil.example/index.html")
        try write("spaced", to: "a b/c+d%20é.txt")
        try write("", to: "empty.txt")
        try write(small, to: "small.txt")
        try write(script, to: "app.js")
        try write(large, to: "large.txt")
        try link("link.txt", to: "../secret.txt")
        try link("inside.txt", to: "small.txt")
        try link("up", to: "..")
        try link("loop", to: "loop")
        try link("zero", to: "/dev/zero")
        guard unsafe mkfifo("\(root)/fifo", 0o600) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    deinit { try? FileManager.default.removeItem(atPath: base) }

    func files(caching: FileCaching = .revalidate, now: Int64 = later) throws -> StaticFiles {
        try StaticFiles(root: root, caching: caching) { now }
    }

    func routes(at prefix: String = "/", now: Int64 = later) throws -> [Route] {
        try files(now: now).routes(at: prefix, id: "getFile", summary: "A file")
    }

    func write(_ text: String, to path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(root)/\(path)"))
        try touch(path)
    }

    /// Sets the time of modification, for dates that are known.
    func touch(_ path: String) throws {
        let date = Date(timeIntervalSince1970: TimeInterval(FileTree.modified))
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: "\(root)/\(path)")
    }

    /// A file of zeros that takes no space.
    func makeSparse(_ path: String, length: Int) throws {
        try write("", to: path)
        try resize(path, to: length)
    }

    func resize(_ path: String, to length: Int) throws {
        guard unsafe truncate("\(root)/\(path)", length) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// Writes over the last octet, where the file lies.
    func overwriteEnd(of path: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(root)/\(path)"))
        let end = try handle.seekToEnd()
        try handle.seek(toOffset: end - 1)
        try handle.write(contentsOf: Data("X".utf8))
        try handle.close()
    }

    func rename(_ from: String, to path: String) throws {
        guard unsafe Glibc.rename("\(root)/\(from)", "\(root)/\(path)") == 0 else {
            throw CocoaError(.fileWriteUnknown)
        }
    }

    private func makeFolder(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: "\(root)/\(path)", withIntermediateDirectories: true)
    }

    private func link(_ path: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: "\(root)/\(path)", withDestinationPath: target)
    }
}

extension TestClient {
    /// Sends a GET, or another request without a body, and takes its answer.
    func get(_ target: String, _ headers: HTTPHeaders = [:], method: String = "GET") async throws -> Answer {
        var octets = Array("\(method) \(target) HTTP/1.1\r\nHost: a\r\n".utf8)
        headers.encode(into: &octets)
        try await send(octets + Array("\r\n".utf8))
        return try await answer(isHead: method == "HEAD")
    }
}
