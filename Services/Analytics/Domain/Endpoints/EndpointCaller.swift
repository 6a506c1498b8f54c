import Access
import HTTP
import Observability
import Postgres
import Records

/// Answers calls of endpoints: from the cache where the endpoint has one, else by its query.
struct EndpointCaller: Sendable {
    enum Reply: Sendable {
        case whole(EndpointCache.Answer)
        case stream(first: [UInt8], RunningQuery)
    }

    private struct Call {
        var endpoint: PublishedEndpoint
        var question: EndpointQuestion
        var principal: Principal
        var deadline: QueryDeadline
    }

    /// Bytes whose tag is made on the event loop.
    private static let onLoop = 32 * 1024

    let engine: QueryEngine
    let cache: EndpointCache
    let metrics: EndpointMetrics

    /// Errors: those of `QueryEngine.run`; positions are those of the statement that was sent.
    nonisolated(nonsending) func reply(
        _ endpoint: PublishedEndpoint, _ question: EndpointQuestion, for principal: Principal,
        until deadline: QueryDeadline
    ) async throws -> Reply {
        let call = Call(endpoint: endpoint, question: question, principal: principal, deadline: deadline)
        guard endpoint.definition.cacheTTL > .zero else { return try await run(call) }
        let key = EndpointCache.Key(
            workspaceID: endpoint.workspaceID, endpointID: endpoint.id, version: endpoint.version,
            values: question.values, layout: question.layout, numbers: question.numbers)
        while true {
            switch cache.enter(key) {
            case .cached(let answer):
                metrics.hits.add()
                return .whole(answer)
            case .lead:
                metrics.misses.add()
                return try await lead(call, key)
            case .follow(let stream):
                let outcome = try await deadline.bound { () -> EndpointCache.Outcome in
                    for await outcome in stream { return outcome }
                    throw CancellationError()
                }
                switch outcome {
                case .answered(let answer):
                    metrics.shared.add()
                    return .whole(answer)
                case .failed(let error): throw error
                case .tooLong:
                    metrics.misses.add()
                    return try await run(call)
                case .abandoned: continue
                }
            }
        }
    }

    /// Runs the query that others may wait for.
    private nonisolated(nonsending) func lead(_ call: Call, _ key: EndpointCache.Key) async throws -> Reply {
        let lifetime = call.endpoint.definition.cacheTTL
        do {
            let reply = try await run(call)
            switch reply {
            case .whole(let answer): cache.leave(key, .answered(answer), lifetime: lifetime)
            case .stream: cache.leave(key, .tooLong, lifetime: lifetime)
            }
            return reply
        } catch {
            let isOwn = error is ClientGone || error is CancellationError
            cache.leave(key, isOwn ? .abandoned : .failed(error), lifetime: lifetime)
            throw error
        }
    }

    private nonisolated(nonsending) func run(_ call: Call) async throws -> Reply {
        let definition = call.endpoint.definition
        var query = UserQuery(sql: call.endpoint.template.sql)
        query.parameters = call.question.values.map { .optional($0, PostgresValue.inferred) }
        query.layout = call.question.layout
        query.numbers = call.question.numbers
        query.timeout = definition.timeout
        query.limit = query.layout.isDocument ? definition.limit : nil
        if definition.cacheTTL > .zero { query.wholeSize = cache.longestAnswer }
        let began = ContinuousClock.now
        switch try await engine.run(query, for: call.principal, until: call.deadline) {
        case .whole(let bytes):
            return .whole(EndpointCache.Answer(bytes: bytes, tag: await Self.tag(of: bytes), made: began))
        case .stream(let first, let running): return .stream(first: first, running)
        }
    }

    private nonisolated(nonsending) static func tag(of bytes: [UInt8]) async -> EntityTag {
        if bytes.count <= onLoop { return EntityTag(content: bytes) }
        return await withTaskExecutorPreference(globalConcurrentExecutor) { EntityTag(content: bytes) }
    }
}
