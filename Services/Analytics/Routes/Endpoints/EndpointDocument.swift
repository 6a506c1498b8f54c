import HTTP
import HTTPServer
import JSON
import Platform
import Records

/// The OpenAPI 3.1 document of a workspace's endpoints: an operation each, named as the endpoint is, with its
/// parameters and what its columns were when it was put.
enum EndpointDocument {
    static func build(_ endpoints: [PublishedEndpoint], workspace: String) -> JSONValue {
        OpenAPIDocument.build(
            title: "Endpoints of the workspace \(workspace)", version: Platform.version,
            routes: endpoints.map(route))
    }

    /// As `EndpointDataRoute` serves it; this one is described only.
    private static func route(_ endpoint: PublishedEndpoint) -> Route {
        Route(
            .get, "/v1/endpoints/\(endpoint.name)/data", scope: EndpointDataRoute.scope,
            operation: Operation(
                id: endpoint.name, summary: endpoint.definition.description ?? "The endpoint \(endpoint.name)",
                tag: "endpoints", parameters: endpoint.template.parameters.map(parameter),
                answers: [
                    .init(
                        .ok, "The rows.",
                        [.json(schema: EndpointSchemas.data(of: item(endpoint.columns)))]
                            + EndpointDataRoute.otherContent,
                        headers: EndpointDataRoute.headers)
                ],
                problems: EndpointDataRoute.problems),
            handler: { _ in throw Problem(.notFound, "this route is described only") })
    }

    private static func parameter(_ parameter: EndpointParameter) -> Operation.Parameter {
        var schema = EndpointSchemas.parameter(parameter.type).object ?? JSONObject()
        var words = "Of type \(parameter.type.rawValue)."
        switch parameter.standing {
        case .required: break
        case .optional(nil): words += " NULL if it is left out."
        case .optional(let value?) where !isPlain(value, parameter.type): words += " If it is left out: \(value)"
        case .optional(let value?) where parameter.type == .jsonb: schema["default"] = .string(value)
        case .optional(let value?): schema["default"] = parameter.json(of: value)
        }
        return Operation.Parameter(
            parameter.name, .query, words, schema: .object(schema), required: parameter.standing == .required)
    }

    /// Whether clients made of the document can hold the default, which they send themselves: it is of the schema's
    /// type, and has nothing that they must escape in their language, which not all of them do right.
    private static func isPlain(_ value: String, _ type: ColumnType) -> Bool {
        switch type {
        case .int8, .float8, .numeric: JSONNumber(text: value) != nil
        case .timestamptz, .date: value.utf8.allSatisfy { $0 < UInt8(ascii: "A") }
        default: !value.utf8.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") || $0 < 0x20 }
        }
    }

    private static func item(_ columns: [ResultColumn]) -> JSONValue {
        Schema.answer(columns.map { ($0.name, EndpointSchemas.column($0.type)) })
    }
}
