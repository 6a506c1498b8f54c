import Observability
import Testing

@testable import Configuration

@Suite struct SettingsTests {
    private func environment(_ variables: [String: String], files: [String: String] = [:]) -> Environment {
        Environment(variables) { path throws(Environment.FileFault) in
            guard let text = files[path] else { throw .init("cannot be opened") }
            return Array(text.utf8)
        }
    }

    @Test func aServiceHasItsDefaults() throws {
        var settings = Settings(environment(["DATABASE_URL": "postgres://db/x"]))
        let common = ServiceSettings(service: "ingest", defaultPort: 8081, from: &settings)
        try settings.finish()
        #expect(common.databaseURL.reveal() == "postgres://db/x")
        #expect(common.host == "127.0.0.1")
        #expect(common.port == 8081)
        #expect(common.role == .all)
        #expect(common.logLevel == .info)
        #expect(common.eventLoops == nil)
        #expect(common.drain == .seconds(25))
        #expect(common.statementTimeout == .seconds(60))
    }

    @Test(
        arguments: [
            ([:], nil), (["MILLRACE_LOG_LEVEL": "debug"], .milliseconds(50)),
            (["MILLRACE_LOOP_WATCH": "200ms"], .milliseconds(200)),
            (["MILLRACE_LOOP_WATCH": "0s", "MILLRACE_LOG_LEVEL": "debug"], nil),
        ] as [([String: String], Duration?)])
    func loopsAreWatchedWhereItIsAskedFor(_ variables: [String: String], _ limit: Duration?) throws {
        var settings = Settings(environment(variables.merging(["DATABASE_URL": "postgres://db/x"]) { own, _ in own }))
        #expect(ServiceSettings(service: "ingest", defaultPort: 8081, from: &settings).loopWatch == limit)
        try settings.finish()
    }

    @Test func theServicesOwnPortComesBeforeTheGeneralOne() {
        var both = Settings(environment(["MILLRACE_STORE_PORT": "1", "MILLRACE_LISTEN_PORT": "2"]))
        #expect(both.port(["MILLRACE_STORE_PORT", "MILLRACE_LISTEN_PORT"], default: 9) == 1)
        var general = Settings(environment(["MILLRACE_STORE_PORT": "", "MILLRACE_LISTEN_PORT": "2"]))
        #expect(general.port(["MILLRACE_STORE_PORT", "MILLRACE_LISTEN_PORT"], default: 9) == 2)
    }

    @Test func allFaultsAreReportedAtOnceAndNoSecretIsShown() throws {
        var settings = Settings(
            environment([
                "MILLRACE_ROLE": "boss", "MILLRACE_INGEST_PORT": "70000", "MILLRACE_POOL_SIZE": "-1",
                "MILLRACE_DRAIN": "25", "K": "planted", "K_FILE": "/k",
            ]))
        _ = ServiceSettings(service: "ingest", defaultPort: 8081, from: &settings)
        _ = settings.optionalSecret("K")
        let error = try #require(throws: ConfigurationError.self) { try settings.finish() }
        #expect(
            error.faults.map(\.name) == [
                "DATABASE_URL", "MILLRACE_ROLE", "MILLRACE_INGEST_PORT", "MILLRACE_POOL_SIZE", "MILLRACE_DRAIN", "K",
            ])
        let text = error.description
        #expect(text.contains(#"MILLRACE_ROLE must be one of all, api, worker, not "boss""#))
        #expect(text.contains(#"MILLRACE_INGEST_PORT must be a port from 0 to 65535, not "70000""#))
        #expect(!text.contains("planted"))
    }

    @Test func aSecretComesFromItsFileWithoutTheLineEnd() throws {
        var settings = Settings(environment(["K_FILE": "/run/k"], files: ["/run/k": "s3cret \r\n\n"]))
        #expect(settings.requiredSecret("K").reveal() == "s3cret ")
        try settings.finish()
    }

    @Test func aMissingAndAnEmptySecretFileAreFaults() throws {
        var settings = Settings(environment(["A_FILE": "/none", "B_FILE": "/empty"], files: ["/empty": "\n"]))
        _ = settings.requiredSecret("A")
        _ = settings.optionalSecret("B")
        let error = try #require(throws: ConfigurationError.self) { try settings.finish() }
        #expect(error.faults.map(\.name) == ["A_FILE", "B_FILE"])
    }

    @Test func aSecretNeverPrints() {
        let secret = Secret("planted")
        var dumped = ""
        dump(secret, to: &dumped)
        dump(["a": secret], to: &dumped)
        let texts = ["\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])", dumped]
        for text in texts {
            #expect(text.contains("<redacted>"))
            #expect(!text.contains("planted"))
        }
    }

    @Test func listsAreTrimmed() {
        var settings = Settings(environment(["L": " a, b ,, c"]))
        #expect(settings.list("L") == ["a", "b", "c"])
        #expect(settings.list("M", default: ["z"]) == ["z"])
    }

    @Test func theProcessEnvironmentIsRead() {
        #expect(Environment.process()["PATH"] != nil)
        #expect(Environment.process()["MILLRACE_NOT_SET_ANYWHERE"] == nil)
    }

    @Test func aDirectoryAndAnEndlessFileAreRefused() {
        #expect(throws: Environment.FileFault.self) { try ProcessEnvironment.read(path: "/") }
        #expect(throws: Environment.FileFault.self) { try ProcessEnvironment.read(path: "/dev/zero") }
        #expect(throws: Environment.FileFault("cannot be opened: No such file or directory")) {
            try ProcessEnvironment.read(path: "/proc/none")
        }
    }
}
