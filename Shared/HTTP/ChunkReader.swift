/// Reads a chunked body's framing (RFC 9112, section 7.1) octet by octet, up to its last chunk's line.
struct ChunkReader: Sendable {
    enum Event {
        case needsInput
        case data(Range<Int>)
        /// The line of the last chunk is read; the trailer section follows.
        case last
    }

    private enum State: Sendable {
        /// In the size, of which this many digits have come.
        case size(digits: Int)
        /// In the white space that may stand between the size and an extension's semicolon.
        case spaceAfterSize
        case chunkExtension
        /// After the CR of a size line.
        case sizeLineFeed
        case data
        case dataReturn
        case dataLineFeed
    }

    /// More digits than any chunk needs; the value is checked as well.
    private static let maximumDigits = 16

    private var state = State.size(digits: 0)
    private var remaining = 0
    private var extensionOctets = 0
    private let extensionLimit: Int

    init(extensionLimit: Int) {
        self.extensionLimit = extensionLimit
    }

    mutating func read(_ buffer: [UInt8], _ position: inout Int, _ end: Int) throws(RequestFault) -> Event {
        while position < end {
            let byte = buffer[position]
            switch state {
            case .data:
                let piece = position..<(position + min(end - position, remaining))
                position = piece.upperBound
                remaining -= piece.count
                if remaining == 0 { state = .dataReturn }
                return .data(piece)
            case .size(let digits):
                try readSize(byte, digits)
            case .spaceAfterSize:
                try readSpace(byte)
            case .chunkExtension:
                try readExtension(byte)
            case .sizeLineFeed:
                guard byte == Octets.lf else { throw RequestFault(.malformed, "bare CR after a chunk's size") }
                if remaining == 0 {
                    position += 1
                    return .last
                }
                state = .data
            case .dataReturn:
                guard byte == Octets.cr else { throw RequestFault(.malformed, "a chunk is longer than its size") }
                state = .dataLineFeed
            case .dataLineFeed:
                guard byte == Octets.lf else { throw RequestFault(.malformed, "a chunk does not end in CRLF") }
                state = .size(digits: 0)
            }
            position += 1
        }
        return .needsInput
    }

    private mutating func readSize(_ byte: UInt8, _ digits: Int) throws(RequestFault) {
        if let digit = Octets.hexadecimal(byte) {
            guard digits < ChunkReader.maximumDigits, remaining <= Int.max >> 4 else {
                throw RequestFault(.malformed, "a chunk's size is out of range")
            }
            remaining = remaining << 4 | Int(digit)
            state = .size(digits: digits + 1)
        } else if digits > 0, byte == Octets.cr {
            state = .sizeLineFeed
        } else if digits > 0 {
            try readSpace(byte)
        } else {
            throw RequestFault(.malformed, "malformed chunk size")
        }
    }

    /// An extension's semicolon, or the white space that is bad but must be understood before it; none may stand before
    /// the line's end.
    private mutating func readSpace(_ byte: UInt8) throws(RequestFault) {
        switch byte {
        case UInt8(ascii: ";"):
            state = .chunkExtension
        case Octets.space, Octets.tab:
            try countExtension()
            state = .spaceAfterSize
        default:
            throw RequestFault(.malformed, "malformed chunk size")
        }
    }

    private mutating func readExtension(_ byte: UInt8) throws(RequestFault) {
        if byte == Octets.cr {
            state = .sizeLineFeed
            return
        }
        guard Octets.isFieldValue(byte) else { throw RequestFault(.malformed, "malformed chunk extension") }
        try countExtension()
    }

    private mutating func countExtension() throws(RequestFault) {
        extensionOctets += 1
        guard extensionOctets <= extensionLimit else {
            throw RequestFault(.malformed, "chunk extensions are longer than \(extensionLimit) octets")
        }
    }
}
