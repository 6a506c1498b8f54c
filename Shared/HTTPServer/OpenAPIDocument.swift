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
                "securitySchemes": ["key": securityScheme],
                "schemas": ["Problem": problemSchema],
                "headers": headers,
                "responses": .object(OpenAPIProblems.shared(by: routes.map(problems(of:)))),
            ],
        ]
    }

    /// What any request can be answered with, whatever its path: as HTTP, or as one more of many.
    private static let general: [ProblemCode] = [
        .malformedRequest, .requestTimeout, .targetTooLong, .expectationFailed, .headersTooLarge, .notImplemented,
        .versionNotSupported, .tooManyConnections, .shuttingDown, .internalError,
    ]

    /// The codes that a route answers with: its own, those of its key, and those HTTP itself brings.
    public static func problems(of route: Route) -> [ProblemCode] {
        var codes = route.operation.problems + general
        if route.scope != nil {
            codes += [
                .unauthorized, .forbidden, .crossSiteRequest, .rateLimited, .databaseUnavailable, .issuerUnavailable,
            ]
        }
        let body = route.operation.requestBody.map(\.mediaType)
        if !body.isEmpty {
            codes += [.payloadTooLarge, .incompleteBody, .emptyBody, .unsupportedMediaType]
        }
        if body == ["application/json"] { codes += [.invalidJSON, .invalidRequest, .unknownField] }
        if route.operation.parameters.contains(where: { $0.location == .query }) { codes.append(.invalidParameter) }
        if !RoutePattern(route.pattern).names.isEmpty { codes.append(.invalidPath) }
        let sorted = codes.sorted { ($0.status.code, $0.name) < ($1.status.code, $1.name) }
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
            object["requestBody"] = [
                "required": .bool(!operation.bodyIsOptional), "content": content(operation.requestBody),
            ]
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
            object[String(answer.status.code)] = response(answer)
        }
        let codes = Dictionary(grouping: problems(of: route)) { $0.status.code }
        for (status, codes) in codes.sorted(by: { $0.key < $1.key }) where object[String(status)] == nil {
            object[String(status)] = OpenAPIProblems.response(codes)
        }
        return object
    }

    private static func response(_ answer: Operation.Answer) -> JSONValue {
        var response = JSONObject([("description", .string(answer.description))])
        var fields = JSONObject([("X-Request-Id", ["$ref": "#/components/headers/RequestID"])])
        for header in answer.headers {
            var field = JSONObject([
                ("description", .string(header.description)), ("required", .bool(header.isRequired)),
                ("schema", header.schema),
            ])
            field["example"] = header.example
            fields[header.name] = .object(field)
        }
        response["headers"] = .object(fields)
        if !answer.content.isEmpty { response["content"] = content(answer.content) }
        var links = JSONObject()
        for link in answer.links {
            links[link.operation] = [
                "operationId": .string(link.operation),
                "parameters": .object(JSONObject(link.parameters.map { ($0.0, .string($0.1)) })),
            ]
        }
        if !links.isEmpty { response["links"] = .object(links) }
        return .object(response)
    }

    private static let securityScheme: JSONValue = [
        "type": "http", "scheme": "bearer", "bearerFormat": "mr_ and 43 letters, digits, - or _",
        "description": .string(
            "A key of the workspace, or a token (JWT) of the issuer that the platform trusts. The scope that it needs "
                + "is each operation's `x-scope`. The cookie of "
                + "`POST /v1/session` stands for the key that it was made with, to pages of the same origin."),
    ]

    private static let headers: JSONValue = [
        "RequestID": [
            "description": "The request's own `X-Request-Id` where it is usable, or a new one; logs have it too.",
            "required": true, "schema": ["type": "string", "minLength": 1, "maxLength": 128],
        ],
        "RetryAfter": [
            "description": "After how many seconds to try again, where that may help.",
            "schema": ["type": "integer", "minimum": 1],
        ],
        "RateLimit": [
            "description": .string(
                "What is left of the key's limits, where it has any: of each its name, `r` what is left, `t` seconds "
                    + "until it is whole again. `RateLimit-Policy` has the limits themselves."),
            "schema": ["type": "string"],
        ],
        "Authenticate": ["description": "How to send a key.", "required": true, "schema": ["type": "string"]],
    ]

    private static let problemSchema: JSONValue = [
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": [
            "type": ["type": "string", "pattern": "^urn:millrace:problem:[a-z_]+$"], "title": ["type": "string"],
            "status": ["type": "integer", "minimum": 400, "maximum": 599], "detail": ["type": "string"],
            "code": [
                "type": "string", "pattern": "^[a-z_]+$", "description": "Stable; errors are told apart by it",
            ],
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
