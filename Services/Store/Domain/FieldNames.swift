import JSON

/// Under which names records came with what is in a dataset's columns now, as far as pipelines say it: by `rename`
/// steps of any version, of any pipeline that fills the dataset.
struct FieldNames: Sendable {
    /// A column whose value a step has made: records without a row cannot be told by it.
    struct MadeColumn: Hashable, Sendable {
        var column: String
        var pipeline: String
        var step: String
    }

    /// Of one version: the fields of the columns that had another name.
    typealias Names = [String: String]

    private var bySource: [Int64: Set<Names>] = [:]
    private(set) var made: Set<MadeColumn> = []

    /// - Parameter columns: those that are asked for.
    init(_ versions: [FindFeedingVersions.Version], of dataset: String, columns: [String]) {
        for version in versions {
            guard let definition = try? JSONValue.parse(version.definition) else { continue }
            for steps in Self.ways(definition, to: dataset) {
                var names = Names()
                for column in columns {
                    var name = column
                    for step in steps.reversed() {
                        guard let member = step.object?.members.first else { continue }
                        let (kind, value) = (member.key, member.value)
                        if kind == "rename", let old = value.object?.members.first(where: { $0.value.string == name }) {
                            name = old.key
                        } else if Self.makes(kind, value, name) {
                            made.insert(MadeColumn(column: column, pipeline: version.pipeline, step: kind))
                        }
                    }
                    if name != column { names[column] = name }
                }
                bySource[version.source, default: []].insert(names)
            }
        }
    }

    /// What fields are to be looked at for the columns of a source's records: each in turn, and the columns' own names.
    func names(of source: Int64) -> [Names] {
        [[:]] + (bySource[source] ?? []).filter { !$0.isEmpty }
    }

    /// The steps that rows take to a dataset, once for each output.
    private static func ways(_ definition: JSONValue, to dataset: String) -> [[JSONValue]] {
        let steps = definition["steps"]?.array ?? []
        var ways = steps.indices.filter { place in
            steps[place]["route"]?.array?.contains { $0["dataset"]?.string == dataset } ?? false
        }.map { Array(steps[..<$0]) }
        if definition["target"]?["dataset"]?.string == dataset { ways.append(steps) }
        return ways
    }

    /// Whether a step may give a column a value that is not a field's. Of a text that is parsed, and of what is taken
    /// out of nested values, the names cannot be known.
    private static func makes(_ kind: String, _ value: JSONValue, _ name: String) -> Bool {
        switch kind {
        case "derive", "mask": value[name] != nil
        case "lookup": value["columns"]?.object?.members.contains { $0.value.string == name } ?? false
        case "parse", "flatten", "explode": true
        default: false
        }
    }
}
