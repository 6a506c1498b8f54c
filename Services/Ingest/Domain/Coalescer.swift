import Catalog
import EventLoop
import Lifecycle
import Observability
import Postgres
import Queue
import Records
import Synchronization

/// Group commit for small requests: those of one source that come close together share a batch and a commit.
///
/// `land` returns once the request's records are durable. The decisions are ``CoalescerState``'s; commits run as child
/// tasks of `run` on one loop, so that a client that goes away takes nobody's commit with it and a commit hops between
/// no threads.
final class Coalescer: Service {
    /// Requests share a batch when these are equal.
    struct Lane: Hashable, Sendable {
        var sourceID: Int64
        var format: RecordFormat
        var header: [UInt8]
        /// Messages of streams, whose positions are moved in the same statement.
        var isStream = false
    }

    /// One request with its records. A reference, since it goes from list to list.
    final class Part: Sendable {
        let request: IncomingRequest
        let frame: BatchFrame
        let rawBytes: Int64
        let keyed: KeyedBody?
        /// When it came, in ns since 1970, where its trace is recorded.
        let came: Int64
        let waiter: CheckedContinuation<Landing, any Error>

        init(
            _ request: IncomingRequest, _ frame: BatchFrame, rawBytes: Int64, keyed: KeyedBody?,
            _ waiter: CheckedContinuation<Landing, any Error>
        ) {
            self.request = request
            self.frame = frame
            self.rawBytes = rawBytes
            self.keyed = keyed
            came = request.trace.isSampled ? Tracer.now() : 0
            self.waiter = waiter
        }
    }

    typealias State = CoalescerState<Lane, Part>

    let name = "coalescer"
    private let loop: EventLoop
    let pool: PostgresPool
    private let wakeup: Wakeup
    private let metrics: IngestMetrics
    /// Nil where nothing is traced.
    let tracer: Tracer?
    private let state: Mutex<State>
    private let actions: AsyncStream<State.Action>
    private let schedule: AsyncStream<State.Action>.Continuation

    init(
        loop: EventLoop, pool: PostgresPool, wakeup: Wakeup, limits: State.Limits, metrics: IngestMetrics,
        tracer: Tracer? = nil
    ) {
        self.loop = loop
        self.pool = pool
        self.wakeup = wakeup
        self.metrics = metrics
        self.tracer = tracer
        state = Mutex(State(limits: limits))
        (actions, schedule) = AsyncStream.makeStream()
    }

    /// Lands one request's records; all of them or none. Throws ``TooBusy`` and what the database throws.
    nonisolated(nonsending) func land(
        _ request: IncomingRequest, frame: BatchFrame, rawBytes: Int64, keyed: KeyedBody?
    ) async throws -> Landing {
        let lane = Lane(
            sourceID: request.sourceID, format: frame.format, header: frame.header, isStream: request.stream != nil)
        return try await withCheckedThrowingContinuation { waiter in
            let part = Part(request, frame, rawBytes: rawBytes, keyed: keyed, waiter)
            let action = state.withLock { $0.add(part, bytes: frame.bytes.count, to: lane, at: request.pace) }
            if case .refuse = action {
                waiter.resume(throwing: TooBusy(reason: "too many records wait for their commit"))
            } else {
                perform(action)
            }
        }
    }

