import JSON
import Records

/// A dataset as declared by PUT.
struct DatasetDefinition: Sendable, Equatable {
    struct DeclaredColumn: Sendable, Equatable {
        var name: String
        var type: ColumnType
        var isNullable: Bool
        /// For text: `C` or `und-x-icu`.
        var collation: String?
    }

    enum OnNewColumn: String, Sendable, CaseIterable {
        case add, extra, quarantine
    }

    enum OnTypeMismatch: String, Sendable, CaseIterable {
        case quarantine, null, variant
    }

    enum Partition: String, Sendable, CaseIterable {
        case none, day, month

        var grain: TimeGrain? { TimeGrain(rawValue: rawValue) }
    }

    enum Collation: String, Sendable, CaseIterable {
        case bytes = "C"
        case unicode = "und-x-icu"
    }

    static let columnLimit = 1_000
    static let keyLimit = 32

    var columns: [DeclaredColumn] = []
    var primaryKey: [String] = []
    var versionColumn: String?
    var timeColumn: String?
    var partition = Partition.none
    /// How long rows are kept, by their `time_column`; nil: for good.
    var retention: Duration?
    var onNewColumn = OnNewColumn.add
    var onTypeMismatch = OnTypeMismatch.quarantine
}

extension DatasetDefinition {
    /// Reads a PUT's body. Throws every fault with its path.
    init(_ fields: JSONFields) throws(FieldFaults) {
        let given = fields.optionalObjects("columns") ?? []
        columns = given.map(Self.column)
        primaryKey = fields.optional("primary_key", [String].self) ?? []
        versionColumn = fields.optional("version_column", String.self)
        timeColumn = fields.optional("time_column", String.self)
        onNewColumn = fields.optional("on_new_column", oneOf: OnNewColumn.self) ?? .add
        onTypeMismatch = fields.optional("on_type_mismatch", oneOf: OnTypeMismatch.self) ?? .quarantine
        partition = fields.optional("partition", oneOf: Partition.self) ?? .none
        retention = fields.optional("retention", Duration.self)
        checkColumns(fields, given)
        checkKey(fields)
        checkTimes(fields)
        checkPartition(fields)
        try fields.finish()
        let filled = primaryKey + (partition == .none ? [] : [timeColumn ?? ""])
        for place in columns.indices where filled.contains(columns[place].name) {
            columns[place].isNullable = false
        }
    }

    private static func column(_ fields: JSONFields) -> DeclaredColumn {
        let type = fields.required("type", oneOf: ColumnType.self)
        let collation = fields.optional("collation", oneOf: Collation.self)
        if collation != nil, type != .text { fields.fault("collation", "only text has a collation") }
        return DeclaredColumn(
            name: fields.required("name", String.self), type: type,
            isNullable: fields.optional("nullable", Bool.self) ?? true, collation: collation?.rawValue)
    }

    private func checkColumns(_ fields: JSONFields, _ given: [JSONFields]) {
        if columns.count > Self.columnLimit { fields.fault("columns", "at most \(Self.columnLimit) columns") }
        var seen: Set<String> = []
        for (column, place) in zip(columns, given) where place.has("name") {
            if let wrong = ColumnName.fault(column.name) { place.fault("name", wrong) }
            if !seen.insert(column.name).inserted { place.fault("name", "is declared twice") }
        }
    }

    private func checkKey(_ fields: JSONFields) {
        if primaryKey.count > Self.keyLimit { fields.fault("primary_key", "at most \(Self.keyLimit) columns") }
        if Set(primaryKey).count < primaryKey.count { fields.fault("primary_key", "names a column twice") }
        for name in primaryKey {
            switch column(name)?.type {
            case nil: fields.fault("primary_key", "names \"\(name)\", which is not among the columns")
            case .jsonb: fields.fault("primary_key", "holds \"\(name)\", and jsonb cannot be a key")
            default: break
            }
        }
    }

    private func checkTimes(_ fields: JSONFields) {
        if let versionColumn, column(versionColumn) == nil {
            fields.fault("version_column", "is not among the columns")
        }
        guard let timeColumn else { return }
        switch column(timeColumn)?.type {
        case .timestamptz, .date: break
        case nil: fields.fault("time_column", "is not among the columns")
        default: fields.fault("time_column", "must be timestamptz or date")
        }
    }

    private func checkPartition(_ fields: JSONFields) {
        guard let grain = partition.grain else {
            if retention != nil {
                fields.fault("retention", "needs \"partition\": rows leave with their partition, and are not deleted")
            }
            return
        }
        if timeColumn == nil { fields.fault("partition", "needs a \"time_column\"") }
        if let timeColumn, !primaryKey.isEmpty, !primaryKey.contains(timeColumn) {
            fields.fault("primary_key", "must hold the time_column \"\(timeColumn)\": a key is unique in its partition")
        }
        guard let retention else { return }
        let day = Int64(grain.longestDays) * 86_400
        let range = Duration.seconds(day) ... .seconds(day * Int64(TimePartitioning.limit))
        if !range.contains(retention) {
            let (low, high) = (DurationText.format(range.lowerBound), DurationText.format(range.upperBound))
            fields.fault("retention", "must be \(low) to \(high) for partitions by \(grain.rawValue)")
        }
    }

    func column(_ name: String) -> DeclaredColumn? { columns.first { $0.name == name } }

    /// As it is stored: canonical, so that equal definitions have equal bytes.
    var json: JSONValue {
        var members: [(String, JSONValue)] = [
            (
                "columns",
                .array(
                    columns.map { column in
                        [
                            "name": .string(column.name), "type": .string(column.type.rawValue),
                            "nullable": .bool(column.isNullable), "collation": .optional(column.collation),
                        ]
                    })
            ),
            ("primary_key", .array(primaryKey.map { .string($0) })), ("version_column", .optional(versionColumn)),
            ("time_column", .optional(timeColumn)), ("on_new_column", .string(onNewColumn.rawValue)),
            ("on_type_mismatch", .string(onTypeMismatch.rawValue)),
        ]
        // Left out where they say nothing: so are they in definitions that are older than they.
        if partition != .none { members.append(("partition", .string(partition.rawValue))) }
        if let retention { members.append(("retention", .string(DurationText.format(retention)))) }
        return .object(JSONObject(members))
    }
}
