public import HTTP
public import Records

extension RecordFormat {
    /// The formats that records are sent in, as a message lists them.
    public static let mediaTypes = "application/x-ndjson, application/json, text/csv, text/plain"

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
