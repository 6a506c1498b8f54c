/// A statement ready to be sent: its text, what finds it in the cache, its parameters.
struct BoundStatement: Sendable {
    /// Nil for text that is parsed at every execution.
    let key: ObjectIdentifier?
    let sql: String
    let parameters: [PostgresValue]
    var format = PostgresResult.Format.binary

    init<S: PostgresStatement>(_ statement: S) {
        key = ObjectIdentifier(S.self)
        sql = S.sql
        parameters = statement.parameters
    }

    init(_ query: PostgresQuery, format: PostgresResult.Format) {
        key = nil
        sql = query.sql
        parameters = query.parameters
        self.format = format
    }
}

extension ConnectionCore {
    /// One answer that the server owes us for a pipeline, in order.
    private enum Step {
        case begin
        case deallocate
        case prepare(Int, name: String, ObjectIdentifier)
        case execute(Int, name: String?)
    }

    /// What became of a pipeline.
    private struct Outcome {
        var results: [PostgresResult] = []
        var error: PostgresError?
        /// The failed statement ran from an earlier preparation, so that preparing it again may mend it.
        var staleStatement: (key: ObjectIdentifier, name: String)?
        /// What was to be deallocated had gone already, which is as well.
        var failedToDeallocate = false
    }

    /// Sends statements in one go and gives their results, in order. Outside a transaction block they are one
    /// transaction: the server commits at the end of the pipeline, or nothing has happened.
    ///
    /// A statement whose plan a change of schema has made unusable is prepared again, unless that happened inside a
    /// transaction block, which is lost then.
    func runPipeline(_ batch: [BoundStatement]) async throws(PostgresError) -> [PostgresResult] {
        let begins = pendingBegin != nil
        let alone = !begins && handle.transactionStatus == .idle
        if alone, batch.count > 1 { lossCode = .commitUnknown }
        var outcome = try await runOnce(batch)
        // Not in a block, so it happens at most once, and nothing has been done yet.
        if outcome.failedToDeallocate { outcome = try await runOnce(batch) }
        var repetitions = 0
        while let stale = outcome.staleStatement {
            let gone = outcome.error?.sqlstate == .invalidStatementName
            statements.remove(stale.name, of: stale.key, existing: !gone)
            repetitions += 1
            guard alone, repetitions <= batch.count else { break }
            outcome = try await runOnce(batch)
        }
        if let error = outcome.error { throw error }
        return outcome.results
    }

    private func runOnce(_ batch: [BoundStatement]) async throws(PostgresError) -> Outcome {
        guard handle.enterPipeline() else { throw lost(handle.errorMessage) }
        // libpq forgets that rows come one by one as it goes from one command of a pipeline to the next.
        if followsStream, !handle.sync() { throw lost(handle.errorMessage) }
        var steps: [Step] = []
        steps.reserveCapacity(batch.count + 1)
        guard queue(batch, &steps), handle.sync() else { throw lost(handle.errorMessage) }
        try await flush()
        var outcome = Outcome()
        if followsStream { try await awaitSync(&outcome) }
        followsStream = false
        outcome.results.reserveCapacity(batch.count)
        for step in steps {
            try await takeAnswer(to: step, batch, &outcome)
        }
        try await awaitSync(&outcome)
        guard handle.leavePipeline() else { throw lost(handle.errorMessage) }
        return outcome
    }

    /// Queues everything in libpq's output buffer; false if libpq refuses.
    private func queue(_ batch: [BoundStatement], _ steps: inout [Step]) -> Bool {
        if handle.transactionStatus == .idle, pendingBegin == nil {
            for name in statements.takeDiscarded() {
                guard handle.execute(.sql("DEALLOCATE \(name)"), [], &parameterBuffer, .text) else { return false }
                steps.append(.deallocate)
            }
        }
        if let begin = pendingBegin {
            pendingBegin = nil
            guard handle.execute(.sql(begin), [], &parameterBuffer, .text) else { return false }
            steps.append(.begin)
        }
        for index in batch.indices {
            guard queue(batch[index], index, &steps) else { return false }
        }
        return true
    }

    private func queue(_ statement: BoundStatement, _ index: Int, _ steps: inout [Step]) -> Bool {
        guard let key = statement.key, configuration.statementMode == .named else {
            steps.append(.execute(index, name: nil))
            return handle.execute(.sql(statement.sql), statement.parameters, &parameterBuffer, statement.format)
        }
        if let name = statements.find(key, statement.parameters) {
            steps.append(.execute(index, name: name))
            return handle.execute(.prepared(name), statement.parameters, &parameterBuffer, statement.format)
        }
        let entry = statements.add(key, statement.parameters)
        steps.append(.prepare(index, name: entry.name, key))
        guard handle.prepare(entry.name, statement.sql, types: entry.types) else { return false }
        steps.append(.execute(index, name: nil))
        return handle.execute(.prepared(entry.name), statement.parameters, &parameterBuffer, statement.format)
    }

    private func takeAnswer(
        to step: Step, _ batch: [BoundStatement], _ outcome: inout Outcome
    ) async throws(PostgresError) {
        while true {
            switch try await nextEvent() {
            case .end: return
            case .result(let result):
                if case .execute = step { outcome.results.append(result) }
            case .failed(let error):
                outcome.error = outcome.error ?? error
                note(step, error, batch, &outcome)
            case .skipped:
                if case .prepare(_, let name, let key) = step { statements.remove(name, of: key, existing: false) }
            case .synced, .copyIn, .copyOut:
                // COPY is not possible in a pipeline; libpq and we disagree about where we are.
                throw lost("unexpected answer in a pipeline")
            }
        }
    }

    private func note(
        _ step: Step, _ error: PostgresError, _ batch: [BoundStatement], _ outcome: inout Outcome
    ) {
        switch step {
        case .deallocate: outcome.failedToDeallocate = true
        case .prepare(_, let name, let key): statements.remove(name, of: key, existing: false)
        case .execute(let index, let name?) where error.isStalePlan:
            if let key = batch[index].key { outcome.staleStatement = (key, name) }
        default: break
        }
    }

    /// Takes the end of the pipeline; the implicit transaction's commit may still fail here, by a deferred constraint.
    private func awaitSync(_ outcome: inout Outcome) async throws(PostgresError) {
        while true {
            switch try await nextEvent() {
            case .synced: return
            case .failed(let error): outcome.error = outcome.error ?? error
            case .end, .result, .skipped: break
            case .copyIn, .copyOut: throw lost("unexpected answer at the end of a pipeline")
            }
        }
    }
}

extension PostgresError {
    /// "cached plan must not change result type", or the statement is not there (any more).
    fileprivate var isStalePlan: Bool {
        sqlstate == .featureNotSupported || sqlstate == .invalidStatementName
    }
}
