import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Records

/// `GET /v1/endpoints/{name}/data`.
struct EndpointDataRoute: Sendable {
    private static let offers: [MediaType] = [.json, .ndjson, .csv]

    let directory: EndpointDirectory
    let caller: EndpointCaller

    func get(_ request: Request) async throws -> Response {
        let started = ContinuousClock.now
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let endpoint = try await directory.endpoint(name, for: principal)
        do {
            return try await answer(request, endpoint, principal, started)
        } catch {
            let error = EndpointProblems.explaining(error, endpoint.template)
            endpoint.calls.count(EndpointProblems.status(of: error), since: started)
            throw error
        }
    }

    private nonisolated(nonsending) func answer(
        _ request: Request, _ endpoint: PublishedEndpoint, _ principal: Principal,
        _ started: ContinuousClock.Instant
    ) async throws -> Response {
        let octets = EndpointQuestions.Octets(query: Array(request.head.queryBytes), accept: request.head["accept"])
        let question = try endpoint.questions.question(octets) { try Self.read(request, endpoint) }
        let context = request.context
        let deadline = QueryDeadline(instant: started + endpoint.definition.timeout) { await context.clientGone() }
        switch try await caller.reply(endpoint, question, for: principal, until: deadline) {
        case .whole(let answer):
            var headers = Self.headers(endpoint, answer)
            headers.add("etag", answer.tag.text)
            if EntityTag.isUnchanged(request.head, current: answer.tag) {
                endpoint.calls.count(.notModified, since: started)
                return Response(.notModified, headers: headers)
            }
            endpoint.calls.count(.ok, since: started)
            headers.add("content-type", question.layout.mediaType)
            return Response(.ok, headers: headers, body: .bytes(answer.bytes))
        case .stream(let first, let running):
            let stream = AnswerStream(engine: caller.engine, layout: question.layout, deadline: deadline) {
                EndpointProblems.explaining($0, endpoint.template)
            }
            return stream.response(first, running, headers: Self.headers(endpoint, nil)) { error in
                endpoint.calls.count(error.map(EndpointProblems.status(of:)) ?? .ok, since: started)
            }
        }
    }

    /// What a request asks. Throws `invalid_parameter` with everything that is wrong, and `not_acceptable`.
    private static func read(_ request: Request, _ endpoint: PublishedEndpoint) throws -> EndpointQuestion {
        let query = try request.query()
        let asked = query.value("format", oneOf: QueryFormat.self)
        let numbers = query.value("numbers", oneOf: QueryNumbers.self)?.style ?? .plain
        let values = endpoint.template.parameters.map { value(of: $0, query) }
        try query.finish()
        let layout: AnswerLayout
        switch try asked ?? accepted(request.head) {
        case .json: layout = .items
        case .csv: layout = .csv
        case .ndjson: layout = .ndjson
        }
        return EndpointQuestion(values: values, layout: layout, numbers: numbers)
    }

    private static func value(of parameter: EndpointParameter, _ query: QueryFields) -> String? {
        guard let given = query.string(parameter.name) else {
            switch parameter.standing {
            case .required: query.fault(parameter.name, "missing; expected a value of type \(parameter.type.rawValue)")
            case .optional(let value): return value
            }
            return nil
        }
        do throws(ParameterFault) {
            return try EndpointParameter.text(of: given, as: parameter.type)
        } catch {
            query.fault(parameter.name, error.message)
            return nil
        }
    }

    private static func accepted(_ head: HTTPRequestHead) throws(Problem) -> QueryFormat {
        switch MediaType.choose(head["accept"], from: offers) {
        case .json: return .json
        case .ndjson: return .ndjson
        case .csv: return .csv
        default:
            throw Problem(
                .notAcceptable, "endpoints answer as application/json, application/x-ndjson or text/csv")
        }
    }

    /// How long the answer may be used without asking again, and how much of that has passed. What has no time to live
    /// may be kept, too, but must be asked for by its tag.
    private static func headers(_ endpoint: PublishedEndpoint, _ answer: EndpointCache.Answer?) -> HTTPHeaders {
        var headers: HTTPHeaders = ["vary": "Accept, Authorization"]
        let lifetime = endpoint.definition.cacheTTL.components.seconds
        if let answer, lifetime > 0 {
            let age = answer.made.duration(to: .now).components.seconds
            headers.add("cache-control", "private, max-age=\(lifetime)")
            headers.add("age", String(max(0, age)))
        } else {
            headers.add("cache-control", "private, no-cache")
        }
        return headers
    }
}
