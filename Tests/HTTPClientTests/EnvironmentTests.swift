import EventLoop
import Glibc
import HTTP
import HTTPServer
import Testing

@testable import HTTPClient

/// What the environment says must not matter: in a process of its own, which says it before anything else runs.
@Suite("HTTP client: environment")
struct EnvironmentTests {
    @Test("Proxies of the environment are ignored")
    func proxies() async {
        await #expect(processExitsWith: .success) {
            // Nothing listens there: a request that went by it would fail.
            for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                unsafe setenv(name, "http://127.0.0.1:1", 1)
            }
            unsafe setenv("no_proxy", "", 1)
            try await Bench.run([hello]) { bench in
                let response = try await bench.get("/hello")
                #expect(response.text == "hello")
            }
        }
    }

    @Test("A proxy of the environment is no way around the address policy")
    func proxyAsDetour() async {
        await #expect(processExitsWith: .success) {
            let asked = Tally()
            // A server that would answer for any host.
            let any = route(.get, "/hello") { _ in
                asked.add()
                return .text(.ok, "by proxy")
            }
            try await Bench.run([any]) { bench in
                unsafe setenv("http_proxy", "http://127.0.0.1:\(bench.port)", 1)
                let request = ClientRequest(.get, "http://10.0.0.1/hello")
                let code = await reason { _ = try await bench.client.collect(request) }
                #expect(code == .addressRefused && asked.value == 0)
            }
        }
    }

    @Test("Credentials of a netrc file are not sent")
    func netrc() async {
        await #expect(processExitsWith: .success) {
            let home = "/tmp/millrace-netrc-\(getpid())"
            unsafe mkdir(home, 0o700)
            defer { unsafe rmdir(home) }
            let path = home + "/.netrc"
            let file = unsafe fopen(path, "w")
            unsafe fputs("machine 127.0.0.1 login user password secret\ndefault login user password secret\n", file)
            unsafe fclose(file)
            defer { unsafe unlink(path) }
            unsafe setenv("HOME", home, 1)
            let show = route(.get, "/show") { .text(.ok, $0.head["authorization"] ?? "none") }
            try await Bench.run([show]) { bench in
                let response = try await bench.get("/show")
                #expect(response.text == "none")
            }
        }
    }

    @Test("Cookies are not kept")
    func cookies() async throws {
        let set = route(.get, "/set") { request in
            Response(.ok, headers: ["set-cookie": "a=b"], body: .bytes(Array((request.head["cookie"] ?? "none").utf8)))
        }
        try await Bench.run([set]) { bench in
            for _ in 0..<2 {
                let response = try await bench.get("/set")
                #expect(response.text == "none")
            }
        }
    }
}
