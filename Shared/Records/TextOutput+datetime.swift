extension TextOutput {
    /// Appends `2026-11-20 13:25:00.5+00`, or `infinity`.
    public static func append(timestamptz value: Int64, into output: inout [UInt8]) {
        guard value != .max, value != .min else { return appendInfinity(value, into: &output) }
        let isBC = appendDay(dayOf(value), into: &output)
        output.append(0x20)
        appendTime(value, into: &output)
        output.append(contentsOf: "+00".utf8)
        if isBC { output.append(contentsOf: " BC".utf8) }
    }

    /// Appends `2026-11-20 13:25:00.5`, or `infinity`: a timestamp of no zone.
    public static func append(timestamp value: Int64, into output: inout [UInt8]) {
        guard value != .max, value != .min else { return appendInfinity(value, into: &output) }
        let isBC = appendDay(dayOf(value), into: &output)
        output.append(0x20)
        appendTime(value, into: &output)
        if isBC { output.append(contentsOf: " BC".utf8) }
    }

    /// Appends RFC 3339 in UTC: `2026-11-20T13:25:00.5Z`. Infinity, and years RFC 3339 has not, as PostgreSQL prints
    /// them.
    public static func append(rfc3339 value: Int64, into output: inout [UInt8]) {
        guard value != .max, value != .min else { return appendInfinity(value, into: &output) }
        let isBC = appendDay(dayOf(value), into: &output)
        output.append(0x54)
        appendTime(value, into: &output)
        output.append(0x5A)
        if isBC { output.append(contentsOf: " BC".utf8) }
    }

    /// Appends `2026-11-20`, or `infinity`.
    public static func append(date value: Int64, into output: inout [UInt8]) {
        guard value != .max, value != .min else { return appendInfinity(value, into: &output) }
        if appendDay(Int(value), into: &output) { output.append(contentsOf: " BC".utf8) }
    }

    private static func appendInfinity(_ value: Int64, into output: inout [UInt8]) {
        output.append(contentsOf: (value == .max ? "infinity" : "-infinity").utf8)
    }

    private static func dayOf(_ timestamp: Int64) -> Int {
        let day = timestamp / CivilDate.microsecondsPerDay
        return Int(timestamp % CivilDate.microsecondsPerDay < 0 ? day - 1 : day)
    }

    /// Returns whether the year is before Christ, which is written behind everything else.
    private static func appendDay(_ days: Int, into output: inout [UInt8]) -> Bool {
        let (year, month, day) = CivilDate.civil(days: days)
        let shown = year > 0 ? year : 1 - year
        if shown < 10_000 {
            append2(shown / 100, into: &output)
            append2(shown % 100, into: &output)
        } else {
            append(Int64(shown), into: &output)
        }
        output.append(0x2D)
        append2(month, into: &output)
        output.append(0x2D)
        append2(day, into: &output)
        return year <= 0
    }

    private static func appendTime(_ timestamp: Int64, into output: inout [UInt8]) {
        var micros = timestamp % CivilDate.microsecondsPerDay
        if micros < 0 { micros += CivilDate.microsecondsPerDay }
        let seconds = Int(micros / 1_000_000)
        append2(seconds / 3_600, into: &output)
        output.append(0x3A)
        append2(seconds / 60 % 60, into: &output)
        output.append(0x3A)
        append2(seconds % 60, into: &output)
        var fraction = Int(micros % 1_000_000)
        guard fraction > 0 else { return }
        output.append(0x2E)
        var unit = 100_000
        while fraction > 0 {
            output.append(0x30 + UInt8(fraction / unit))
            fraction %= unit
            unit /= 10
        }
    }

    private static func append2(_ value: Int, into output: inout [UInt8]) {
        output.append(0x30 + UInt8(value / 10))
        output.append(0x30 + UInt8(value % 10))
    }
}
