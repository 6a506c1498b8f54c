import HTTP
import JSON

/// The problems of an OpenAPI document: a status with one code is described once for all operations, by the code's name
/// in `components/responses`; one with several has a description of its own.
enum OpenAPIProblems {
    /// The codes of one status of one operation.
    static func response(_ codes: [ProblemCode]) -> JSONValue {
        codes.count == 1 ? ["$ref": .string("#/components/responses/\(codes[0].name)")] : full(codes)
    }

    /// What the operations refer to.
    static func shared(by operations: [[ProblemCode]]) -> JSONObject {
        var single: [String: ProblemCode] = [:]
        for codes in operations {
            for (_, codes) in Dictionary(grouping: codes, by: \.status.code) where codes.count == 1 {
                single[codes[0].name] = codes[0]
            }
        }
        return JSONObject(single.sorted { $0.key < $1.key }.map { ($0.key, full([$0.value])) })
    }

    private static func full(_ codes: [ProblemCode]) -> JSONValue {
        let lines = codes.map { "`\($0.name)`: \($0.title)" }
        let names = codes.map { JSONValue.string($0.name) }
        var response = JSONObject([("description", .string(lines.joined(separator: "; ")))])
        let fields = headers(codes)
        if !fields.isEmpty { response["headers"] = .object(fields) }
        response["content"] = [
            "application/problem+json": [
                "schema": [
                    "allOf": [
                        ["$ref": "#/components/schemas/Problem"], ["properties": ["code": ["enum": .array(names)]]],
                    ]
                ]
            ]
        ]
        return .object(response)
    }

    private static func headers(_ codes: [ProblemCode]) -> JSONObject {
        switch codes[0].status.code {
        case 401: ["WWW-Authenticate": ["$ref": "#/components/headers/Authenticate"]]
        case 429:
            [
                "Retry-After": ["$ref": "#/components/headers/RetryAfter"],
                "RateLimit": ["$ref": "#/components/headers/RateLimit"],
            ]
        case 409, 413, 503, 504: ["Retry-After": ["$ref": "#/components/headers/RetryAfter"]]
        default: [:]
        }
    }
}