    func run(until shutdown: ShutdownSignal) async throws {
        await loop.run {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    await shutdown.requested()
                    self.schedule.finish()
                }
                for await action in self.actions {
                    switch action {
                    case .none, .refuse: break
                    case .linger(let lane, let ticket, let time):
                        group.addTask {
                            try? await self.loop.sleep(for: time)
                            self.perform(self.state.withLock { $0.lingered(lane, ticket: ticket) })
                        }
                    case .commit(let lane, let parts):
                        group.addTask { await self.commit(parts, lane) }
                    }
                }
            }
        }
    }

    private func perform(_ action: State.Action) {
        if case .none = action { return }
        // Only after shutdown, when the server has drained: nobody is left but who came too late.
        guard case .terminated = schedule.yield(action), case .commit(_, let parts) = action else { return }
        for part in parts { part.waiter.resume(throwing: TooBusy(reason: "the service is stopping")) }
    }

    /// Commits, and tells the lane before the waiters: what they send next must not meet a commit that has ended.
    private func commit(_ parts: [Part], _ lane: Lane) async {
        let outcomes = await outcomes(of: parts, lane)
        let next = state.withLock { $0.committed(lane, parts.count) }
        for (part, outcome) in zip(parts, outcomes) { part.waiter.resume(with: outcome) }
        perform(next)
    }

    private func outcomes(of parts: [Part], _ lane: Lane) async -> [Result<Landing, any Error>] {
        do {
            return try await land(parts, lane).map { .success($0) }
        } catch let error as PostgresError where error.sqlstate == .lockNotAvailable && parts.count > 1 {
            // Another process is landing one of these keys and does not get on. Those without a key go first, then
            // each key by itself: it alone is answered that it is in progress.
            var outcomes = [Result<Landing, any Error>](repeating: .success(.keyInProgress), count: parts.count)
            let free = parts.indices.filter { parts[$0].keyed == nil }
            if !free.isEmpty {
                let landed = await self.outcomes(of: free.map { parts[$0] }, lane)
                for (place, outcome) in zip(free, landed) { outcomes[place] = outcome }
            }
            for place in parts.indices where parts[place].keyed != nil {
                outcomes[place] = await self.outcomes(of: [parts[place]], lane)[0]
            }
            return outcomes
        } catch let error as PostgresError where error.sqlstate == .lockNotAvailable {
            return [.success(.keyInProgress)]
        } catch {
            return parts.map { _ in .failure(error) }
        }
    }

    private func land(_ parts: [Part], _ lane: Lane) async throws -> [Landing] {
        let began = ContinuousClock.now
        let landings =
            lane.isStream
            ? try await landStreams(parts, lane)
            : parts.contains { $0.keyed != nil }
                ? try await landKeyed(parts, lane)
                : try await landAll(parts, lane)
        wakeup.notify("transform")
        metrics.landed(
            requests: parts.count, records: parts.reduce(0) { $0 + $1.frame.recordCount },
            bytes: parts.reduce(0) { $0 + $1.rawBytes }, after: .now - began)
        return landings
    }

    private func landAll(_ parts: [Part], _ lane: Lane) async throws -> [Landing] {
        let batch = try GroupedBatch(parts, included: { _ in true }, tracer)
        let statement = try await batch.statement(id: nil, lane)
        let id = try await pool.withConnection { try await $0.query(statement).first }
        guard let id else { throw TooBusy(reason: "the batch was not landed") }
        batch.spans?.of(batch: id).end()
        return (0..<parts.count).map { .landed(.coalesced(batch: id, ordinal: Int32($0))) }
    }

    /// One transaction: takes the keys that nobody has, lands their requests and those without one, writes the
    /// receipts. A key taken by another process's open transaction is waited for no longer than `lock_timeout`.
    private func landKeyed(_ parts: [Part], _ lane: Lane) async throws -> [Landing] {
        let places = parts.indices.compactMap { place in parts[place].keyed.map { ($0.key, place) } }
        let firstOfKey = Dictionary(places, uniquingKeysWith: { first, _ in first })
        let asked = firstOfKey.values.sorted()
        let keys = asked.compactMap { parts[$0].keyed }
        let (landings, spans) = try await pool.withTransaction { connection -> ([Landing], LandSpans?) in
            try await connection.query("set local lock_timeout = '200ms'")
            let claim = ClaimIdempotencyKeys(
                sourceID: lane.sourceID, keys: keys.map(\.key), fingerprints: keys.map(\.fingerprint))
            guard let claimed = try await connection.query(claim).first else {
                throw TooBusy(reason: "the keys were not claimed")
            }
            let taken = Set(claimed.taken)
            let included = { (place: Int) -> Bool in
                guard let key = parts[place].keyed?.key else { return true }
                return taken.contains(key) && firstOfKey[key] == place
            }
            let landings = parts.indices.map { place -> Landing in
                included(place) ? .landed(.coalesced(batch: claimed.batchID, ordinal: Int32(place))) : .keyTaken
            }
            guard parts.indices.contains(where: included) else { return (landings, nil) }
            let batch = try GroupedBatch(parts, included: included, tracer)
            _ = try await connection.query(try await batch.statement(id: claimed.batchID, lane))
            let receipts = taken.sorted().compactMap { key in firstOfKey[key].map { (key, $0) } }
            _ = try await connection.query(
                RememberReceipts(
                    sourceID: lane.sourceID, keys: receipts.map(\.0),
                    receipts: receipts.map {
                        ReceiptID.coalesced(batch: claimed.batchID, ordinal: Int32($0.1)).description
                    }))
            return (landings, batch.spans?.of(batch: claimed.batchID))
        }
        spans?.end()
        return landings
    }
}

/// The requests of one commit as one batch. A request that is left out keeps its place, with no records.
struct GroupedBatch {
    /// What is compressed on the loop, in well under a millisecond; more is compressed off it.
    private static let lightBytes = 128 << 10

    private var frame: BatchFrame
    private var ends: [Int32] = []
    private var requestIDs: [String] = []
    private var rawBytes: Int64 = 0
    /// The batch's place in a trace: below the first request of those that are recorded, else the first request's own.
    private let trace: TraceContext?
    /// Nil where none of the requests' traces is recorded.
    let spans: LandSpans?

    init(_ parts: [Coalescer.Part], included: (Int) -> Bool, _ tracer: Tracer?) throws {
        frame = BatchFrame(format: parts[0].frame.format, header: parts[0].frame.header)
        frame.bytes.reserveCapacity(parts.reduce(0) { $0 + $1.frame.bytes.count })
        for (place, part) in parts.enumerated() {
            if included(place) {
                try frame.append(part.frame)
                rawBytes += part.rawBytes
            }
            ends.append(Int32(frame.recordCount))
            requestIDs.append(part.request.requestID)
        }
        let landed = parts.indices.filter(included).map { parts[$0] }
        let (records, bytes) = (frame.recordCount, rawBytes)
        spans = tracer.flatMap { LandSpans(landed, records: records, rawBytes: bytes, $0) }
        trace = spans?.batch ?? landed.first?.request.trace
    }

    func statement(id: Int64?, _ lane: Coalescer.Lane) async throws -> LandBatch {
        let frame = frame
        let body =
            frame.bytes.count <= Self.lightBytes
            ? try frame.encode()
            : try await withTaskExecutorPreference(globalConcurrentExecutor) { try frame.encode() }
        return LandBatch(
            id: id, sourceID: lane.sourceID, format: lane.format.name, records: Int32(frame.recordCount),
            rawBytes: rawBytes, receiptEnds: ends, requestIDs: requestIDs, trace: trace?.traceparent, body: body)
    }
}
