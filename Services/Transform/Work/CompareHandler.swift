import JSON
import Observability
import Postgres
import Queue
import Records

/// Does the jobs of kind `run.compare`: `{"run": id}`. Merges all rows that a dry run would bring, by the key, in a
/// temporary table, and compares what would be in the datasets with what is. One chunk at a time is in memory.
struct CompareHandler: JobHandler {
    let logger: Logger

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                guard let run = Self.run(job) else { throw ReplayArguments.invalid }
                try await lease.transaction(settling: [job]) { try await Self.compare(run, $0) }
            } catch is RunEnded {
                try? await lease.settle([job])
            } catch let error as QueueError where error.code == .leaseLost {
                return
            } catch {
                logger.warning("a dry run could not be compared", ["error": .describing(error)])
                await lease.fail(job, JobFailure(error))
            }
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let run = Self.run(job) else { return }
        try await connection.execute(GiveUpComparison(run: run, error: error.description, job: job.id))
        _ = try await connection.query(AdvanceRuns(runs: [run]))
    }

    private static func run(_ job: Job) -> Int64? {
        (try? JSONValue.parse(job.arguments))?["run"]?.int.map(Int64.init)
    }

    private static func compare(_ run: Int64, _ connection: PostgresConnection) async throws {
        guard let last = try await connection.query(FindLastComparison(run: run)).first else { throw RunEnded() }
        let definition = try PipelineDefinition.decode(JSONValue.parse(last.definition))
        try await connection.execute(script: "set local work_mem = '64MB'; set local jit = off")
        var changes: [RowChanges] = []
        var seen: Set<String> = []
        for target in definition.outputs where target.mode.merges && seen.insert(target.dataset).inserted {
            changes.append(try await compare(run, target, last, connection))
        }
        try await connection.execute(EndComparison(run: run, changes: changes))
        guard try await connection.query(AdvanceRuns(runs: [run])).allSatisfy(\.isEmpty) else { throw RunEnded() }
    }

    private static func compare(
        _ run: Int64, _ target: PipelineDefinition.Target, _ last: LastComparison, _ connection: PostgresConnection
    ) async throws -> RowChanges {
        let find = FindComparedTable(workspaceID: last.workspaceID, name: target.dataset)
        guard let found = try await connection.query(find).first, !found.primaryKey.isEmpty else {
            throw JobFailure(
                code: "no_primary_key", message: "the dataset \(target.dataset) is not there, or has no primary key",
                isPermanent: true)
        }
        let table = ComparedTable(target.dataset, found)
        try await connection.query(table.create)
        for ordinal in 0..<last.lastOrdinal {
            let list = ListWaitingChunks(run: run, ordinal: ordinal, dataset: target.dataset)
            for chunk in try await connection.query(list) {
                guard let body = chunk.body else {
                    throw JobFailure(
                        code: "chunk_missing", message: "chunk \(chunk.id) is not in landing", isPermanent: true)
                }
                try await ComparedTable.load(body, rawBytes: chunk.rawBytes, chunk.columns, connection)
            }
        }
        try await connection.query("analyze pg_temp.millrace_dry")
        let comparison = table.comparison(target.mode, rebuilt: last.isReplay ? run : nil)
        let result = try await connection.query(comparison.query)
        try await connection.query("drop table pg_temp.millrace_dry")
        return try comparison.changes(of: target.dataset, result[0])
    }
}

/// The run was ended meanwhile: nothing more is to be done for it.
struct RunEnded: Error {}
