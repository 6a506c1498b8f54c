public import HTTP
public import JSON

/// How a route is described in the OpenAPI document.
public struct Operation: Sendable {
    /// A parameter of the path, the query or the header.
    public struct Parameter: Sendable {
        public enum Location: String, Sendable { case path, query, header }

        public let name: String
        public let location: Location
        public let description: String
        public let isRequired: Bool
        /// JSON Schema.
        public let schema: JSONValue
        public let example: JSONValue?

        public init(
            _ name: String, _ location: Location, _ description: String, schema: JSONValue = ["type": "string"],
            required: Bool = false, example: JSONValue? = nil
        ) {
            self.name = name
            self.location = location
            self.description = description
            self.schema = schema
            isRequired = required || location == .path
            self.example = example
        }
    }

    /// A body in one media type.
    public struct Content: Sendable {
        public let mediaType: String
        /// JSON Schema; nil says nothing about the content.
        public let schema: JSONValue?
        public let example: JSONValue?

        public init(_ mediaType: String, schema: JSONValue? = nil, example: JSONValue? = nil) {
            self.mediaType = mediaType
            self.schema = schema
            self.example = example
        }

        public static func json(schema: JSONValue = ["type": "object"], example: JSONValue? = nil) -> Content {
            Content("application/json", schema: schema, example: example)
        }
    }

    /// A header field that an answer has.
    public struct Header: Sendable {
        public let name: String
        public let description: String
        /// Whether every such answer has it.
        public let isRequired: Bool
        /// JSON Schema.
        public let schema: JSONValue
        public let example: JSONValue?

        public init(
            _ name: String, _ description: String, schema: JSONValue = ["type": "string"], required: Bool = true,
            example: JSONValue? = nil
        ) {
            self.name = name
            self.description = description
            self.schema = schema
            isRequired = required
            self.example = example
        }
    }

    /// Another operation that an answer leads to.
    public struct Link: Sendable {
        /// The other operation's id.
        public let operation: String
        /// Its parameters by name, each a runtime expression: `$response.body#/receipt`.
        public let parameters: [(String, String)]

        public init(_ operation: String, _ parameters: [(String, String)]) {
            self.operation = operation
            self.parameters = parameters
        }
    }

    /// An answer that is no problem.
    public struct Answer: Sendable {
        public let status: HTTPStatus
        public let description: String
        public let content: [Content]
        /// Besides `X-Request-Id`, which every answer has.
        public let headers: [Header]
        public let links: [Link]

        public init(
            _ status: HTTPStatus, _ description: String, _ content: [Content] = [], headers: [Header] = [],
            links: [Link] = []
        ) {
            self.status = status
            self.description = description
            self.content = content
            self.headers = headers
            self.links = links
        }
    }

    /// Unique among all services' operations: `putPipeline`.
    public let id: String
    public let summary: String
    public let description: String?
    public let tag: String?
    public let parameters: [Parameter]
    public let requestBody: [Content]
    /// Whether a request may come without a body.
    public let bodyIsOptional: Bool
    public let answers: [Answer]
    /// The codes its own work answers with; those of authentication and HTTP are added to the document.
    public let problems: [ProblemCode]

    public init(
        id: String, summary: String, description: String? = nil, tag: String? = nil, parameters: [Parameter] = [],
        requestBody: [Content] = [], bodyIsOptional: Bool = false, answers: [Answer], problems: [ProblemCode] = []
    ) {
        self.id = id
        self.summary = summary
        self.description = description
        self.tag = tag
        self.parameters = parameters
        self.requestBody = requestBody
        self.bodyIsOptional = bodyIsOptional
        self.answers = answers
        self.problems = problems
    }
}
