/// A PostgreSQL error code: five characters, of which the first two are its class (PostgreSQL manual, appendix A).
public struct SQLState: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let code: String

    public init(_ code: String) {
        self.code = code
    }

    public init(stringLiteral value: String) {
        code = value
    }

    public var description: String { code }

    /// The class: `23` of `23505`.
    public var classCode: String { String(code.prefix(2)) }

    /// The data is at fault (22 data exception, 23 integrity constraint, 54 program limit): the same values fail again.
    public var isDataFault: Bool {
        switch classCode {
        case "22", "23", "54": true
        default: false
        }
    }

    /// The transaction lost against another one or ran out of something: the same transaction may succeed if repeated.
    public var isTransient: Bool {
        switch classCode {
        case "40", "53", "55", "58": true
        case "57": self != .queryCanceled
        default: false
        }
    }

    /// The server is ending, starting or full, or ended this connection: nothing about the statement is wrong.
    public var isConnectionFault: Bool {
        switch self {
        case "57P01", "57P02", "57P03", "57P05", "53300", "25P03": true
        default: classCode == "08"
        }
    }

    /// The server's machine is at fault: a disk that is full or fails, memory that is not to be had. A limit that was
    /// set on purpose (53400: `temp_file_limit`) is none.
    public var isMachineFault: Bool {
        classCode == "58" || classCode == "53" && self != "53400"
    }

    /// A disk of the server's is full or fails: who waits until somebody has mended that may succeed.
    public var isDiskFault: Bool { self == .diskFull || self == "58030" }

    public static let diskFull: SQLState = "53100"
    /// A server process could not have the memory that its statement asked for; nothing else has come to harm.
    public static let outOfMemory: SQLState = "53200"
    /// No further connection: the server's, the database's or the role's limit is reached.
    public static let tooManyConnections: SQLState = "53300"
    public static let uniqueViolation: SQLState = "23505"
    public static let foreignKeyViolation: SQLState = "23503"
    public static let checkViolation: SQLState = "23514"
    public static let notNullViolation: SQLState = "23502"
    public static let serializationFailure: SQLState = "40001"
    public static let deadlockDetected: SQLState = "40P01"
    public static let lockNotAvailable: SQLState = "55P03"
    public static let tooManyColumns: SQLState = "54011"
    public static let queryCanceled: SQLState = "57014"
    public static let undefinedTable: SQLState = "42P01"
    public static let undefinedColumn: SQLState = "42703"
    public static let duplicateTable: SQLState = "42P07"
    public static let featureNotSupported: SQLState = "0A000"
    public static let invalidStatementName: SQLState = "26000"
    public static let inFailedTransaction: SQLState = "25P02"
}
