/// Why a pair of certificate and key cannot be used.
public struct TLSFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Which of the two is at fault.
    public enum File: String, Sendable {
        case certificate, key
    }

    public let file: File
    /// What is wrong with it, as what follows "a file that …". It says nothing of what is in the file.
    public let reason: String

    init(_ file: File, _ reason: String) {
        self.file = file
        self.reason = reason
    }

    public var description: String { "the \(file.rawValue) file \(reason)" }
}
