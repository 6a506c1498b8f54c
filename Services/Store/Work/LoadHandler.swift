import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of queue `store` that are about chunks: `{"chunk": id}`. What a chunk's rows mean for the ledger, the
/// kind's ``ChunkLedger`` says.
struct LoadHandler: JobHandler {
    /// Longer than transform remembers a dataset's schema.
    static let transformDelay = 2.5
    /// Times that a group may lose against another transaction before its jobs are failed.
    static let losses = 5

    let pool: PostgresPool
    let tables: DatasetTables
    let ledger: any ChunkLedger
    let wakeup: Wakeup
    let groupBytes: Int
    let metrics: LoadMetrics
    let logger: Logger

    private var loader: GroupLoader { GroupLoader(raws: RawRecords(), ledger: ledger) }

    func handle(_ jobs: [Job], lease: Lease) async {
        do {
            let loads = try await sort(jobs, lease)
            for group in ChunkGroup.groups(of: loads, limit: groupBytes) { await load(group, lease) }
        } catch {
            await fail(jobs, error, lease)
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let chunkID = Self.chunkID(job) else { return }
        try await ledger.giveUp(chunkID, job: job.id, error: error.description, connection)
        wakeup.notify("stored")
    }

    static func chunkID(_ job: Job) -> Int64? {
        guard let arguments = try? JSONValue.parse(job.arguments) else { return nil }
        return arguments["chunk"]?.int.map(Int64.init)
    }

    /// The chunks that are to be loaded, with their jobs; the other jobs are settled, sent back or failed.
    private func sort(_ jobs: [Job], _ lease: Lease) async throws -> [(job: Job, chunk: ChunkHead)] {
        let named = jobs.compactMap { job in Self.chunkID(job).map { (id: $0, job: job) } }
        let ids = named.map(\.id)
        let heads = try await pool.withConnection { try await ledger.find(ids, $0) }
        let byID = Dictionary(heads.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var wanted: [(job: Job, chunk: ChunkHead)] = []
        var done: [Job] = []
        var homeless: [(job: Job, chunk: ChunkHead)] = []
        var superseded: [(job: Job, chunk: ChunkHead)] = []
        // Of a job that comes twice, or two chunks of one output, the first is settled and the last is loaded.
        let last = Dictionary(
            named.enumerated().compactMap { place, load in byID[load.id].map { ($0.place, place) } },
            uniquingKeysWith: max)
        for (place, (id, job)) in named.enumerated() {
            switch byID[id]?.standing {
            case .wanted where byID[id].flatMap { last[$0.place] } != place && ledger.settlesEarlier: done.append(job)
            case .wanted where byID[id].flatMap { last[$0.place] } != place: await fail([job], Self.overtaken, lease)
            case .wanted: byID[id].map { wanted.append((job, $0)) }
            case .superseded: byID[id].map { superseded.append((job, $0)) }
            case .settled: done.append(job)
            case .homeless: byID[id].map { homeless.append((job, $0)) }
            case nil: await fail([job], Self.missing(id), lease)
            }
        }
        for job in jobs where Self.chunkID(job) == nil {
            await fail([job], JobFailure(code: "unknown_job", message: "no chunk is named", isPermanent: true), lease)
        }
        if !done.isEmpty { try await lease.settle(done) }
        if !superseded.isEmpty {
            let chunks = superseded.map(\.chunk)
            try await lease.transaction(settling: superseded.map(\.job)) { try await ledger.leave(chunks, $0) }
        }
        for (workspaceID, part) in Dictionary(grouping: homeless, by: \.job.workspace) {
            try await transformAgain(part.map(\.chunk), part.map(\.job), workspaceID, lease)
        }
        return wanted
    }

    private static func missing(_ id: Int64) -> JobFailure {
        JobFailure(code: "chunk_missing", message: "chunk \(id) is not in landing", isPermanent: true)
    }

    static let overtaken = JobFailure(
        code: "overtaken", message: "a chunk was stored or replaced meanwhile", retryAfter: .milliseconds(50))

    private func load(_ group: ChunkGroup, _ lease: Lease) async {
        let began = ContinuousClock.now
        do {
            let rows = try await rows(of: group)
            try await load(group, rows, lease, mayRepeat: true)
            metrics.seconds.observe(.now - began)
        } catch let error as GroupRows.DamagedChunk {
            await withoutDamaged(error, group, lease)
        } catch let error as JobFailure where error.isPermanent && group.jobs.count > 1 {
            // It is one chunk's fault: the others are loaded without it.
            for single in group.singles { await load(single, lease) }
        } catch is RunsEnded {
            // Chunks of runs that have ended are found settled now; each time there are fewer.
            await handle(group.jobs, lease: lease)
        } catch {
            await fail(group.jobs, error, lease)
        }
    }

    /// The table is not what it was remembered as: it, a column or its schema is missing.
    private static func isStaleTable(_ error: any Error) -> Bool {
        if error is DeletionsForgotten { return true }
        return ["42P01", "42703", "3F000"].contains((error as? PostgresError)?.sqlstate?.code ?? "")
    }

    private func load(_ group: ChunkGroup, _ rows: GroupRows, _ lease: Lease, mayRepeat: Bool) async throws {
        let key = group.key
        switch try await tables.table(key.datasetID, columns: key.columns, types: key.types) {
        case .gone, .unfit:
            try await transformAgain(group.chunks, group.jobs, group.workspaceID, lease)
        case .table(let own):
            let table = ledger.fillsShadow ? try await tables.shadow(of: own, run: group.run) : own
            do {
                let outcome = try await Self.untilItWins {
                    try await loader.load(group, rows, into: table, lease: lease)
                }
                wakeup.notify("stored")
                metrics.loaded(outcome, chunks: group.chunks.count, bytes: group.bytes)
            } catch  where mayRepeat && Self.isStaleTable(error) {
                tables.forget(key.datasetID)
                try await load(group, rows, lease, mayRepeat: false)
            } catch is ShadowMissing where mayRepeat {
                _ = try await tables.shadow(of: own, run: nil)
                try await load(group, rows, lease, mayRepeat: false)
            }
        }
    }

    /// Repeats what lost against another transaction, a few times: no attempt of a job is charged for that.
    private static func untilItWins<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        for _ in 0..<losses {
            do {
                return try await body()
            } catch let error as PostgresError where error.sqlstate?.classCode == "40" {}
        }
        return try await body()
    }

    private func rows(of group: ChunkGroup) async throws -> GroupRows {
        let ids = group.chunks.map(\.id)
        let found = try await pool.withConnection { try await $0.query(FindChunkBodies(ids: ids)) }
        let bodies = Dictionary(found.map { ($0.id, $0.body) }, uniquingKeysWith: { first, _ in first })
        return try GroupRows(chunks: group.chunks, bodies: bodies)
    }

    /// One damaged chunk holds up nobody: it goes to the dead letters, the others are loaded.
    private func withoutDamaged(_ damage: GroupRows.DamagedChunk, _ group: ChunkGroup, _ lease: Lease) async {
        var rest = ChunkGroup(key: group.key, workspaceID: group.workspaceID)
        for (job, chunk) in zip(group.jobs, group.chunks) {
            if chunk.id == damage.chunkID {
                let message = "chunk \(chunk.id): \(damage.reason)"
                await fail([job], JobFailure(code: "chunk_damaged", message: message, isPermanent: true), lease)
            } else {
                rest.jobs.append(job)
                rest.chunks.append(chunk)
                rest.bytes += Int(chunk.rawBytes)
            }
        }
        if !rest.jobs.isEmpty { await load(rest, lease) }
    }

    private func transformAgain(
        _ chunks: [ChunkHead], _ jobs: [Job], _ workspaceID: Int64, _ lease: Lease
    ) async throws {
        try await lease.transaction(settling: jobs) { connection in
            try await ledger.transformAgain(chunks, workspaceID, delay: Self.transformDelay, connection)
        }
        wakeup.notify("transform")
        metrics.sentBack.add(chunks.count)
        logger.info("chunks do not fit their table any more", ["chunks": .int(chunks.count)])
    }

    private func fail(_ jobs: [Job], _ error: any Error, _ lease: Lease) async {
        if let error = error as? QueueError, error.code == .leaseLost { return }
        let failure = JobFailure(error)
        logger.warning("chunks could not be loaded", ["jobs": .int(jobs.count), "error": .describing(failure)])
        await lease.fail(jobs, failure)
        wakeup.notify("stored")
    }
}
