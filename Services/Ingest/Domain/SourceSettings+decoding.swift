import JSON

extension SourceSettings {
    static let lagRange = Duration.seconds(1) ... .seconds(86_400 * 7)
    static let retentionRange = Duration.seconds(3600) ... .seconds(86_400 * 3650)
    static let lingerRange = Duration.zero ... .seconds(1)
    static let batchRange = 1024...(4 << 20)
    static let landingRange = 1024...(1 << 50)
    static let rateRange = 1...(1 << 40)

    /// Reads a PUT's body. Throws every fault with its path.
    /// - Parameter bodyLimit: the largest body the service takes at all.
    init(_ fields: JSONFields, bodyLimit: Int) throws(FieldFaults) {
        self.init(reading: fields, bodyLimit: bodyLimit)
        try fields.finish()
    }

    /// Reads what is stored. What another version of the service wrote and this one does not know is passed over.
    init(stored: [UInt8]) {
        let value = (try? JSONValue.parse(stored)) ?? [:]
        self.init(reading: JSONFields(value), bodyLimit: .max)
    }

    private init(reading fields: JSONFields, bodyLimit: Int) {
        if let given = fields.optionalObject("limits") {
            limits = Limits(
                maxLag: Self.duration(given, "max_lag", in: Self.lagRange),
                maxBodyBytes: Self.number(given, "max_body_bytes", in: 1...bodyLimit),
                landingBytes: Self.number(given, "landing_bytes", in: Self.landingRange),
                recordsPerSecond: Self.number(given, "records_per_second", in: Self.rateRange),
                bytesPerSecond: Self.number(given, "bytes_per_second", in: Self.rateRange))
        }
        if let given = fields.optionalObject("retention") {
            retention = Retention(raw: Self.duration(given, "raw", in: Self.retentionRange))
        }
        if let given = fields.optionalObject("coalescing") {
            coalescing = Coalescing(
                maxBytes: Self.number(given, "max_bytes", in: Self.batchRange),
                linger: Self.duration(given, "linger", in: Self.lingerRange))
        }
    }

    private static func number(_ fields: JSONFields, _ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = fields.optional(name, Int.self) else { return nil }
        if range.contains(value) { return value }
        fields.fault(name, "must be \(range.lowerBound) to \(range.upperBound)")
        return nil
    }

    private static func duration(_ fields: JSONFields, _ name: String, in range: ClosedRange<Duration>) -> Duration? {
        guard let value = fields.optional(name, Duration.self) else { return nil }
        if range.contains(value) { return value }
        let (low, high) = (DurationText.format(range.lowerBound), DurationText.format(range.upperBound))
        fields.fault(name, "must be \(low) to \(high)")
        return nil
    }
}
