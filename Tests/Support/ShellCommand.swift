import Foundation

/// What a test's surroundings did wrong.
public struct TestSupportError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// Runs programs without blocking a thread that tests run on.
enum ShellCommand {
    private static let queue = DispatchQueue(label: "millrace.tests.commands", attributes: .concurrent)

    /// The program's standard output without its last line feed. Throws with its standard error if it fails.
    @discardableResult
    static func run(_ program: String, _ arguments: [String]) async throws -> String {
        try await offThread {
            let process = Process()
            let output = Pipe()
            let errors = Pipe()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            process.currentDirectoryURL = URL(fileURLWithPath: "/")
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = output
            process.standardError = errors
            try process.run()
            // A daemon that the program starts may keep its standard error open, so that is not read to the end first.
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                let message = String(decoding: errors.fileHandleForReading.availableData, as: UTF8.self)
                throw TestSupportError("\(program) \(arguments.joined(separator: " ")) failed: \(message)")
            }
            return text.trimmingCharacters(in: .newlines)
        }
    }

    static func offThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try body() }) }
        }
    }
}
