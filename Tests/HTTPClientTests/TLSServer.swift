import EventLoop
import Foundation

/// An HTTPS server in a process of its own, with a certificate for `tls.test` that signed itself. It answers `hello` to
/// `/`, and redirects from there to what a query names.
final class TLSServer: Sendable {
    struct Failure: Error {}

    let port: UInt16
    /// The certificate, for a client that is to trust it.
    let certificate: String

    private init(port: UInt16, certificate: String) {
        self.port = port
        self.certificate = certificate
    }

    /// `options` go to the server's `ssl.SSLContext`, as statements about `context`.
    static func run(_ options: String = "", _ body: (TLSServer) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("millrace-tls-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        // The server ends with its standard input, and so with this process.
        let lifeline = Pipe()
        defer { try? lifeline.fileHandleForWriting.close() }
        let line = try await BlockingCalls.run {
            Result { try start(["-c", script, "tls-server", directory.path, options], lifeline) }
        }.get()
        guard let port = UInt16(line.trimmingCharacters(in: .whitespacesAndNewlines)) else { throw Failure() }
        try await body(TLSServer(port: port, certificate: directory.appendingPathComponent("certificate").path))
    }

    /// Starts the process; what it says first.
    private static func start(_ arguments: [String], _ lifeline: Pipe) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = arguments
        process.standardInput = lifeline
        process.standardOutput = output
        try process.run()
        return String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    }

    private static let script = #"""
        openssl req -new -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=tls.test \
            -addext subjectAltName=DNS:tls.test -keyout "$1/key" -out "$1/certificate" >/dev/null 2>&1 || exit 1
        exec python3 -B -c '
        import http.server, os, ssl, sys, threading

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                location = self.path.partition("?")[2]
                self.send_response(302 if location else 200)
                if location:
                    self.send_header("location", location)
                self.send_header("content-length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

            def log_message(self, *arguments):
                pass

        directory, options = sys.argv[1:]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory + "/certificate", directory + "/key")
        exec(options)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *arguments: None
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        os._exit(0)
        ' "$1" "$2"
        """#
}
