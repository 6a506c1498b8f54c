import JSON

/// A version of an endpoint, ready to be called. Never changes.
final class PublishedEndpoint: Sendable {
    /// No other endpoint of any workspace ever has it, nor one of the same name that is made later.
    let id: Int64
    let workspaceID: Int64
    let name: String
    let version: Int32
    let definition: EndpointDefinition
    let template: EndpointTemplate
    /// Of its answers, as they were when it was put.
    let columns: [ResultColumn]
    let calls: EndpointMetrics.Calls
    let questions = EndpointQuestions()

    /// Throws `EndpointTemplate.Faults` and others for what an earlier release has taken and this one does not.
    init(_ stored: StoredEndpoint, workspaceID: Int64, calls: EndpointMetrics.Calls) throws {
        id = stored.id
        self.workspaceID = workspaceID
        name = stored.name
        version = stored.version
        definition = try EndpointDefinition(stored: stored.definition)
        template = try EndpointTemplate(definition.sql)
        columns = try EndpointColumns.decode(stored.columns)
        self.calls = calls
    }
}

/// An endpoint's columns as they are kept with it.
enum EndpointColumns {
    static func json(_ columns: [ResultColumn]) -> JSONValue {
        .array(columns.map { ["name": .string($0.name), "type": .string($0.type)] })
    }

    /// Names and types; how values are written is known when there are some.
    static func decode(_ bytes: [UInt8]) throws -> [ResultColumn] {
        (try JSONValue.parse(bytes).array ?? []).map {
            ResultColumn(name: $0["name"]?.string ?? "", type: $0["type"]?.string ?? "", shape: .text)
        }
    }
}
