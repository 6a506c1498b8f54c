import Records

/// What makes points in time of numbers.
enum DateTimeMaking {
    static let all: [String: [Signature]] = [
        "to_timestamp": [
            Signature(.float8, result: .timestamptz, Lift.one(.timestamptz, canFault: true, fromEpoch))
        ],
        "make_date": [
            Signature(.int8, .int8, .int8, result: .date, Lift.three(.date, canFault: true, makeDate)).int4(0, 1, 2)
        ],
        "make_timestamp": [Signature(of: parts, result: .timestamp, timestamp(.timestamp)).int4(0, 1, 2, 3, 4)],
        "make_timestamptz": [
            Signature(of: parts, result: .timestamptz, timestamp(.timestamptz)).int4(0, 1, 2, 3, 4),
            Signature(of: parts + [.text], result: .timestamptz, timestamp(.timestamptz)).int4(0, 1, 2, 3, 4)
                .checking(6) { (name) throws(Fault) in _ = try zone(name) },
        ],
    ]

    private static let parts: [SQLType] = [.int8, .int8, .int8, .int8, .int8, .float8]

    /// A zone by name, or by its offset as `+05:30`.
    private static func zone(_ name: Bytes) throws(Fault) -> TimeZoneTable.Zone {
        guard let sign = name.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else {
            return try TimeZones.zone(name)
        }
        let digits = String(decoding: name.dropFirst(), as: UTF8.self).split(
            separator: ":", omittingEmptySubsequences: false)
        let numbers = digits.compactMap { $0.utf8.allSatisfy { $0 &- 0x30 < 10 } ? Int($0) : nil }
        guard numbers.count == digits.count, (1...3).contains(numbers.count) else {
            throw .invalid("time zone \"\(String(decoding: name, as: UTF8.self))\" not recognized")
        }
        let packed = numbers.count == 1 && digits[0].count > 2
        let hours = packed ? numbers[0] / 100 : numbers[0]
        let minutes = packed ? numbers[0] % 100 : (numbers.count > 1 ? numbers[1] : 0)
        let seconds = numbers.count > 2 ? numbers[2] : 0
        guard hours <= 15, minutes < 60, seconds < 60 else { throw .invalid("numeric time zone is out of range") }
        let offset = hours * 3600 + minutes * 60 + seconds
        return .fixed(sign == UInt8(ascii: "-") ? -offset : offset)
    }

    private static func timestamp(_ type: SQLType) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let wholes = arguments.prefix(5).map { IntBuffer($0.values) }
            let seconds = DoubleBuffer(arguments[5].values)
            let zones = arguments.count > 6 ? BytesBuffer(arguments[6].values) : nil
            let masks = arguments.map(\.mask)
            return Lift.run(type, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
                func part(_ number: Int) -> Int64 { wholes[number][index & masks[number]] }
                let days = try makeDate(part(0), part(1), part(2)) ?? 0
                let time = try timeOfDay(part(3), part(4), seconds[index & masks[5]])
                let local = try Calendar.timestamp(days: days, time: time)
                guard let zones else { return local }
                return try TimeZones.moment(zone(zones[index & masks[6]]), local)
            }
        }
    }

    private static func timeOfDay(_ hour: Int64, _ minute: Int64, _ seconds: Double) throws(Fault) -> Int64 {
        let micros = (seconds * 1_000_000).rounded(.toNearestOrEven)
        let invalid = Fault("out_of_range", "time field value out of range: \(hour):\(minute):\(seconds)")
        guard (0...24).contains(hour), (0..<60).contains(minute), micros >= 0, micros <= 60_000_000 else {
            throw invalid
        }
        let time = (hour * 60 + minute) * 60_000_000 + Int64(micros)
        guard time <= Calendar.microsecondsPerDay else { throw invalid }
        return time
    }

    private static func fromEpoch(_ seconds: Double) throws(Fault) -> Int64? {
        if seconds.isNaN { throw Fault("out_of_range", "timestamp cannot be NaN") }
        if seconds.isInfinite { return seconds > 0 ? .max : .min }
        let micros = ((seconds - Double(Calendar.epochSeconds)) * 1_000_000).rounded(.toNearestOrEven)
        guard micros >= Double(Calendar.timestampDays.lowerBound) * Double(Calendar.microsecondsPerDay),
            micros < 9_223_371_331_200_000_000
        else {
            var text: [UInt8] = []
            FloatText.write(seconds, to: &text)
            throw Fault(
                "out_of_range", "timestamp out of range: \"\(String(decoding: text, as: UTF8.self))\"")
        }
        return Int64(micros)
    }

    private static func makeDate(_ year: Int64, _ month: Int64, _ day: Int64) throws(Fault) -> Int64? {
        let invalid = Fault(
            "out_of_range",
            "date field value out of range: \(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
        )
        guard year != 0, year.magnitude <= 6_000_000, (1...12).contains(month) else { throw invalid }
        let astronomical = year > 0 ? year : year + 1
        guard day >= 1, day <= Calendar.length(year: astronomical, month: month) else { throw invalid }
        return Calendar.days(year: astronomical, month: month, day: day)
    }
}
