public import JSON

/// What a key may take of the platform; nil is no limit. Each counts what all requests with the key ask for.
public struct KeyLimits: Sendable, Hashable {
    public static let rates = 1...1_000_000
    public static let quotas = 1...1_000_000_000_000_000

    /// Requests a second, on average; a second's worth of them may come at once. Each process counts by itself.
    public var requestsPerSecond: Int?
    /// Requests a day, from midnight UTC, over all processes.
    public var requestsPerDay: Int?
    /// Octets of requests' bodies a day, as they come, over all processes.
    public var bytesPerDay: Int?

    public init(requestsPerSecond: Int? = nil, requestsPerDay: Int? = nil, bytesPerDay: Int? = nil) {
        self.requestsPerSecond = requestsPerSecond
        self.requestsPerDay = requestsPerDay
        self.bytesPerDay = bytesPerDay
    }

    public static let none = KeyLimits()

    public var hasQuota: Bool { requestsPerDay != nil || bytesPerDay != nil }

    /// Reads them out of a request; faults are its fields'.
    public init(_ fields: JSONFields) {
        func limit(_ name: String, _ range: ClosedRange<Int>) -> Int? {
            guard let value = fields.optional(name, Int.self) else { return nil }
            if !range.contains(value) { fields.fault(name, "must be \(range.lowerBound) to \(range.upperBound)") }
            return value
        }
        requestsPerSecond = limit("requests_per_second", Self.rates)
        requestsPerDay = limit("requests_per_day", Self.quotas)
        bytesPerDay = limit("bytes_per_day", Self.quotas)
    }

    /// As stored; what is no limit there is none.
    init(stored bytes: [UInt8]) {
        let json = (try? JSONValue.parse(bytes)) ?? .null
        requestsPerSecond = json["requests_per_second"]?.int
        requestsPerDay = json["requests_per_day"]?.int
        bytesPerDay = json["bytes_per_day"]?.int
    }

    /// The limits that there are.
    public var json: JSONValue {
        let members: [(String, Int?)] = [
            ("requests_per_second", requestsPerSecond), ("requests_per_day", requestsPerDay),
            ("bytes_per_day", bytesPerDay),
        ]
        return .object(
            JSONObject(members.compactMap { name, value in value.map { (name, JSONValue.number($0)) } }))
    }
}
