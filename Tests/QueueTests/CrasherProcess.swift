import Foundation

/// The program QueueCrasher, run beside the test's own process.
final class CrasherProcess: @unchecked Sendable {
    private let process = Process()

    /// Built into the directory of the test's own executable.
    init(_ url: String, mode: String, slots: Int = 1) throws {
        let here = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        process.executableURL = URL(fileURLWithPath: here).deletingLastPathComponent()
            .appendingPathComponent("QueueCrasher")
        process.arguments = [url, mode, String(slots)]
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    func signal(_ number: Int32) {
        kill(process.processIdentifier, number)
    }

    var isRunning: Bool { process.isRunning }

    /// Returns the signal that ended it, or nil when it exited.
    func ended() async throws -> Int32? {
        while process.isRunning { try await Task.sleep(for: .milliseconds(20)) }
        return process.terminationReason == .uncaughtSignal ? process.terminationStatus : nil
    }
}
