/// Classes of octets in HTTP's grammar (RFC 9110, section 5.6).
enum Octets {
    static let cr: UInt8 = 0x0D
    static let lf: UInt8 = 0x0A
    static let space: UInt8 = 0x20
    static let tab: UInt8 = 0x09
    static let colon = UInt8(ascii: ":")

    /// `tchar` as two bit sets, for the octets below 64 and those from there to 127: letters, digits and
    /// ``!#$%&'*+-.^_`|~``.
    static func isToken(_ byte: UInt8) -> Bool {
        let set: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
        return byte < 128 && set >> UInt64(byte & 63) & 1 == 1
    }

    static func isToken(_ bytes: some Sequence<UInt8>) -> Bool {
        var count = 0
        for byte in bytes {
            guard isToken(byte) else { return false }
            count += 1
        }
        return count > 0
    }

    /// What a field's value may hold: visible octets, space, tab, and the obsolete ones from 0x80.
    static func isFieldValue(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == tab }

    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Whether `bytes` are `name` (in lower case) without regard to case.
    static func equal(_ bytes: ArraySlice<UInt8>, _ name: String) -> Bool {
        equal(bytes.span, name)
    }

    static func equal(_ bytes: Span<UInt8>, _ name: String) -> Bool {
        let expected = name.utf8.span
        guard bytes.count == expected.count else { return false }
        for index in expected.indices where lowercased(bytes[index]) != expected[index] { return false }
        return true
    }

    /// Whether `bytes` are just `text`.
    static func same(_ bytes: Span<UInt8>, _ text: String) -> Bool {
        let expected = text.utf8.span
        guard bytes.count == expected.count else { return false }
        for index in expected.indices where bytes[index] != expected[index] { return false }
        return true
    }

    /// Whether the text holds what could end a header line, or a string in C: CR, LF or NUL.
    static func hasLineEnd(_ text: String) -> Bool {
        let octets = text.utf8.span
        for index in octets.indices {
            let octet = octets[index]
            if octet == cr || octet == lf || octet == 0 { return true }
        }
        return false
    }

    /// The octets without spaces and tabs at either end.
    static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var bytes = bytes
        while let first = bytes.first, first == space || first == tab { bytes.removeFirst() }
        while let last = bytes.last, last == space || last == tab { bytes.removeLast() }
        return bytes
    }

    /// The members of a comma-separated list, trimmed; empty members are dropped (RFC 9110, section 5.6.1.2).
    static func list(_ bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        bytes.split(separator: UInt8(ascii: ",")).map(trimmed).filter { !$0.isEmpty }
    }
}
