/// What went wrong with keys and workspaces, apart from the database's own errors.
public struct AccessError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// A configured key has not the form of one.
        case malformedKey
        /// The system gave no random bytes.
        case noRandomness
        /// No workspace of this name.
        case unknownWorkspace
        /// The workspace is being deleted.
        case workspaceDeleted
        /// Queries of several workspaces cannot be kept apart in this database.
        case notKeptApart
        /// Scopes that do not exist.
        case unknownScope
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
