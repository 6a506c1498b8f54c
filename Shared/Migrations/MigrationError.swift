/// Why a database could not be migrated: a code, the file, what happened. The database is as it was before the file.
public struct MigrationError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// An applied file's text has changed: files are never edited, a later one mends what was wrong.
        case changed
        /// The database was migrated by a later build.
        case unknown
        /// The server refused a statement.
        case failed
        /// A lock was not to be had for as long as a file is tried.
        case locked
    }

    public let code: Code
    public let file: String
    public let message: String
    /// 1-based, where the server said where.
    public let line: Int?

    init(_ code: Code, file: String, _ message: String, line: Int? = nil) {
        self.code = code
        self.file = file
        self.message = message
        self.line = line
    }

    public var description: String {
        "migration \(file)\(line.map { " line \($0)" } ?? ""): \(code.rawValue): \(message)"
    }
}
