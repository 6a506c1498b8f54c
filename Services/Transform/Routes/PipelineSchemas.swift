import Catalog
import HTTPServer
import JSON
import Records

/// What requests and answers about pipelines hold, as JSON Schema.
enum PipelineSchemas {
    private typealias Definition = PipelineDefinition

    /// A PUT's body: a source's records go into a dataset, or a dataset is turned into another.
    static let definition: JSONValue = [
        "oneOf": [
            definition(
                source: ResourceName.schema, dataset: ResourceName.schema,
                mode: ["type": "string", "enum": ["append", "upsert", "ignore"]]),
            definition(
                source: Schema.request([("dataset", ResourceName.schema)], required: ["dataset"]),
                dataset: ResourceName.schema, mode: Schema.oneOf(Definition.Mode.self)),
        ]
    ]

    static let dryRun: JSONValue = [
        "oneOf": [
            Schema.request(
                [
                    ("records", Schema.array(of: [:], count: 0...DryRunRoute.recordLimit)),
                    ("definition", dryDefinition),
                ],
                required: ["records"]),
            Schema.request(
                [
                    ("raw", Schema.text),
                    (
                        "format",
                        [
                            "type": "string",
                            "enum": ["application/x-ndjson", "application/json", "text/csv", "text/plain"],
                        ]
                    ),
                    ("definition", dryDefinition),
                ], required: ["raw", "format"]),
        ]
    ]

    private static let dryDefinition = definition(
        source: ["anyOf": [Schema.text, Schema.request([("dataset", Schema.text)], required: ["dataset"])]],
        dataset: Schema.text, mode: Schema.oneOf(Definition.Mode.self))

    private static func definition(source: JSONValue, dataset: JSONValue, mode: JSONValue) -> JSONValue {
        Schema.request(
            [
                ("source", source),
                ("steps", Schema.array(of: ["oneOf": .array(steps(dataset))], count: 0...Definition.maximumSteps)),
                (
                    "target",
                    Schema.request(
                        [("dataset", dataset), ("mode", mode), ("delete_when", Schema.text)], required: ["dataset"])
                ),
                ("on_error", Schema.oneOf(Definition.ErrorPolicy.self)),
            ], required: ["source", "target"])
    }

    /// Each is an object with one member, which says what it does, and rarely a second. `dataset`: the name of one that
    /// is filled.
    private static func steps(_ dataset: JSONValue) -> [JSONValue] {
        [
            step("parse", parse), step("cast", Schema.map(of: Schema.oneOf(ColumnType.self), atLeast: 1)),
            step("derive", expressions), step("filter", Schema.text),
            step("expect", expressions, beside: [("max_failed", failureLimit)]), step("select", names),
            step("rename", expressions), step("drop", names),
            step("fill", Schema.map(of: ["type": ["string", "number", "boolean"]], atLeast: 1)),
            step("mask", Schema.map(of: Schema.oneOf(StepDefinition.Masking.self), atLeast: 1)), step("flatten", names),
            step("explode", explode), step("dedupe", dedupe), step("outliers", outliers),
            step(
                "route",
                [
                    "type": "array", "items": branch(dataset), "minItems": 1,
                    "maxItems": .number(Definition.maximumOutputs - 1),
                ]),
            step("lookup", lookup),
        ]
    }

    /// Columns of another dataset, joined by a key: `on` has a column of the rows, and the dataset's one that is equal
    /// to it; `columns` a column of the dataset, and its name among the rows.
    private static let lookup = Schema.request(
        [
            ("dataset", Schema.text), ("on", expressions), ("columns", expressions),
            ("missing", Schema.oneOf(LookupStep.Missing.self)),
        ], required: ["dataset", "on", "columns"])

    /// Rows for which the condition is true leave the pipeline here, for another dataset.
    private static func branch(_ dataset: JSONValue) -> JSONValue {
        Schema.request(
            [
                ("when", Schema.text), ("dataset", dataset), ("mode", Schema.oneOf(Definition.Mode.self)),
                ("delete_when", Schema.text),
            ], required: ["when", "dataset"])
    }

