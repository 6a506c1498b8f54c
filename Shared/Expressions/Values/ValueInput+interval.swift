extension ValueInput {
    /// An interval as PostgreSQL writes them: amounts with units, `hh:mm:ss`, and `ago`. ISO 8601 forms are refused.
    static func interval(_ text: Bytes) throws(Fault) -> Interval {
        let invalid = Fault(
            "invalid_cast",
            "invalid input syntax for type interval: \"\(String(decoding: text, as: UTF8.self))\"")
        var words = words(of: text)
        var result = Parts()
        guard !words.isEmpty else { throw invalid }
        var ago = false
        if words.last == "ago" {
            ago = true
            words.removeLast()
        }
        var index = 0
        while index < words.count {
            let word = words[index]
            if word.contains(":") {
                guard let time = clock(word) else { throw invalid }
                result.microseconds += time
                index += 1
                continue
            }
            guard let amount = Decimal(Bytes(word.utf8)), amount.isFinite, !word.contains("e") else { throw invalid }
            let unit = index + 1 < words.count && words[index + 1].first?.isLetter == true ? words[index + 1] : nil
            if unit == nil, index + 1 < words.count, words[index + 1].contains(":") {
                // A bare number before a clock time is days.
                guard result.add(amount, unit: "day") else { throw invalid }
                index += 1
                continue
            }
            if unit == nil, index + 1 < words.count { throw invalid }
            guard result.add(amount, unit: unit ?? "second") else { throw invalid }
            index += unit == nil ? 1 : 2
        }
        return try result.interval(negated: ago)
    }

    /// Words in lower case; a number and a unit written together are two.
    private static func words(of text: Bytes) -> [String] {
        var words: [String] = []
        var current = ""
        for character in String(decoding: text, as: UTF8.self).lowercased() {
            let splits = current.last.map { $0.isNumber && character.isLetter && character != "e" } ?? false
            if character == " " || character == "\t" || character == "\n" || character == "@" || splits {
                if !current.isEmpty { words.append(current) }
                current = ""
            }
            if !" \t\n@".contains(character) { current.append(character) }
        }
        if !current.isEmpty { words.append(current) }
        return words
    }

    /// `[-]hh:mm[:ss[.ffffff]]` in microseconds.
    private static func clock(_ word: String) -> Int128? {
        let negative = word.hasPrefix("-")
        let unsigned = negative || word.hasPrefix("+") ? word.dropFirst() : word[...]
        let parts = unsigned.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), let hours = Int128(parts[0]), let minutes = Int128(parts[1]), minutes < 60,
            hours >= 0, minutes >= 0
        else { return nil }
        var total = (hours * 60 + minutes) * 60_000_000
        if parts.count == 3 {
            guard let seconds = Decimal(Bytes(parts[2].utf8)),
                let scaled = try? Decimal.multiply(seconds, Decimal(1_000_000)).int64(), scaled < 61_000_000,
                scaled >= 0
            else { return nil }
            total += Int128(scaled)
        }
        return negative ? -total : total
    }

    /// The fields of an interval as they add up; fractions run down into smaller fields.
    private struct Parts {
        var months: Int128 = 0
        var days: Int128 = 0
        var microseconds: Int128 = 0

        mutating func add(_ amount: Decimal, unit: String) -> Bool {
            switch unit {
            case "microsecond", "microseconds", "us", "usec", "usecs": add(amount, microseconds: 1)
            case "millisecond", "milliseconds", "ms", "msec", "msecs": add(amount, microseconds: 1000)
            case "second", "seconds", "sec", "secs", "s": add(amount, microseconds: 1_000_000)
            case "minute", "minutes", "min", "mins", "m": add(amount, microseconds: 60_000_000)
            case "hour", "hours", "hr", "hrs", "h": add(amount, microseconds: 3_600_000_000)
            case "day", "days", "d": add(amount, days: 1)
            case "week", "weeks", "w": add(amount, days: 7)
            case "month", "months", "mon", "mons": add(amount, months: 1)
            case "year", "years", "yr", "yrs", "y": add(amount, months: 12)
            case "decade", "decades": add(amount, months: 120)
            case "century", "centuries", "c": add(amount, months: 1200)
            case "millennium", "millennia", "mil", "mils": add(amount, months: 12_000)
            default: false
            }
        }

        private mutating func add(_ amount: Decimal, microseconds unit: Int64) -> Bool {
            guard let product = try? Decimal.multiply(amount, Decimal(unit)).int64() else { return false }
            microseconds += Int128(product)
            return true
        }

        private mutating func add(_ amount: Decimal, days unit: Int64) -> Bool {
            guard let product = try? Decimal.multiply(amount, Decimal(unit)),
                let whole = try? product.rounded(to: 0, .towardsZero).int64(),
                let rest = try? Decimal.subtract(product, Decimal(whole))
            else { return false }
            days += Int128(whole)
            return add(rest, microseconds: 86_400_000_000)
        }

        private mutating func add(_ amount: Decimal, months unit: Int64) -> Bool {
            guard let product = try? Decimal.multiply(amount, Decimal(unit)) else { return false }
            // Of years and above the fraction is rounded to months; of months it becomes days of 30.
            if unit > 1 {
                guard let whole = try? product.int64() else { return false }
                months += Int128(whole)
                return true
            }
            guard let whole = try? product.rounded(to: 0, .towardsZero).int64(),
                let rest = try? Decimal.multiply(Decimal.subtract(product, Decimal(whole)), Decimal(30))
            else { return false }
            months += Int128(whole)
            return add(rest, days: 1)
        }

        func interval(negated: Bool) throws(Fault) -> Interval {
            let sign: Int128 = negated ? -1 : 1
            guard let months = Int32(exactly: months * sign), let days = Int32(exactly: days * sign),
                let microseconds = Int64(exactly: microseconds * sign)
            else { throw Fault("out_of_range", "interval field value out of range") }
            return Interval(months: months, days: days, microseconds: microseconds)
        }
    }
}
