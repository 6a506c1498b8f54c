import Catalog
import HTTPServer
import JSON
import Records

/// What store's requests and answers hold, as JSON Schema.
enum DatasetSchemas {
    /// 1 to 63 octets; a `_` at the beginning is reserved, and so are the names of PostgreSQL's system columns.
    private static let columnName: JSONValue = [
        "type": "string", "pattern": #"^(?!(?:cmax|cmin|ctid|tableoid|xmax|xmin)$)[^_\u0000][^\u0000]*$"#,
        "maxLength": 63,
    ]

    /// A PUT's body.
    static let definition = Schema.request([
        (
            "columns",
            Schema.array(
                of: Schema.request(
                    [
                        ("name", columnName), ("type", Schema.oneOf(ColumnType.self)), ("nullable", Schema.boolean),
                        ("collation", Schema.oneOf(DatasetDefinition.Collation.self)),
                    ], required: ["name", "type"]), count: 0...DatasetDefinition.columnLimit)
        ),
        ("primary_key", Schema.array(of: columnName, count: 0...DatasetDefinition.keyLimit)),
        ("version_column", columnName), ("time_column", columnName),
        ("on_new_column", Schema.oneOf(DatasetDefinition.OnNewColumn.self)),
        ("on_type_mismatch", Schema.oneOf(DatasetDefinition.OnTypeMismatch.self)),
        ("partition", Schema.oneOf(DatasetDefinition.Partition.self)), ("retention", Schema.duration),
    ])

    /// What a heal takes; all that is left out or null.
    static let heal = Schema.request([
        ("pipeline", ResourceName.schema), ("batches", Schema.array(of: Schema.id, count: 1...HealRoute.batchLimit)),
        ("codes", Schema.array(of: Schema.text, count: 1...HealRoute.codeLimit)),
        (
            "reason",
            Schema.request(
                [
                    ("code", Schema.text), ("step", Schema.text), ("column", Schema.text),
                    ("stage", Schema.oneOf(RowRoutes.Stage.self)),
                ], required: ["code"])
        ),
        (
            "max_parallel",
            [
                "type": "integer", "minimum": .number(HealRoute.parallels.lowerBound),
                "maximum": .number(HealRoute.parallels.upperBound), "default": .number(HealRoute.defaultParallel),
            ]
        ),
    ])

    static let healing = Schema.answer([("run", Schema.id), ("runs", Schema.array(of: Schema.id))])

    static let healed = Schema.answer([
        ("healed", Schema.count), ("failing", Schema.count), ("failed_batches", Schema.count),
        ("runs", Schema.array(of: Schema.id)),
    ])

    private static let head: [(String, JSONValue)] = [
        ("name", ResourceName.schema), ("version", Schema.count), ("declared", Schema.boolean),
        ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
        ("last_load_at", Schema.nullable(Schema.timestamp)),
    ]

    static let item = Schema.answer(
        head + [
            ("rows", Schema.count), ("rows_exact", Schema.boolean), ("bytes", Schema.count),
            ("quarantined", Schema.count),
        ], optional: ["quarantined"])

    static let dataset = Schema.answer(
        head + [
            (
                "columns",
                Schema.array(
                    of: Schema.answer([
                        ("name", Schema.string), ("type", Schema.oneOf(ColumnType.self)),
                        ("nullable", Schema.boolean), ("collation", Schema.nullable(Schema.string)),
                        ("declared", Schema.boolean), ("state", Schema.string),
                    ]))
            ),
            ("primary_key", Schema.array(of: Schema.string)), ("version_column", Schema.nullable(Schema.string)),
            ("time_column", Schema.nullable(Schema.string)),
            ("partition", Schema.oneOf(DatasetDefinition.Partition.self)),
            ("retention", Schema.nullable(Schema.duration)),
            ("on_new_column", Schema.oneOf(DatasetDefinition.OnNewColumn.self)),
            ("on_type_mismatch", Schema.oneOf(DatasetDefinition.OnTypeMismatch.self)), ("rows", Schema.count),
            ("rows_exact", Schema.boolean), ("bytes", Schema.count),
            (
                "time_span",
                Schema.nullable(Schema.answer([("from", Schema.timestamp), ("to", Schema.timestamp)]))
            ),
        ])

    static let rows = Schema.page(of: ["type": "object"])

    static let erasure = Schema.answer([
        ("run", Schema.id), ("state", Schema.string), ("where_sha256", Schema.string),
        ("key", Schema.nullable(Schema.id)),
        ("subject", Schema.nullable(Schema.string)), ("dry_run", Schema.boolean), ("created_at", Schema.timestamp),
        ("finished_at", Schema.nullable(Schema.timestamp)), ("records", Schema.count), ("quarantined", Schema.count),
        ("unreadable", Schema.count), ("rows", ["type": "object", "additionalProperties": Schema.count]),
        ("not_reached", notReached),
    ])

    /// What an erasure leaves.
    enum ErasureGap: String, CaseIterable {
        case madeColumn = "made_column"
        case sourceDataset = "source_dataset"
        case derivedDataset = "derived_dataset"
        case frozenRollup = "frozen_rollup"
        case quarantinedCSV = "quarantined_csv"
        case quarantinedRows = "quarantined_rows"
        case unfinishedRun = "unfinished_run"
    }

    static let notReached = Schema.array(
        of: Schema.answer([
            ("kind", Schema.oneOf(ErasureGap.self)), ("name", Schema.string), ("detail", Schema.string),
        ]))

    static let quarantined = Schema.answer(
        [
            ("batch", Schema.id), ("row", Schema.count), ("raw", Schema.string), ("raw_base64", Schema.string),
            ("stage", Schema.oneOf(RowRoutes.Stage.self)), ("pipeline", Schema.string), ("version", Schema.count),
            ("output", Schema.count),
            (
                "errors",
                Schema.array(
                    of: Schema.answer([
                        ("code", Schema.string), ("step", Schema.nullable(Schema.string)),
                        ("column", Schema.nullable(Schema.string)), ("message", Schema.string),
                    ]))
            ), ("at", Schema.timestamp),
        ], optional: ["raw_base64"])

    static let reasons = Schema.answer([
        (
            "items",
            Schema.array(
                of: Schema.answer([
                    ("pipeline", Schema.string), ("stage", Schema.oneOf(RowRoutes.Stage.self)),
                    ("code", Schema.string), ("step", Schema.nullable(Schema.string)),
                    ("column", Schema.nullable(Schema.string)), ("records", Schema.count),
                    ("first_at", Schema.timestamp), ("last_at", Schema.timestamp),
                ]))
        ), ("records", Schema.count), ("truncated", Schema.boolean),
    ])

    static let lineage = Schema.answer(
        [
            ("batch", Schema.id), ("row", Schema.count), ("pipeline", Schema.string),
            ("version", Schema.nullable(Schema.count)), ("output", Schema.count), ("state", Schema.string),
            ("source", ResourceName.schema), ("request", Schema.string), ("receipt", Schema.string),
            ("trace_id", Schema.nullable(Schema.string)),
            ("received_at", Schema.timestamp), ("stored_at", Schema.nullable(Schema.timestamp)),
            ("raw", Schema.nullable(Schema.string)), ("raw_base64", Schema.string),
            ("raw_expired_at", Schema.nullable(Schema.timestamp)),
        ], optional: ["raw", "raw_base64", "raw_expired_at"])
}
