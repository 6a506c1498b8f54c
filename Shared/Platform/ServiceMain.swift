private import CLinux
public import Configuration
import Glibc

/// The frame of each service's executable: exit status 0 after an orderly stop, 78 (`EX_CONFIG`) for settings that are
/// wrong, all named on standard error, and 1 for any other failure.
public enum ServiceMain {
    public static func run(_ service: String, _ body: @Sendable (Environment) async throws -> Void) async {
        clinux_bound_heap()
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
