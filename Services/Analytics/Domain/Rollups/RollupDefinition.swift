import Catalog
import JSON

/// A rollup as it is put.
struct RollupDefinition: Sendable, Equatable {
    struct NamedMeasure: Sendable, Equatable {
        var name: String
        var text: String
        var measure: RollupMeasure
    }

    static let maximumDimensions = 16
    static let maximumMeasures = 32

    var dataset: String
    var timeColumn: String
    var grain: RollupGrain
    var dimensions: [String]
    /// By name.
    var measures: [NamedMeasure]

    /// Reads a PUT's body. Throws every fault with its path; what the dataset says is another question.
    init(_ fields: JSONFields) throws(FieldFaults) {
        dataset = fields.required("dataset", String.self)
        if fields.has("dataset"), ResourceName(dataset) == nil { fields.fault("dataset", "is no name") }
        let time = fields.object("time")
        timeColumn = time.required("column", String.self)
        grain = time.required("grain", oneOf: RollupGrain.self)
        dimensions = fields.optional("dimensions", [String].self) ?? []
        if dimensions.count > Self.maximumDimensions {
            fields.fault("dimensions", "must have at most \(Self.maximumDimensions)")
        }
        if Set(dimensions).count < dimensions.count { fields.fault("dimensions", "names a column twice") }
        let given = fields.object("measures")
        measures = []
        for name in given.keys {
            let text = given.required(name, String.self)
            if (try? ResourceName(checking: name)) == nil || name == "time" {
                given.fault(name, "is no name of a measure: a-z, 0-9 and _, at most 48, and not time")
            }
            do throws(RollupMeasure.Fault) {
                measures.append(NamedMeasure(name: name, text: text, measure: try RollupMeasure(text)))
            } catch {
                given.fault(name, error.message)
            }
        }
        if !(1...Self.maximumMeasures).contains(given.keys.count) {
            fields.fault("measures", "must have 1 to \(Self.maximumMeasures)")
        }
        measures.sort { $0.name < $1.name }
        let names = Set(given.keys)
        for name in dimensions where Self.collides(name, names) {
            fields.fault("dimensions", "\(name) has the name of something else in the answers")
        }
        try fields.finish()
    }

    /// `time`, a measure, and what options make of a measure (`hits.rate`) have these names in answers.
    private static func collides(_ name: String, _ measures: Set<String>) -> Bool {
        name == "time" || measures.contains(name.split(separator: ".", maxSplits: 1).first.map(String.init) ?? name)
    }

    /// Reads what `json` has written.
    init(stored: [UInt8]) throws {
        try self.init(JSONFields(JSONValue.parse(stored)))
    }

    var members: [(String, JSONValue)] {
        [
            ("dataset", .string(dataset)),
            ("time", ["column": .string(timeColumn), "grain": .string(grain.rawValue)]),
            ("dimensions", .array(dimensions.map { .string($0) })),
            ("measures", .object(JSONObject(measures.map { ($0.name, .string($0.text)) }))),
        ]
    }

    var json: JSONValue { .object(JSONObject(members)) }
}