    private static let parse = Schema.request(
        [
            ("format", Schema.oneOf(StepDefinition.Parse.Format.self)), ("from", Schema.text),
            ("columns", Schema.array(of: Schema.text)), ("pattern", Schema.text),
        ], required: ["format"])

    private static let explode: JSONValue = [
        "anyOf": [
            Schema.text,
            Schema.request(
                [
                    ("column", Schema.text), ("position", Schema.text),
                    ("empty", Schema.oneOf(StepDefinition.Explode.Empty.self)),
                ], required: ["column"]),
        ]
    ]

    private static let dedupe = Schema.request(
        [("by", names), ("keep", Schema.oneOf(StepDefinition.Keep.self))], required: ["by"])

    private static let outliers = Schema.request(
        [
            ("column", Schema.text), ("method", Schema.oneOf(StepDefinition.Outliers.Method.self)),
            ("threshold", ["type": "number", "exclusiveMinimum": 0]),
            ("action", Schema.oneOf(StepDefinition.Outliers.Action.self)), ("by", names),
        ], required: ["column"])

    /// A number of rows, or a share of them.
    private static let failureLimit: JSONValue = [
        "anyOf": [
            ["type": "integer", "minimum": 0],
            ["type": "string", "pattern": #"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)%$"#],
        ]
    ]

    private static let expressions = Schema.map(of: Schema.text, atLeast: 1)
    private static let names: JSONValue = [
        "type": "array", "items": Schema.text, "minItems": 1, "uniqueItems": true,
    ]

    private static func step(
        _ name: String, _ value: JSONValue, beside more: [(String, JSONValue)] = []
    ) -> JSONValue {
        let examples = StepExample.of(name)
        guard var schema = Schema.request([(name, value)] + more, required: [name]).object else { return nil }
        schema["description"] = .string(examples.map(\.description).joined(separator: "\n\n"))
        schema["examples"] = .array(examples.map(\.step))
        return .object(schema)
    }

    static let pipeline = Schema.answer([
        ("name", ResourceName.schema), ("version", Schema.count), ("implicit", Schema.boolean),
        ("definition", ["type": "object"]), ("created_at", Schema.timestamp), ("updated_at", Schema.timestamp),
    ])

    static let version = Schema.answer([
        ("version", Schema.count), ("definition", ["type": "object"]), ("created_at", Schema.timestamp),
    ])

    /// What an output's dataset would be given.
    private static let given: [(String, JSONValue)] = [
        ("dataset", Schema.text), ("mode", Schema.oneOf(Definition.Mode.self)),
        ("primary_key", Schema.array(of: Schema.text)), ("rows", Schema.array(of: ["type": "object"])),
        ("deletes", Schema.array(of: ["type": "object"])),
        ("new_columns", Schema.array(of: Schema.answer([("name", Schema.text), ("type", Schema.text)]))),
    ]

    private static let routed = Schema.answer([("output", Schema.count)] + given)

    /// What becomes of the records besides.
    private static let rest: [(String, JSONValue)] = [
        ("routed", Schema.array(of: routed)), ("filtered", Schema.array(of: [:])),
        ("duplicates", Schema.array(of: [:])),
        (
            "quarantined",
            Schema.array(
                of: Schema.answer([
                    ("row", Schema.count), ("stage", ["type": "string", "enum": ["decode", "transform"]]),
                    ("raw", [:]), ("errors", Schema.array(of: ["type": "object"])),
                ]))
        ),
        (
            "failed",
            Schema.nullable(Schema.answer([("code", Schema.text), ("step", Schema.text), ("message", Schema.text)]))
        ),
    ]

    static let outcome = Schema.answer(given + rest)

    /// An outcome.
    static let dry: JSONValue = [
        "dataset": "web", "mode": "append", "primary_key": [], "rows": [["status": 200]], "deletes": [],
        "new_columns": [["name": "status", "type": "int8"]],
        "routed": [
            [
                "output": 1, "dataset": "web_errors", "mode": "append", "primary_key": [], "rows": [["status": 503]],
                "deletes": [], "new_columns": [],
            ]
        ],
        "filtered": [], "duplicates": [], "quarantined": [], "failed": nil,
    ]
}
