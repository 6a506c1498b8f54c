import Catalog
import JSON

extension StoredSource {
    /// An item of `GET /v1/sources`.
    var json: JSONValue { .object(JSONObject(head + times)) }

    /// The same with how it does.
    func json(measured reading: SourceCatalog.Reading) -> JSONValue {
        .object(JSONObject(head + times + reading.members))
    }

    /// `GET /v1/sources/{source}`: what was declared, what counts, and how it does.
    func json(_ reading: SourceCatalog.Reading, defaults: SourcePolicy) -> JSONValue {
        let declared = SourceSettings(stored: settings)
        var members = head
        members.append(("definition", declared.json))
        members += defaults.with(declared).members
        return .object(JSONObject(members + times + reading.members))
    }

    private var head: [(String, JSONValue)] {
        [("name", .string(name)), ("version", .number(version)), ("declared", .bool(isDeclared))]
    }

    private var times: [(String, JSONValue)] {
        [("created_at", .timestamp(createdAt)), ("updated_at", .timestamp(updatedAt))]
    }
}

extension SourceCatalog.Reading {
    fileprivate var members: [(String, JSONValue)] {
        let lag = Double(freshness ?? 0) / 1_000_000
        let rates: JSONValue = [
            "records_per_second": .number(rate.records.rounded(toPlaces: 3)),
            "bytes_per_second": .number(rate.bytes.rounded(toPlaces: 3)),
            "stored_per_second": .number(stored.rounded(toPlaces: 3)),
        ]
        return [
            ("rates", rates), ("lag_seconds", .number(lag)), ("freshness", freshness == nil ? .null : .number(lag)),
        ]
    }
}

extension Double {
    fileprivate func rounded(toPlaces places: Int) -> Double {
        let factor = (0..<places).reduce(1.0) { factor, _ in factor * 10 }
        return (self * factor).rounded() / factor
    }
}
