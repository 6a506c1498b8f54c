public import HTTP
public import Records

extension RecordFormat {
    /// The formats that records are sent in, as a message lists them.
    public static let mediaTypes = "application/x-ndjson, application/json, text/csv, text/plain"

    /// Why a body of this type, whose format is known, is not taken all the same; nil for most. Without a header row
    /// the columns of CSV would have no names (RFC 4180 has the parameter).
    public static func refusal(_ type: MediaType) -> String? {
        guard type.essence == MediaType.csv.essence, type["header"]?.lowercased() == "absent" else { return nil }
        return "CSV without a header row is not supported: send one that names the columns, and leave header=absent out"
    }

    /// The format of a body of this type; nil where records are not sent so.
    public init?(_ type: MediaType) {
        switch type.essence {
        case MediaType.ndjson.essence, "application/ndjson", "application/jsonl": self = .ndjson
        case MediaType.json.essence: self = .json
        case MediaType.csv.essence: self = .csv
        case MediaType.plainText.essence: self = .text
        default: return nil
        }
    }
}
