import EventLoop
import Foundation
import HTTPServer
import Testing

/// A folder with certificates for `localhost` and 127.0.0.1 that signed themselves. It goes with the last reference.
final class TLSFolder: Sendable {
    enum Kind: String {
        case ecdsa = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
        case rsa = "-newkey rsa:2048"
        case weak = "-newkey rsa:1024"
    }

    let path: String
    var certificate: String { file("certificate") }
    var key: String { file("key") }

    /// With a pair under the names `certificate` and `key`.
    init(_ kind: Kind = .ecdsa) async throws {
        path = NSTemporaryDirectory() + "millrace-tls-\(UUID())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try await make("certificate", "key", kind)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func files() throws -> TLSFiles { try TLSFiles(certificate: certificate, key: key) }

    /// Makes a pair; `options` are further ones of `openssl req`.
    func make(_ certificate: String, _ key: String, _ kind: Kind = .ecdsa, _ options: String = "-nodes") async throws {
        let run = await ChildProcess.run(
            "/bin/sh",
            [
                "-c",
                """
                openssl req -new -x509 -days 90 \(kind.rawValue) \(options) -subj /CN=localhost \
                    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$1" -out "$2"
                """, "make", file(key), file(certificate),
            ])
        try #require(run.status == 0, "\(run.output)")
    }

    /// Puts one file in another's place, as a renewal does.
    func rename(_ name: String, to other: String) throws {
        try #require(unsafe Foundation.rename(file(name), file(other)) == 0)
    }
}

/// A program that a test has something done by, on threads of its own.
final class ChildProcess: Sendable {
    private let input = Pipe()
    private let output = Pipe()

    /// Runs a program to its end. Its standard error is part of its output.
    static func run(_ program: String, _ arguments: [String]) async -> (status: Int32, output: String) {
        await ChildProcess().run(program, arguments)
    }

    /// The same; meanwhile `send` talks to it.
    func run(_ program: String, _ arguments: [String]) async -> (status: Int32, output: String) {
        await BlockingCalls.run { [self] in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            process.standardInput = input
            process.standardOutput = output
            process.standardError = output
            do {
                try process.run()
            } catch {
                return (127, "\(error)")
            }
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (process.terminationStatus, text)
        }
    }

    /// Writes a line to its standard input.
    func send(_ line: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    }
}

extension TestServer {
    /// Runs a client in Python, whose assertions are the test's, and returns what it printed. It knows `port`,
    /// `context`, which trusts the folder's certificate, and what is in `PythonClient`.
    @discardableResult
    func python(_ folder: TLSFolder, _ script: String, in process: ChildProcess = ChildProcess()) async -> String {
        let run = await process.run(
            "/usr/bin/python3", ["-B", "-c", PythonClient.prelude + script, "\(port)", folder.certificate])
        #expect(run.status == 0, "\(run.output)")
        return run.output
    }
}
