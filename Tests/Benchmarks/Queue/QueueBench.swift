import EventLoop
import Foundation
import Observability
import Postgres

/// The queue's library under measurement; Tests/Benchmarks/bench_queue.py says what is measured and starts it.
///
///     queue-bench work|enqueue|pickup|offer|array --url <database URL> [--<option> <value> ...]
///
/// Prints one line of JSON for each interval and one at the end, on standard output.
@main struct QueueBench {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 1, let options = Options(arguments.dropFirst(2)) else { usage() }
        switch arguments[1] {
        case "work": try await WorkMode(options).run()
        case "enqueue": try await EnqueueMode(options).run()
        case "pickup": try await PickupMode(options).run()
        case "array": try await ArrayMode(options).run()
        case "offer": try await OfferMode(options).run()
        default: usage()
        }
    }

    private static func usage() -> Never {
        FileHandle.standardError.write(
            Data("queue-bench work|enqueue|pickup|offer|array --url URL [--option value ...]\n".utf8))
        exit(64)
    }
}

/// `--name value` pairs.
struct Options {
    private var values: [String: String] = [:]
    let url: String

    /// Nil when a name has no value, or the URL is missing.
    init?(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let name = rest.popFirst() {
            guard name.hasPrefix("--"), let value = rest.popFirst() else { return nil }
            values[String(name.dropFirst(2))] = value
        }
        guard let url = values["url"] else { return nil }
        self.url = url
    }

    func text(_ name: String, _ standard: String) -> String { values[name] ?? standard }
    func int(_ name: String, _ standard: Int) -> Int { values[name].flatMap { Int($0) } ?? standard }
    func double(_ name: String, _ standard: Double) -> Double { values[name].flatMap { Double($0) } ?? standard }

    func database(poolSize: Int) throws -> PostgresConfiguration {
        var configuration = try PostgresConfiguration(
            url: url, applicationName: "queue-bench", poolSize: poolSize, connectTimeout: .seconds(20))
        configuration.acquireTimeout = .seconds(30)
        if text("statements", "named") == "unnamed" { configuration.statementMode = .unnamed }
        return configuration
    }

    func loops() throws -> EventLoopGroup {
        try EventLoopGroup(count: int("loops", 2), name: "bench")
    }

    /// Warnings and errors on standard error, so that a figure is not taken from a run that went wrong.
    var logger: Logger { Logger(service: "queue-bench", level: .warning) }
}

/// Where figures go, and the clocks they are taken by.
enum Report {
    static func line(_ members: [(String, any CustomStringConvertible)]) {
        let text = members.map { #""\#($0.0)": \#($0.1.description)"# }.joined(separator: ", ")
        FileHandle.standardOutput.write(Data("{\(text)}\n".utf8))
    }

    /// Seconds since 1970, as the server's clock has them.
    static var time: Double { Date.now.timeIntervalSince1970 }

    /// Seconds of processor time that the process has used.
    static var processorTime: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
