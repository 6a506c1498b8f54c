/// A JSON text that cannot be read, and where: the first place at which it stops being JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    public let message: String
    /// Line of the fault, from 1.
    public let line: Int
    /// Column of the fault in Unicode scalars, from 1.
    public let column: Int
    /// Byte of the fault, from 0.
    public let offset: Int

    public var description: String { "\(message) at line \(line), column \(column)" }

    init(_ message: String, at offset: Int, of bytes: [UInt8]) {
        var line = 1
        var column = 1
        for byte in bytes.prefix(offset) {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        self.message = message
        self.line = line
        self.column = column
        self.offset = offset
    }
}
