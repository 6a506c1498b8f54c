/// Checks UTF-8 that comes in pieces, and notices the first octet that no continuation can mend (RFC 3629).
struct UTF8Check {
    /// Octets of the current character that are still to come.
    private var missing = 0
    /// What the next of them may be; narrower than 80…BF only for the second octet.
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    /// Between two characters: where a text may end.
    var isComplete: Bool { missing == 0 }

    /// False once the octets so far begin no UTF-8 text; the check is not to be used again then.
    mutating func accepts(_ octets: Span<UInt8>) -> Bool {
        var index = 0
        while index < octets.count {
            let octet = octets[index]
            index += 1
            if missing == 0 {
                guard octet >= 0x80 else { continue }
                guard begin(octet) else { return false }
            } else {
                guard octet >= lowest, octet <= highest else { return false }
                missing -= 1
                lowest = 0x80
                highest = 0xBF
            }
        }
        return true
    }

    /// Takes the first octet of a character of several. Overlong forms, surrogates and what is beyond U+10FFFF are
    /// told by the second octet.
    private mutating func begin(_ octet: UInt8) -> Bool {
        switch octet {
        case 0xC2...0xDF: missing = 1
        case 0xE0...0xEF:
            missing = 2
            if octet == 0xE0 { lowest = 0xA0 }
            if octet == 0xED { highest = 0x9F }
        case 0xF0...0xF4:
            missing = 3
            if octet == 0xF0 { lowest = 0x90 }
            if octet == 0xF4 { highest = 0x8F }
        default: return false
        }
        return true
    }
}
