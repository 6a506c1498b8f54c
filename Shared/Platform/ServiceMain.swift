public import Configuration
import Glibc

/// The frame of each service's executable: exit status 0 after an orderly stop, 78 (`EX_CONFIG`) for settings that are
/// wrong, all named on standard error, 64 (`EX_USAGE`) for arguments that are, and 1 for any other failure.
public enum ServiceMain {
    public typealias Command = @Sendable (Environment) async throws -> Void

    /// Runs `serve`, or the command that the one argument names. Each service has `health`, which asks the process
    /// that serves here, by the same settings, whether it is ready. `port` is the service's own.
    public static func run(
        _ service: String, port: UInt16, commands: [String: Command] = [:], _ serve: @escaping Command
    ) async {
        let all = commands.merging(["health": { try HealthProbe(service, port: port, $0).ask() }]) { own, _ in own }
        let arguments = CommandLine.arguments.dropFirst()
        guard let body = arguments.isEmpty ? serve : all[arguments.joined(separator: " ")] else {
            let known = all.keys.sorted().joined(separator: ", ")
            complain(["millrace-\(service): unknown command: \(arguments.joined(separator: " ")); there are: \(known)"])
            exit(64)
        }
        do {
            try await body(Environment.process())
        } catch let error as ConfigurationError {
            complain(error.faults.map { "millrace-\(service): \($0.name) \($0.message)" })
            exit(78)
        } catch {
            complain(["millrace-\(service): \(error)"])
            exit(1)
        }
    }

    private static func complain(_ lines: [String]) {
        let text = Array(lines.map { $0 + "\n" }.joined().utf8)
        _ = unsafe write(STDERR_FILENO, text, text.count)
    }
}
