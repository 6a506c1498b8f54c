import Foundation

/// What Python's standard library makes of an input: a second opinion that has nothing of ours.
public enum PythonOracle {
    /// Runs a script that reads a file of these bytes, whose path is its first argument; gives what it prints.
    public static func run(_ script: String, on input: [UInt8]) async throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "oracle-\(UUID().uuidString)")
        try Data(input).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try await ShellCommand.run("/usr/bin/python3", ["-I", "-c", script, file.path])
    }
}
