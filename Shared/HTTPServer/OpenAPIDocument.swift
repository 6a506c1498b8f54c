public import HTTP
public import JSON

/// The OpenAPI 3.1 document of a route table: what is served is what is described, since both are the same table.
public enum OpenAPIDocument {
    public static func build(title: String, version: String, routes: [Route]) -> JSONValue {
        var paths = JSONObject()
        for route in routes {
            let path = path(of: route.pattern)
            var item = paths[path]?.object ?? JSONObject()
            item[route.method.description.lowercased()] = operation(route)
            paths[path] = .object(item)
        }
        return [
            "openapi": "3.1.0",
            "info": ["title": .string(title), "version": .string(version)],
            "paths": .object(paths),
            "components": [
                "securitySchemes": ["key": ["type": "http", "scheme": "bearer"]],
                "schemas": ["Problem": problemSchema],
            ],
        ]
    }

    /// The codes that a route answers with: its own, those of its key, and those HTTP itself brings.
    public static func problems(of route: Route) -> [ProblemCode] {
        var codes = route.operation.problems
        if route.scope != nil { codes += [.unauthorized, .forbidden, .databaseUnavailable] }
        let body = route.operation.requestBody.map(\.mediaType)
        if !body.isEmpty {
            codes += [.payloadTooLarge, .incompleteBody, .requestTimeout, .emptyBody, .unsupportedMediaType]
        }
        if body == ["application/json"] { codes += [.invalidJSON, .invalidRequest, .unknownField] }
        if route.operation.parameters.contains(where: { $0.location == .query }) { codes.append(.invalidParameter) }
        if !RoutePattern(route.pattern).names.isEmpty { codes.append(.invalidPath) }
        let sorted = (codes + [.internalError]).sorted { ($0.status.code, $0.name) < ($1.status.code, $1.name) }
        return sorted.reduce(into: []) { unique, code in
            if unique.last != code { unique.append(code) }
        }
    }

    private static func path(of pattern: String) -> String {
        pattern.split(separator: "...", omittingEmptySubsequences: false).joined()
    }

    private static func operation(_ route: Route) -> JSONValue {
        let operation = route.operation
        var object = JSONObject([("operationId", .string(operation.id)), ("summary", .string(operation.summary))])
        object["description"] = operation.description.map { .string($0) }
        object["tags"] = operation.tag.map { [.string($0)] }
        let parameters = parameters(route)
        if !parameters.isEmpty { object["parameters"] = .array(parameters) }
        if !operation.requestBody.isEmpty {
            object["requestBody"] = ["required": true, "content": content(operation.requestBody)]
        }
        object["responses"] = .object(responses(route))
        object["security"] = route.scope == nil ? [] : [["key": []]]
        object["x-scope"] = route.scope.map { .string($0) }
        return .object(object)
    }

    /// The described parameters, and those of the pattern that nobody described.
    private static func parameters(_ route: Route) -> [JSONValue] {
        let described = route.operation.parameters
        let names = RoutePattern(route.pattern).names
        let missing = names.filter { name in !described.contains { $0.name == name && $0.location == .path } }
        let all = missing.map { Operation.Parameter($0, .path, "The \($0)") } + described
        return all.map { parameter in
            var object = JSONObject([
                ("name", .string(parameter.name)), ("in", .string(parameter.location.rawValue)),
                ("description", .string(parameter.description)), ("required", .bool(parameter.isRequired)),
                ("schema", parameter.schema),
            ])
            object["example"] = parameter.example
            return .object(object)
        }
    }

    private static func content(_ content: [Operation.Content]) -> JSONValue {
        var object = JSONObject()
        for item in content {
            var media = JSONObject()
            media["schema"] = item.schema
            media["example"] = item.example
            object[item.mediaType] = .object(media)
        }
        return .object(object)
    }

    private static func responses(_ route: Route) -> JSONObject {
        var object = JSONObject()
        for answer in route.operation.answers {
            var response = JSONObject([("description", .string(answer.description))])
            if !answer.content.isEmpty { response["content"] = content(answer.content) }
            object[String(answer.status.code)] = .object(response)
        }
        let codes = Dictionary(grouping: problems(of: route)) { $0.status.code }
        for (status, codes) in codes.sorted(by: { $0.key < $1.key }) where object[String(status)] == nil {
            object[String(status)] = problemResponse(codes)
        }
        return object
    }

    private static func problemResponse(_ codes: [ProblemCode]) -> JSONValue {
        let lines = codes.map { "`\($0.name)`: \($0.title)" }
        let names = codes.map { JSONValue.string($0.name) }
        return [
            "description": .string(lines.joined(separator: "; ")),
            "content": [
                "application/problem+json": [
                    "schema": [
                        "allOf": [
                            ["$ref": "#/components/schemas/Problem"],
                            ["properties": ["code": ["enum": .array(names)]]],
                        ]
                    ]
                ]
            ],
        ]
    }

    private static let problemSchema: JSONValue = [
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": [
            "type": ["type": "string"], "title": ["type": "string"], "status": ["type": "integer"],
            "detail": ["type": "string"],
            "code": ["type": "string", "description": "Stable; errors are told apart by it"],
            "errors": [
                "type": "array",
                "items": [
                    "type": "object", "required": ["path", "message"],
                    "properties": ["path": ["type": "string"], "message": ["type": "string"]],
                ],
            ],
        ],
    ]
}
