/// A format of `to_char`, `to_date` and `to_timestamp`, read once: the patterns of PostgreSQL's that ``Field`` lists.
struct DateFormat: Sendable {
    /// A pattern and how it is spelled. Of those written in three ways the spelling says which case is meant.
    enum Field: String, CaseIterable, Sendable {
        case hour24 = "HH24"
        case hour12 = "HH12"
        case hour = "HH"
        case minute = "MI"
        case second = "SS"
        case millisecond = "MS"
        case microsecond = "US"
        case tenths = "FF1"
        case hundredths = "FF2"
        case thousandths = "FF3"
        case fourDigits = "FF4"
        case fiveDigits = "FF5"
        case sixDigits = "FF6"
        case secondsOfDayLong = "SSSSS"
        case secondsOfDay = "SSSS"
        case dottedAM = "A.M."
        case dottedPM = "P.M."
        case am = "AM"
        case pm = "PM"
        case dottedAD = "A.D."
        case dottedBC = "B.C."
        case ad = "AD"
        case bc = "BC"
        case commaYear = "Y,YYY"
        case year = "YYYY"
        case year3 = "YYY"
        case year2 = "YY"
        case year1 = "Y"
        case isoYear = "IYYY"
        case isoYear3 = "IYY"
        case isoYear2 = "IY"
        case isoYear1 = "I"
        case month = "MONTH"
        case shortMonth = "MON"
        case monthNumber = "MM"
        case romanMonth = "RM"
        case day = "DAY"
        case shortDay = "DY"
        case dayOfYear = "DDD"
        case isoDayOfYear = "IDDD"
        case dayOfMonth = "DD"
        case isoWeekday = "ID"
        case weekday = "D"
        case week = "WW"
        case isoWeek = "IW"
        case weekOfMonth = "W"
        case century = "CC"
        case julian = "J"
        case quarter = "Q"
        case zoneHour = "TZH"
        case zoneMinute = "TZM"
        case zone = "TZ"
        case offset = "OF"

        /// Whether a text gives digits for it, so that a number before it must not run into it.
        var isNumber: Bool {
            switch self {
            case .dottedAM, .dottedPM, .am, .pm, .dottedAD, .dottedBC, .ad, .bc, .month, .shortMonth, .day, .shortDay,
                .romanMonth, .zone, .offset, .zoneHour:
                false
            default: true
            }
        }
    }

    enum Casing: Sendable { case upper, capitalised, lower }

    enum Node: Sendable {
        case field(Field, Casing, Style)
        /// A character that stands for itself, with its bytes.
        case literal([UInt8])
        case separator([UInt8])
        case blank([UInt8])
    }

    struct Style: Sendable {
        /// `FM`: no blanks and zeros to fill up.
        var isFilled = true
        /// `TH` or `th` behind a number.
        var ordinal: Casing?
    }

    let nodes: [Node]

    /// Longer spellings first, so that `HH24` is not read as `HH`.
    private static let spellings: [(name: [UInt8], field: Field, casing: Casing)] = {
        var all: [(name: [UInt8], field: Field, casing: Casing)] = []
        for field in Field.allCases {
            all.append((Array(field.rawValue.utf8), field, .upper))
            all.append((Array(field.rawValue.lowercased().utf8), field, .lower))
            if [.month, .shortMonth, .day, .shortDay].contains(field) {
                let name = field.rawValue.prefix(1) + field.rawValue.dropFirst().lowercased()
                all.append((Array(name.utf8), field, .capitalised))
            }
        }
        return all.sorted { $0.name.count > $1.name.count }
    }()

    /// Throws for `TM`, `FX` and `SP`, which are not supported.
    init(_ text: Bytes) throws(Fault) {
        var nodes: [Node] = []
        var rest = text
        while !rest.isEmpty {
            if let (field, length) = try Self.field(rest) {
                nodes.append(field)
                rest = rest.dropFirst(length)
            } else if rest.first == UInt8(ascii: "\"") {
                Self.quoted(&rest, into: &nodes)
            } else {
                if rest.starts(with: "\\\"".utf8) { rest = rest.dropFirst() }
                nodes.append(Self.character(&rest))
            }
        }
        self.nodes = nodes
    }

    private static func field(_ rest: Bytes) throws(Fault) -> (Node, length: Int)? {
        var style = Style()
        var place = rest
        func starts(_ words: String...) -> Bool { words.contains { place.starts(with: $0.utf8) } }
        if starts("TM", "tm", "FX", "fx") {
            let word = String(decoding: place.prefix(2), as: UTF8.self)
            throw .invalid("\(word) is not supported in formats of dates")
        }
        if starts("FM", "fm") {
            style.isFilled = false
            place = place.dropFirst(2)
        }
        guard let found = spellings.first(where: { place.starts(with: $0.name) }) else {
            guard style.isFilled else { throw .invalid("FM must stand before a pattern in formats of dates") }
            return nil
        }
        place = place.dropFirst(found.name.count)
        if starts("SP", "sp") { throw .invalid("SP is not supported in formats of dates") }
        if starts("TH", "th") {
            style.ordinal = starts("TH") ? .upper : .lower
            place = place.dropFirst(2)
        }
        return (.field(found.field, found.casing, style), place.startIndex - rest.startIndex)
    }

    /// Text in double quotes, in which a backslash quotes what follows.
    private static func quoted(_ rest: inout Bytes, into nodes: inout [Node]) {
        rest = rest.dropFirst()
        while let byte = rest.first {
            if byte == UInt8(ascii: "\"") {
                rest = rest.dropFirst()
                return
            }
            if byte == UInt8(ascii: "\\"), rest.count > 1 { rest = rest.dropFirst() }
            let character = UTF8Text.character(rest, at: rest.startIndex)
            nodes.append(.literal(Array(character)))
            rest = rest.dropFirst(character.count)
        }
    }

    private static func character(_ rest: inout Bytes) -> Node {
        let character = UTF8Text.character(rest, at: rest.startIndex)
        rest = rest.dropFirst(character.count)
        let byte = character[character.startIndex]
        if isSeparator(byte) { return .separator(Array(character)) }
        return ValueInput.isSpace(byte) ? .blank(Array(character)) : .literal(Array(character))
    }

    /// Printable, and neither letter nor digit nor blank.
    static func isSeparator(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && (byte | 0x20) &- 0x61 >= 26 && byte &- 0x30 >= 10
    }

    static let monthNames = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
    static let dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    static let shortMonthNames = monthNames.map { String($0.prefix(3)) }
    static let shortDayNames = dayNames.map { String($0.prefix(3)) }
    static let halfDays = ["am", "pm"]
    static let dottedHalfDays = ["a.m.", "p.m."]
    static let eras = ["ad", "bc"]
    static let dottedEras = ["a.d.", "b.c."]
    static let romanMonths = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]
}
