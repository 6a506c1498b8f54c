import Catalog
import HTTP
import JSON
import Records

extension DatasetCatalog.Found {
    /// `GET /v1/datasets/{name}`, but for its size.
    var members: [(String, JSONValue)] {
        let definition = (try? JSONValue.parse(dataset.definition)) ?? JSONValue.object([:])
        return [
            ("name", .string(dataset.name)), ("version", .number(dataset.version)),
            ("declared", .bool(dataset.isDeclared)),
            ("columns", .array(columns.map(\.json))),
            ("primary_key", definition["primary_key"] ?? .array([])),
            ("version_column", definition["version_column"] ?? .null),
            ("time_column", definition["time_column"] ?? .null),
            ("partition", definition["partition"] ?? "none"), ("retention", definition["retention"] ?? .null),
            ("on_new_column", definition["on_new_column"] ?? "add"),
            ("on_type_mismatch", definition["on_type_mismatch"] ?? (dataset.isDeclared ? "quarantine" : "variant")),
            ("created_at", .timestamp(dataset.createdAt)), ("updated_at", .timestamp(dataset.updatedAt)),
            ("last_load_at", dataset.lastLoadAt.map(JSONValue.timestamp) ?? .null),
        ]
    }

    func json(_ size: DatasetCatalog.Size) -> JSONValue {
        let span: JSONValue = size.span.map { ["from": $0.first, "to": $0.last] } ?? .null
        return JSONValue.object(
            JSONObject(
                members + [
                    ("rows", .number(size.rows)), ("rows_exact", .bool(size.isExact)), ("bytes", .number(size.bytes)),
                    ("time_span", span),
                ]))
    }
}

extension CatalogColumn {
    var json: JSONValue {
        [
            "name": .string(name), "type": .string(type.rawValue), "nullable": .bool(isNullable),
            "collation": type == .text ? .string(collation ?? "C") : .null, "declared": .bool(isDeclared),
            "state": .string(state.rawValue),
        ]
    }
}

extension StoredDataset {
    /// An item of `GET /v1/datasets`; with how many records are in quarantine where that was counted.
    func json(_ size: MeasureTables.Size, quarantined: Int?) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("name", .string(name)), ("version", .number(version)), ("declared", .bool(isDeclared)),
            ("created_at", .timestamp(createdAt)), ("updated_at", .timestamp(updatedAt)),
            ("last_load_at", lastLoadAt.map(JSONValue.timestamp) ?? .null), ("rows", .number(size.rows)),
            ("rows_exact", false), ("bytes", .number(size.total)),
        ]
        if let quarantined { members.append(("quarantined", .number(quarantined))) }
        return .object(JSONObject(members))
    }
}

extension QuarantinedRecord {
    var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("batch", .string(String(batchID))), ("row", .number(row)),
            ("raw", .string(String(decoding: raw, as: UTF8.self))), ("stage", .string(stage)),
            ("pipeline", .string(pipeline)), ("version", .number(version)), ("output", .number(output)),
            ("errors", (try? JSONValue.parse(errors)) ?? .null), ("at", .timestamp(at)),
        ]
        if let exact = RawText.base64(raw) { members.append(("raw_base64", exact)) }
        return .object(JSONObject(members))
    }
}

extension ListQuarantineReasons.Reason {
    var json: JSONValue {
        [
            "pipeline": .string(pipeline), "stage": .string(stage), "code": .string(code), "step": .optional(step),
            "column": .optional(column), "records": .number(records), "first_at": .timestamp(firstAt),
            "last_at": .timestamp(lastAt),
        ]
    }
}

/// Raw bytes in JSON: as text, and where they are no UTF-8, exactly.
enum RawText {
    /// Base64url of bytes that are not UTF-8; nil for those that are.
    static func base64(_ raw: [UInt8]) -> JSONValue? {
        String(validating: raw, as: UTF8.self) == nil ? .string(Base64URL.encode(raw)) : nil
    }
}
