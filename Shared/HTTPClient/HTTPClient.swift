public import EventLoop
public import HTTP
public import Lifecycle
public import Observability
import Synchronization

/// An HTTP/1.1 client (RFC 9112) on one event loop, by libcurl, that connects only to addresses its policy allows.
///
/// It serves requests while `run` does; those made before wait, within their limits. Asked to stop, it takes no more,
/// finishes what is under way and closes its connections. Requests may be made from anywhere; from its own loop they
/// need no hop. README.md has its invariants.
public final class HTTPClient: Service {
    public let name = "http-client"
    private let loop: EventLoop
    private let settings: HTTPClientSettings
    private let resolver: any NameResolver
    private let logger: Logger
    private let metrics: HTTPClientMetrics
    /// Made on the loop's thread when it is first needed.
    private let made = Mutex<LoopBound<ClientCore>?>(nil)

    public init(
        on loop: EventLoop, settings: HTTPClientSettings = HTTPClientSettings(),
        resolver: any NameResolver = SystemNameResolver(), logger: Logger, metrics: MetricsRegistry
    ) {
        self.loop = loop
        self.settings = settings
        self.resolver = resolver
        self.logger = logger
        self.metrics = HTTPClientMetrics(metrics)
        // Here rather than on the loop; a failure shows with the first transfer.
        _ = EasyHandle.isLibraryReady
    }

    /// The address that a URL's host is, however it is written; nil for a name, and for what is no URL to request.
    public static func literalAddress(of url: String) -> IPAddress? { (try? RequestURL(url))?.literal }

    // MARK: Requests

    /// Makes a request and hands its answer to `body`, which reads as much of it as it likes; what is not read by its
    /// end is cut off. Whatever the status, an answer is no error.
    ///
    /// A body that is streamed is produced meanwhile. Cancelling the task ends the transfer at once.
    /// Throws `HTTPClientError`, and what `body` throws.
    public func withResponse<T: Sendable>(
        to request: ClientRequest, _ body: @Sendable (ClientResponse) async throws -> T
    ) async throws -> T {
        let limits = request.limits ?? settings.limits
        let deadline = LoopTime.now + LoopInterval(limits.whole)
        var request = request
        do {
            try request.validate()
            var url = try RequestURL(request.url)
            var followed = 0
            while true {
                switch try await hop(request, to: url, until: deadline, followed, body) {
                case .answer(let value): return value
                case .redirect(let next, let target):
                    (request, url) = (next, target)
                    followed += 1
                }
            }
        } catch let error as HTTPClientError {
            let failure = error.during(request.method.description)
            await core { $0.failed(failure) }
            throw failure
        }
    }

    /// Makes a request and waits for its whole answer. Errors: all of `HTTPClientError`'s.
    public func collect(_ request: ClientRequest) async throws(HTTPClientError) -> CollectedResponse {
        do {
            return try await withResponse(to: request) { response in
                CollectedResponse(
                    status: response.status, headers: response.headers, body: try await response.body.collect())
            }
        } catch let error as HTTPClientError {
            throw error
        } catch {
            // Nothing else is thrown in there; `withResponse` cannot say so.
            throw HTTPClientError(.cancelled, "the request was given up", underlying: error)
        }
    }

    private enum Outcome<T: Sendable>: Sendable {
        case answer(T)
        case redirect(ClientRequest, RequestURL)
    }

    /// One request and its answer, which may be a redirect to follow.
    private func hop<T: Sendable>(
        _ request: ClientRequest, to url: RequestURL, until deadline: LoopTime, _ followed: Int,
        _ body: @Sendable (ClientResponse) async throws -> T
    ) async throws -> Outcome<T> {
        let doing = "\(request.method) \(url.origin)"
        do {
            let transfer = try await loop.perform { [loop] () async throws(HTTPClientError) in
                LoopBound(try await self.core.begin(request, to: url, until: deadline), to: loop)
            }
            let result: Result<Outcome<T>, any Error>
            do {
                result = .success(try await use(transfer, request, url, followed, doing, body))
            } catch {
                result = .failure(error)
            }
            await core { $0.end(transfer.value, to: url) }
            return try result.get()
        } catch let error as HTTPClientError {
            throw error.during(doing)
        }
    }

    /// Reads the answer while the request's body is produced.
    private func use<T: Sendable>(
        _ transfer: LoopBound<Transfer>, _ request: ClientRequest, _ url: RequestURL, _ followed: Int, _ doing: String,
        _ body: @Sendable (ClientResponse) async throws -> T
    ) async throws -> Outcome<T> {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if case .stream(_, let produce) = request.body {
                group.addTask { await HTTPClient.produce(produce, for: transfer) }
            }
            defer { group.cancelAll() }
            let (status, headers) = try await loop.perform { () async throws(HTTPClientError) in
                try await transfer.value.head()
            }
            let content = ClientResponseBody(transfer, doing: doing)
            if let next = try Redirect.next(after: request, to: url, (status, headers), followed: followed) {
                try await HTTPClient.discard(content)
                return .redirect(next.request, next.url)
            }
            await core { $0.answered() }
            return .answer(try await body(ClientResponse(status: status, headers: headers, body: content)))
        }
    }

    private static func produce(
        _ produce: @Sendable (ClientBodyWriter) async throws -> Void, for transfer: LoopBound<Transfer>
    ) async {
        let failure: HTTPClientError?
        do {
            try await produce(ClientBodyWriter(transfer))
            failure = await transfer.loop.run { () -> HTTPClientError? in
                do throws(HTTPClientError) {
                    try transfer.value.endBody()
                    return nil
                } catch {
                    return error
                }
            }
        } catch let error as HTTPClientError where error.code == .bodyFailed {
            failure = error
        } catch {
            failure = HTTPClientError(.bodyFailed, "the request's body could not be produced", underlying: error)
        }
        guard let failure else { return }
        // No more than a note where the answer is complete: it did not need the rest.
        await transfer.loop.run { transfer.value.failBody(failure) }
    }

    /// Reads a short body to its end, so that the connection can be used again.
    private static func discard(_ body: ClientResponseBody) async throws(HTTPClientError) {
        var left = 16 * 1024
        while left > 0, let piece = try await body.next() { left -= piece.count }
    }

    // MARK: Running

    public func run(until shutdown: ShutdownSignal) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask {
                await shutdown.requested()
                await self.core { $0.drain() }
            }
            try await loop.perform { () async throws(HTTPClientError) in try await self.core.run() }
            group.cancelAll()
        }
    }

    private func core(_ body: @Sendable (ClientCore) -> Void) async {
        await loop.run { body(self.core) }
    }

    /// On the loop's thread.
    private var core: ClientCore {
        made.withLock { made in
            if let made { return made.value }
            let core = ClientCore(
                on: loop, settings: settings, resolver: resolver, logger: logger, metrics: metrics)
            made = LoopBound(core, to: loop)
            return core
        }
    }
}
