@testable import Expressions

/// Formats of `to_date` and `to_timestamp` made by chance, with texts that follow them more or less.
struct ReadingSource {
    /// A pattern, what a text says for it, and whether these are digits that may be more, fewer or signed.
    private typealias Field = (pattern: String, text: String, isNumber: Bool)

    private var random: RandomSource

    /// A text and a format, which has patterns alone that can be read.
    static func pair(_ random: inout RandomSource) -> (text: String, format: String) {
        var source = ReadingSource(random: random)
        defer { random = source.random }
        while true {
            let pair = source.attempt()
            do throws(Fault) {
                try DateFormat(Bytes(pair.format.utf8)).checkReadable()
                return pair
            } catch { continue }
        }
    }

    private mutating func attempt() -> (text: String, format: String) {
        var fields = random.chance(60) ? moment() : (0...random.below(6)).map { _ in field() }
        if random.chance(15) { fields.shuffle(using: &random) }
        if random.chance(8) { fields.append(random.pick(fields)) }
        if random.chance(10) { fields.removeLast(random.below(fields.count)) }
        var (text, format) = (random.chance(5) ? " " : "", random.chance(4) ? " " : "")
        for (place, field) in fields.enumerated() {
            if place > 0 {
                let (between, mark) = separator()
                text += between
                format += mark
            }
            let (read, pattern) = spelled(field)
            text += read
            format += pattern
        }
        if random.chance(5) { text += random.pick([" ", "7", "x", "  -"]) }
        if random.chance(4) { text = String(text.prefix(random.below(text.count + 1))) }
        return (text, format)
    }

    // MARK: Fields

    /// The fields of a whole moment.
    private mutating func moment() -> [Field] {
        var fields = [year(), month(), day()]
        if random.chance(20) { fields = [year(), ("DDD", padded(1 + random.below(367), 3), true)] }
        if random.chance(75) { fields += [hour(), sixtieth("MI"), sixtieth("SS")] }
        if random.chance(75) { fields.append(fraction()) }
        if random.chance(20) { fields.append(word()) }
        if random.chance(25) { fields += zone() }
        return fields
    }

    private mutating func field() -> Field {
        switch random.below(10) {
        case 0: year()
        case 1: month()
        case 2: day()
        case 3: hour()
        case 4: sixtieth(random.pick(["MI", "SS"]))
        case 5, 6: fraction()
        case 7: ("DDD", padded(random.below(370), 3), true)
        case 8: random.pick(zone())
        default: word()
        }
    }

    private mutating func year() -> Field {
        let year = random.pick(["2024", "1999", "2023", "0044", "1600", "0001", "9999", "2000", "1582"])
        let pattern = random.pick(["YYYY", "YYYY", "YYYY", "YYY", "YY", "Y"])
        return (pattern, String(year.suffix(pattern.count)), true)
    }

    private mutating func month() -> Field {
        guard random.chance(30) else { return ("MM", padded(random.below(13), 2), true) }
        let pattern = random.pick(["Month", "MONTH", "month", "Mon", "MON", "mon"])
        let name = random.pick(pattern.count > 3 ? DateFormat.monthNames : DateFormat.shortMonthNames)
        return (pattern, random.pick([name, name.lowercased(), name.uppercased()]), false)
    }

    private mutating func day() -> Field { ("DD", padded(random.below(32), 2), true) }

    private mutating func hour() -> Field {
        if random.chance(12) { return (random.pick(["SSSSS", "SSSS"]), "\(random.below(90_000))", true) }
        let pattern = random.pick(["HH24", "HH24", "HH12", "HH"])
        return (pattern, padded(random.below(pattern == "HH24" ? 25 : 13), 2), true)
    }

    private mutating func sixtieth(_ pattern: String) -> Field { (pattern, padded(random.below(61), 2), true) }

    /// Mostly as many digits as the pattern has; those that decide on the rounding are frequent.
    private mutating func fraction() -> Field {
        let pattern = random.pick(["MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "ff3", "FF3"])
        let width =
            switch pattern {
            case "MS": 3
            case "US": 6
            default: Int(pattern.suffix(1)) ?? 0
            }
        let length = random.chance(60) ? width : 1 + random.below(8)
        let digits = (0..<length).map { _ in random.pick(["0", "4", "5", "9", "\(random.below(10))"]) }
        return (pattern, digits.joined(), true)
    }

    private mutating func word() -> Field {
        switch random.below(4) {
        case 0: return (random.pick(["AM", "PM", "am", "pm"]), random.pick(["AM", "pm", "Pm", "am"]), false)
        case 1: return (random.pick(["A.M.", "p.m."]), random.pick(["A.M.", "p.m.", "PM"]), false)
        case 2: return (random.pick(["BC", "ad", "AD"]), random.pick(["BC", "ad", "bc", "AD"]), false)
        default:
            let pattern = random.pick(["Day", "DY", "dy", "Q", "B.C."])
            if pattern == "Q" { return (pattern, "\(random.below(6))", true) }
            if pattern == "B.C." { return (pattern, random.pick(["B.C.", "a.d."]), false) }
            return (pattern, random.pick(pattern == "Day" ? DateFormat.dayNames : DateFormat.shortDayNames), false)
        }
    }

    private mutating func zone() -> [Field] {
        let hours: Field = ("TZH", random.pick(["+", "-", ""]) + padded(random.below(17), 2), false)
        return random.chance(50) ? [hours] : [hours, ("TZM", padded(random.below(61), 2), true)]
    }

    private func padded(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(width - text.count, 0)) + text
    }

    // MARK: Spelling

    private mutating func spelled(_ field: Field) -> (text: String, pattern: String) {
        var (text, pattern) = (field.text, field.pattern)
        if random.chance(10) { pattern = pattern.lowercased() }
        if field.isNumber, random.chance(12) {
            switch random.below(6) {
            case 0: text = String(text.drop { $0 == "0" })
            case 1: text += "\(random.below(10))"
            case 2: text = "-" + text
            case 3: text = "+" + text
            case 4: text = " " + text
            default: text = String(text.dropLast())
            }
        }
        if random.chance(6) { pattern = random.pick(["FM", "fm"]) + pattern }
        if random.chance(6) {
            pattern += random.pick(["TH", "th"])
            text += random.pick(["th", "ST", "", "é!"])
        }
        return (text, pattern)
    }

    /// What stands between two fields of a text, and what in its format.
    private mutating func separator() -> (text: String, format: String) {
        let mark = random.pick([
            "", "", "-", "-", " ", " ", ":", ".", ".", "/", "T", "\"of\"", "  ", ", ", "0", "ä", "x1",
        ])
        let text = mark.filter { $0 != "\"" }
        return (random.chance(88) ? text : random.pick(["", " ", "-", "  ", ":", "é", "1", ".. "]), mark)
    }
}
