import Catalog
import JSON

extension StoredSource {
    /// An item of `GET /v1/sources`.
    var json: JSONValue {
        [
            "name": .string(name), "version": .number(version), "declared": .bool(isDeclared),
            "created_at": .timestamp(createdAt), "updated_at": .timestamp(updatedAt),
        ]
    }

    /// `GET /v1/sources/{source}`: what was declared, what counts, and how it does.
    func json(_ reading: SourceCatalog.Reading, defaults: SourcePolicy) -> JSONValue {
        let declared = SourceSettings(stored: settings)
        let lag = Double(reading.freshness ?? 0) / 1_000_000
        let members: [(String, JSONValue)] =
            [
                ("name", .string(name)), ("version", .number(version)), ("declared", .bool(isDeclared)),
                ("definition", declared.json),
            ] + defaults.with(declared).members + [
                ("created_at", .timestamp(createdAt)), ("updated_at", .timestamp(updatedAt)),
                (
                    "rates",
                    [
                        "records_per_second": .number(reading.rate.records.rounded(toPlaces: 3)),
                        "bytes_per_second": .number(reading.rate.bytes.rounded(toPlaces: 3)),
                        "stored_per_second": .number(reading.stored.rounded(toPlaces: 3)),
                    ]
                ),
                ("lag_seconds", .number(lag)), ("freshness", reading.freshness == nil ? .null : .number(lag)),
            ]
        return .object(JSONObject(members))
    }
}

extension Double {
    fileprivate func rounded(toPlaces places: Int) -> Double {
        let factor = (0..<places).reduce(1.0) { factor, _ in factor * 10 }
        return (self * factor).rounded() / factor
    }
}
