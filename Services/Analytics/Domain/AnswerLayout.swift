/// How an answer's rows are laid out.
enum AnswerLayout: Sendable, Hashable {
    /// One JSON document, `columns` beside `rows`, each row an array.
    case table
    /// One JSON document, each of its `items` an object.
    case items
    case csv
    case ndjson

    /// One JSON value, which says at its end whether rows are missing.
    var isDocument: Bool { self == .table || self == .items }

    /// Rows are objects, so that no two columns may have one name.
    var hasKeys: Bool { self == .items || self == .ndjson }

    var mediaType: String {
        switch self {
        case .table, .items: "application/json"
        case .csv: "text/csv; charset=utf-8"
        case .ndjson: "application/x-ndjson"
        }
    }
}
