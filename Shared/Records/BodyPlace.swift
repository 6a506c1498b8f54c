private import CSimdJSON

/// How far a body has been read: bytes, lines, and where the line began.
struct BodyPlace: Sendable {
    private(set) var byte = 0
    private var lines = 0
    private var lineStart = 0

    var position: RecordsError.Position {
        RecordsError.Position(line: lines + 1, column: byte - lineStart + 1, byte: byte)
    }

    mutating func pass(_ bytes: UnsafeBufferPointer<UInt8>) {
        var last = -1
        lines += unsafe mr_count_lines(bytes.baseAddress, bytes.count, &last)
        if last >= 0 { lineStart = byte + last + 1 }
        byte += bytes.count
    }

    /// Steps over a byte order mark, which counts as bytes of the body but not of its first line.
    mutating func skipMark() {
        byte += 3
        lineStart = byte
    }
}
