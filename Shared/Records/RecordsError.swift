/// A failure of a whole body, frame or chunk. What is wrong with one record is a ``RowFault``.
public struct RecordsError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The body cannot be cut into records.
        case unsplittable
        /// The body holds more records, or a longer header, than the limits allow.
        case limit
        /// A compressed body is damaged, cut short or followed by something else.
        case corruptCompression
        /// A compressed body or frame expands beyond the limit.
        case expandedTooLarge
        /// A frame's bytes are not what an encoder writes.
        case corruptFrame
        /// Frames of different formats or headers cannot be joined.
        case incompatibleFrames
        /// A column that is to be encoded has no type yet.
        case untypedColumn
        /// COPY bytes that cannot be cut into rows.
        case corruptCopy
        /// A library refused to work (out of memory, for one).
        case library
    }

    /// A place in a body: line and column from 1 (the column in bytes), byte offset from 0.
    public struct Position: Sendable, Equatable {
        public var line: Int
        public var column: Int
        public var byte: Int

        public init(line: Int, column: Int, byte: Int) {
            self.line = line
            self.column = column
            self.byte = byte
        }
    }

    public var code: Code
    public var message: String
    public var position: Position?

    public init(_ code: Code, _ message: String, at position: Position? = nil) {
        self.code = code
        self.message = message
        self.position = position
    }

    public var description: String {
        guard let position else { return "\(code.rawValue): \(message)" }
        return "\(code.rawValue): \(message) (line \(position.line), column \(position.column), byte \(position.byte))"
    }
}
