/// The grammar of setting values.
enum SettingText {
    static func trimmed(_ text: Substring) -> String {
        let end = text.lastIndex { !$0.isWhitespace }.map { text.index(after: $0) } ?? text.startIndex
        return String(text[..<end].drop { $0.isWhitespace })
    }

    /// A value as an error shows it: cut, and on one line.
    static func quoted(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(64).map { $0.value < 32 ? " " : String($0) }.joined()
        return "\"\(shown)\"" + (text.unicodeScalars.count > 64 ? "…" : "")
    }

    /// An optional minus and digits; no plus, no space.
    static func integer(_ text: String) -> Int? {
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard !digits.isEmpty, digits.allSatisfy(isDigit) else { return nil }
        return Int(text)
    }

    static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    static func byteCount(_ text: String) -> Int? {
        let (number, unit) = split(text[...])
        guard let number, let factor = byteFactor(unit) else { return nil }
        let (count, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : count
    }

    private static func byteFactor(_ unit: Substring) -> Int? {
        switch unit {
        case "", "B": 1
        case "Ki", "KiB": 1 << 10
        case "Mi", "MiB": 1 << 20
        case "Gi", "GiB": 1 << 30
        case "Ti", "TiB": 1 << 40
        case "k", "kB", "KB": 1000
        case "M", "MB": 1_000_000
        case "G", "GB": 1_000_000_000
        case "T", "TB": 1_000_000_000_000
        default: nil
        }
    }

    /// Numbers with units, the larger unit first, each at most once; a bare `0` needs none.
    static func duration(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        var rest = text[...]
        var microseconds = 0
        var smallest = Int.max
        repeat {
            let (number, tail) = split(rest)
            let unit = tail.prefix { !$0.isNumber }
            rest = tail.dropFirst(unit.count)
            guard let number, let factor = microsecondFactor(unit), factor < smallest else { return nil }
            let (part, overflow) = number.multipliedReportingOverflow(by: factor)
            let (sum, carried) = microseconds.addingReportingOverflow(part)
            guard !overflow, !carried else { return nil }
            microseconds = sum
            smallest = factor
        } while !rest.isEmpty
        return .microseconds(microseconds)
    }

    private static func microsecondFactor(_ unit: Substring) -> Int? {
        switch unit {
        case "us": 1
        case "ms": 1000
        case "s": 1_000_000
        case "m": 60_000_000
        case "h": 3_600_000_000
        case "d": 86_400_000_000
        default: nil
        }
    }

    private static func split(_ text: Substring) -> (number: Int?, unit: Substring) {
        let digits = text.prefix { $0.utf8.count == 1 && $0.utf8.allSatisfy(isDigit) }
        return (Int(digits), text[digits.endIndex...])
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
