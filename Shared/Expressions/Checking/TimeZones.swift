import Records

/// `AT TIME ZONE`, which is `timezone()`, and what else takes the name of a zone.
enum TimeZones {
    static let all: [String: [Signature]] = [
        "timezone": [
            Signature(.text, .timestamptz, result: .timestamp, byZone(.timestamp, local)).checking(0, check),
            Signature(.text, .timestamp, result: .timestamptz, byZone(.timestamptz, moment)).checking(0, check),
            Signature(
                .interval, .timestamptz, result: .timestamp,
                Lift.two(.timestamp, canFault: true) {
                    (zone: Interval, value: Int64) throws(Fault) in
                    DateTime.isInfinite(value) ? value : try local(.fixed(offset(zone)), value)
                }),
            Signature(
                .interval, .timestamp, result: .timestamptz,
                Lift.two(.timestamptz, canFault: true) {
                    (zone: Interval, value: Int64) throws(Fault) in
                    DateTime.isInfinite(value) ? value : try moment(.fixed(offset(zone)), value)
                }),
        ]
    ]

    /// The zone of a name: abbreviations, and names of the system's zone files.
    static func zone(_ name: Bytes) throws(Fault) -> TimeZoneTable.Zone {
        let text = String(decoding: name, as: UTF8.self)
        guard let zone = TimeZoneTable.zone(text) else { throw .invalid("time zone \"\(text)\" not recognized") }
        return zone
    }

    @Sendable static func check(_ name: Bytes) throws(Fault) { _ = try zone(name) }

    /// What clocks of the zone show at a moment.
    static func local(_ zone: TimeZoneTable.Zone, _ value: Int64) throws(Fault) -> Int64? {
        if DateTime.isInfinite(value) { return value }
        let seconds = value.floorDivided(by: 1_000_000)
        return try Calendar.timestamp(value, plus: Int64(zone.offset(at: seconds)))
    }

    /// The moment at which they show this.
    static func moment(_ zone: TimeZoneTable.Zone, _ value: Int64) throws(Fault) -> Int64? {
        if DateTime.isInfinite(value) { return value }
        let seconds = value.floorDivided(by: 1_000_000)
        return try Calendar.timestamp(value, plus: -Int64(zone.offset(local: seconds)))
    }

    private static func offset(_ zone: Interval) throws(Fault) -> Int {
        guard zone.months == 0, zone.days == 0 else {
            var text: [UInt8] = []
            ValueOutput.interval(zone, to: &text)
            throw .invalid(
                "interval time zone \"\(String(decoding: text, as: UTF8.self))\" must not include months or days")
        }
        return Int(zone.microseconds / 1_000_000)
    }

    private static func byZone(
        _ type: SQLType, _ body: @escaping @Sendable (TimeZoneTable.Zone, Int64) throws(Fault) -> Int64?
    ) -> Kernel {
        Kernel(canFault: true) { arguments, frame, evaluation in
            let names = BytesBuffer(arguments[0].values)
            let times = IntBuffer(arguments[1].values)
            let (maskA, maskB) = (arguments[0].mask, arguments[1].mask)
            var zones = Known()
            return Lift.run(type, arguments, frame, &evaluation) { (index) throws(Fault) -> Int64? in
                let time = times[index & maskB]
                // PostgreSQL does not look at the zone then.
                if DateTime.isInfinite(time) { return time }
                return try body(zones.zone(names[index & maskA]), time)
            }
        }
    }

    /// The zones of a batch, found once each; a name that repeats costs a comparison.
    struct Known {
        private var last: Bytes?
        private var lastZone = TimeZoneTable.Zone.fixed(0)
        private var zones: [Bytes: TimeZoneTable.Zone] = [:]

        mutating func zone(_ name: Bytes) throws(Fault) -> TimeZoneTable.Zone {
            if let last, last.elementsEqual(name) { return lastZone }
            if let known = zones[name] {
                lastZone = known
            } else {
                lastZone = try TimeZones.zone(name)
                zones[name] = lastZone
            }
            last = name
            return lastZone
        }
    }
}

extension Calendar {
    /// The timestamp some seconds after another.
    static func timestamp(_ value: Int64, plus seconds: Int64) throws(Fault) -> Int64 {
        let (sum, overflow) = value.addingReportingOverflow(seconds * 1_000_000)
        if overflow { throw .timestampRange }
        return try timestamp(days: 0, time: sum)
    }
}
