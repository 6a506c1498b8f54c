import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of queue `store` that are about chunks, one or several that are loaded together. What a chunk's rows
/// mean for the ledger, the kind's ``ChunkLedger`` says.
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
        guard let chunkID = Self.chunkIDs(job).first else { return }
        try await ledger.giveUp(chunkID, job: job.id, error: error.description, connection)
        wakeup.notify("stored")
    }

    /// `{"chunk": id}`, or `{"chunks": [id, …]}` for all outputs of a batch; empty for anything else.
    static func chunkIDs(_ job: Job) -> [Int64] {
        guard let arguments = try? JSONValue.parse(job.arguments) else { return [] }
        let ids = arguments["chunks"]?.array ?? arguments["chunk"].map { [$0] } ?? []
        let numbers = ids.compactMap { $0.int.map(Int64.init) }
        return numbers.count == ids.count ? numbers : []
    }

    /// The chunks that are to be loaded, with their jobs; the other jobs are settled, sent back or failed.
    private func sort(_ jobs: [Job], _ lease: Lease) async throws -> [ChunkLoad] {
        let named = jobs.map { (job: $0, ids: Self.chunkIDs($0)) }
        let ids = named.flatMap(\.ids)
        let heads = try await pool.withConnection { try await ledger.find(ids, $0) }
        let byID = Dictionary(heads.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var found: [ChunkLoad] = []
        for (job, ids) in named {
            let chunks = ids.compactMap { byID[$0] }
            if chunks.isEmpty || chunks.count < ids.count {
                await fail([job], Self.missing(ids.first { byID[$0] == nil }), lease)
            } else {
                found.append(ChunkLoad(job: job, chunks: chunks))
            }
        }
        // Of a job that comes twice, or two chunks of one output, the first is settled and the last is loaded.
        let last = Dictionary(
            found.enumerated().map { place, load in (load.chunks[0].place, place) }, uniquingKeysWith: max)
        var sorted: [ChunkHead.Standing: [ChunkLoad]] = [:]
        for (place, load) in found.enumerated() {
            let isLast = last[load.chunks[0].place] == place
            switch load.standing {
            case .wanted where !isLast && ledger.settlesEarlier: sorted[.settled, default: []].append(load)
            case .wanted where !isLast: await fail([load.job], Self.overtaken, lease)
            case let standing: sorted[standing, default: []].append(load)
            }
        }
        if let done = sorted[.settled] { try await lease.settle(done.map(\.job)) }
        if let superseded = sorted[.superseded] {
            try await lease.transaction(settling: superseded.map(\.job)) { connection in
                try await ledger.leave(superseded.flatMap(\.chunks), connection)
            }
        }
        for (workspaceID, part) in Dictionary(grouping: sorted[.homeless] ?? [], by: \.job.workspace) {
            try await transformAgain(part.flatMap(\.chunks), part.map(\.job), workspaceID, lease)
        }
        return sorted[.wanted] ?? []
    }

    private static func missing(_ id: Int64?) -> JobFailure {
        guard let id else { return JobFailure(code: "unknown_job", message: "no chunk is named", isPermanent: true) }
        return JobFailure(code: "chunk_missing", message: "chunk \(id) is not in landing", isPermanent: true)
    }

    static let overtaken = JobFailure(
        code: "overtaken", message: "a chunk was stored or replaced meanwhile", retryAfter: .milliseconds(50))

    private func load(_ group: ChunkGroup, _ lease: Lease) async {
        let began = ContinuousClock.now
        do {
            try await load(group, try await given(of: group), lease, mayRepeat: true)
            metrics.seconds.observe(.now - began)
        } catch let error as GroupRows.DamagedChunk {
            await withoutDamaged(error, group, lease)
        } catch let error as JobFailure where error.isPermanent && group.loads.count > 1 {
            // It is one chunk's fault: the others are loaded without it.
            for single in group.singles { await load(single, lease) }
        } catch is RunsEnded {
            // Chunks of runs that have ended are found settled now; each time there are fewer.
            await handle(group.jobs, lease: lease)
        } catch {
            await fail(group.jobs, error, lease)
        }
    }

    private func load(
        _ group: ChunkGroup, _ given: [GivenRows], _ lease: Lease, mayRepeat: Bool
    ) async throws {
        var parts: [GroupLoader.Part] = []
        for given in given {
            let (part, key) = (given.part, given.part.key)
            let answer = try await tables.table(
                key.datasetID, columns: key.columns, types: key.types, attempt: group.attempt)
            if case .locked(let pause) = answer { throw JobFailure.tableLocked(pause) }
            guard case .table(var table) = answer else {
                guard group.parts.count > 1, group.loads.count > 1 else {
                    return try await transformAgain(group.chunks, group.jobs, group.workspaceID, lease)
                }
                // Only the batches that have rows for this table go back.
                for single in group.singles { await load(single, lease) }
                return
            }
            if ledger.fillsShadow {
                // What is appended waits until the tables change places, and finds its columns then.
                if key.mode == .append { continue }
                table = try await tables.shadow(of: table, run: key.run)
            }
            let rows = try await given.placed(in: tables, attempt: group.attempt)
            parts.append(GroupLoader.Part(table: table, key: key, chunks: part.chunks, rows: rows))
        }
        do {
            let ready = parts
            let outcome = try await Self.untilItWins { try await loader.load(group, ready, lease: lease) }
            wakeup.notify("stored")
            if outcome.wakesRollups { wakeup.notify(DatasetChanges.queue) }
            metrics.loaded(outcome, chunks: group.chunks.count, bytes: group.bytes)
        } catch  where mayRepeat && Self.isStaleTable(error) {
            for part in parts { tables.forget(part.table.datasetID) }
            try await load(group, given, lease, mayRepeat: false)
        } catch let missing as ShadowMissing where mayRepeat {
            _ = try await tables.shadow(of: missing.table, run: nil)
            try await load(group, given, lease, mayRepeat: false)
        }
    }

    /// The table is not what it was remembered as: it, a column, a partition or its schema is missing.
    static func isStaleTable(_ error: any Error) -> Bool {
        if error is DeletionsForgotten { return true }
        return ["42P01", "42703", "3F000", "23514"].contains((error as? PostgresError)?.sqlstate?.code ?? "")
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

    private func given(of group: ChunkGroup) async throws -> [GivenRows] {
        let parts = group.parts
        let ids = parts.flatMap(\.chunks).map(\.id)
        let datasets = Array(Set(parts.map(\.key.datasetID)))
        let (found, rules) = try await pool.withConnection { connection in
            let rules = try await connection.query(FindPartitionings(datasetIDs: datasets))
            return (try await connection.query(FindChunkBodies(ids: ids)), rules)
        }
        let bodies = Dictionary(found.map { ($0.id, $0.body) }, uniquingKeysWith: { first, _ in first })
        return try parts.map { part in
            let rule = rules.first { $0.id == part.key.datasetID }?.rule
            return GivenRows(part: part, rows: try GroupRows(chunks: part.chunks, bodies: bodies), rule: rule)
        }
    }

    /// One damaged chunk holds up nobody: it goes to the dead letters, the others are loaded.
    private func withoutDamaged(_ damage: GroupRows.DamagedChunk, _ group: ChunkGroup, _ lease: Lease) async {
        var rest = group
        if let damaged = rest.remove(chunk: damage.chunkID) {
            let message = "chunk \(damage.chunkID): \(damage.reason)"
            await fail([damaged.job], JobFailure(code: "chunk_damaged", message: message, isPermanent: true), lease)
        }
        if !rest.loads.isEmpty { await load(rest, lease) }
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

extension ChunkLoad {
    /// Of several chunks the same happens to all.
    fileprivate var standing: ChunkHead.Standing {
        let all = Set(chunks.map(\.standing))
        return [.settled, .superseded, .homeless].first(where: all.contains) ?? .wanted
    }
}
