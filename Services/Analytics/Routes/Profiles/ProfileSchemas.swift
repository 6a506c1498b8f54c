import HTTPServer
import JSON
import Records

/// JSON Schemas of profiles. Every member is always there: null where a column's type has no such figure.
enum ProfileSchemas {
    static let profile = Schema.answer([
        ("dataset", Schema.string), ("sampled", Schema.boolean),
        ("rows_scanned", describe(Schema.count, "Rows that all figures are about.")),
        ("rows", describe(Schema.count, "Rows of the dataset; `rows_estimated` says that it is an estimate.")),
        ("rows_estimated", Schema.boolean),
        ("fraction", describe(["type": "number", "minimum": 0, "maximum": 1], "`rows_scanned` of `rows`.")),
        ("at", Schema.timestamp), ("elapsed_ms", Schema.number), ("columns", Schema.array(of: column)),
        ("correlations", Schema.nullable(correlations)),
    ])

    private static let column = Schema.answer([
        ("name", Schema.string), ("type", Schema.oneOf(ColumnType.self)), ("nulls", Schema.count),
        ("distinct", distinct),
        ("min", describe(value, "The least; of numbers and times that are finite. Text by its bytes.")),
        ("max", value),
        ("mean", Schema.nullable(Schema.number)),
        ("stddev", describe(Schema.nullable(Schema.number), "Of a sample, as `stddev` in SQL.")),
        ("not_finite", Schema.nullable(notFinite)),
        ("quantiles", Schema.nullable(quantiles)),
        ("histogram", Schema.nullable(Schema.array(of: bin))),
        ("length", Schema.nullable(length)),
        ("top", top),
    ])

    private static let value: JSONValue = ["type": ["string", "number", "boolean", "object", "array", "null"]]

    private static let distinct = Schema.answer([
        ("count", Schema.count),
        ("exact", describe(Schema.boolean, "Else an estimate by HyperLogLog, with a standard error of 0.8 %.")),
    ])

    private static let notFinite = describe(
        Schema.answer([
            ("nan", Schema.count), ("infinity", Schema.count), ("negative_infinity", Schema.count),
        ]), "Values that are in no figure but these, `distinct` and `top`.")

    private static let quantiles = Schema.answer([
        ("p01", value), ("p05", value), ("p25", value), ("p50", value), ("p75", value), ("p95", value),
        ("p99", value),
        (
            "relative_error",
            describe(Schema.nullable(Schema.number), "Of numbers: how far each may be off, as a share of its value.")
        ),
        ("error_seconds", describe(Schema.nullable(Schema.number), "Of times: how far each may be off.")),
    ])

    private static let bin = describe(
        Schema.answer([("from", value), ("to", value), ("count", Schema.count)]),
        "From `from` to below `to`. Bins are equally wide; there are at most 40, counted exactly.")

    private static let length = describe(
        Schema.answer([("min", Schema.count), ("max", Schema.count), ("mean", Schema.number)]),
        "Characters of text, and of jsonb as text.")

    private static let top = Schema.answer([
        (
            "items",
            Schema.array(
                of: Schema.answer([
                    ("value", value), ("count", Schema.count),
                    (
                        "truncated",
                        describe(Schema.boolean, "The value has more than 256 bytes; this is its beginning.")
                    ),
                ]))
        ),
        (
            "count_error",
            describe(Schema.count, "How far each count may be too low; 0 where all values were counted exactly.")
        ),
    ])

    private static let correlations = Schema.answer([
        ("columns", Schema.array(of: Schema.string)),
        (
            "pairs",
            Schema.array(
                of: Schema.answer([
                    ("x", Schema.string), ("y", Schema.string),
                    (
                        "r",
                        describe(
                            Schema.nullable(["type": "number", "minimum": -1, "maximum": 1]),
                            "Pearson's; null where a column is constant.")
                    ),
                    ("rows", describe(Schema.count, "Rows in which both are finite numbers.")),
                ]))
        ),
        ("left_out", describe(Schema.array(of: Schema.string), "Numeric columns beyond the first 16.")),
    ])

    private static func describe(_ schema: JSONValue, _ text: String) -> JSONValue {
        guard var object = schema.object else { return schema }
        object["description"] = .string(text)
        return .object(object)
    }

    static let example: JSONValue = [
        "dataset": "web", "sampled": true, "rows_scanned": 100_312, "rows": 4_012_480, "rows_estimated": true,
        "fraction": 0.025, "at": "2026-11-20T13:25:00Z", "elapsed_ms": 212.5,
        "columns": [
            [
                "name": "kb", "type": "float8", "nulls": 12, "distinct": ["count": 20_113, "exact": false], "min": 0.5,
                "max": 96.25, "mean": 11.5, "stddev": 3.25,
                "not_finite": ["nan": 0, "infinity": 0, "negative_infinity": 0],
                "quantiles": [
                    "p01": 0.75, "p05": 1.5, "p25": 8, "p50": 11, "p75": 14, "p95": 40, "p99": 80,
                    "relative_error": 0.004, "error_seconds": nil,
                ],
                "histogram": [["from": 0, "to": 64, "count": 99_000], ["from": 64, "to": 128, "count": 1_300]],
                "length": nil,
                "top": ["items": [["value": 8, "count": 312, "truncated": false]], "count_error": 40],
            ]
        ],
        "correlations": [
            "columns": ["kb", "status"], "pairs": [["x": "kb", "y": "status", "r": -0.12, "rows": 100_300]],
            "left_out": [],
        ],
    ]
}
