/// The variables and secret files that a process was started with.
public struct Environment: Sendable {
    /// Reads a small text file; throws a sentence that says why it cannot, without the path.
    public typealias FileReader = @Sendable (_ path: String) throws(FileFault) -> [UInt8]

    /// Why a file could not be read.
    public struct FileFault: Error, Equatable {
        public let reason: String

        public init(_ reason: String) {
            self.reason = reason
        }
    }

    /// The most bytes a secret's file may have.
    public static let maximumFileSize = 64 * 1024

    private let variables: [String: String]
    private let readFile: FileReader

    /// An environment made of these variables; `readFile` serves the names that end in `_FILE`.
    public init(_ variables: [String: String], readFile: @escaping FileReader = ProcessEnvironment.read(path:)) {
        self.variables = variables
        self.readFile = readFile
    }

    /// The environment of this process, as it is now.
    public static func process() -> Environment {
        Environment(ProcessEnvironment.variables())
    }

    /// A variable's value; one that is set to nothing counts as not set.
    public subscript(_ name: String) -> String? {
        guard let value = variables[name], !value.isEmpty else { return nil }
        return value
    }

    /// A file's text without the line ends after it.
    func text(ofFile path: String) throws(FileFault) -> String {
        var bytes = try readFile(path)[...]
        while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw FileFault("is not UTF-8 text") }
        return text
    }
}
