import Expressions
import Records

/// Adds columns, or replaces them, by expressions. Each sees those before it.
struct DeriveStep: PipelineStep {
    struct Derivation: Sendable {
        let column: String
        let expression: CompiledExpression
    }

    let derivations: [Derivation]

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        var batch = batch
        var failed: [UInt8] = []
        var faults: [RowFault] = []
        var run = ExpressionRun(batch, step: place)
        var changed: Set<String> = []
        func settle(_ run: ExpressionRun) {
            let rows = run.failedRows
            guard !rows.isEmpty else { return }
            let seen = failed
            if failed.isEmpty { failed = rows } else { for index in rows.indices { failed[index] |= rows[index] } }
            let earlier = Set(seen.isEmpty ? [] : faults.map(\.row))
            faults += run.faults.filter { !earlier.contains($0.row) }
        }
        for derivation in derivations {
            if derivation.expression.fields.contains(where: changed.contains) {
                settle(run)
                run = ExpressionRun(batch, step: place)
                changed = []
            }
            batch.set(derivation.column, run.evaluate(derivation.expression, column: derivation.column))
            changed.insert(derivation.column)
        }
        settle(run)
        return StepResult(batch, removing: failed, faults: faults)
    }
}

/// Keeps the rows for which a condition is true.
struct FilterStep: PipelineStep {
    let condition: CompiledExpression

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        var run = ExpressionRun(batch, step: place)
        let mask = run.mask(condition)
        let failed = run.failedRows
        var result = StepResult(batch)
        result.faults = run.faults
        guard mask.contains(0) else { return result }
        for row in mask.indices where mask[row] == 0 && (failed.isEmpty || failed[row] == 0) {
            result.filtered.append(batch.rows[row])
        }
        result.batch.keep(mask)
        return result
    }
}

/// Rejects the rows for which a condition is false. As with a CHECK constraint, NULL passes.
struct ExpectStep: PipelineStep {
    struct Expectation: Sendable {
        let name: String
        let condition: CompiledExpression
    }

    let expectations: [Expectation]

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        var run = ExpressionRun(batch, step: place)
        var faults: [RowFault] = []
        var failed = [UInt8](repeating: 0, count: batch.rowCount)
        for expectation in expectations {
            let values = run.evaluate(expectation.condition, column: expectation.name)
            guard case .bool(let holds) = values.storage else { continue }
            for row in holds.indices where values.validity[row] != 0 && holds[row] == 0 && failed[row] == 0 {
                failed[row] = 1
                faults.append(
                    RowFault(
                        row: batch.rows[row], code: "expectation_failed", step: place, column: expectation.name,
                        message: "\(expectation.name) does not hold: \(expectation.condition.text)"))
            }
        }
        let broken = run.failedRows
        if !broken.isEmpty {
            let known = Set(faults.map(\.row))
            faults += run.faults.filter { !known.contains($0.row) }
            for row in broken.indices { failed[row] |= broken[row] }
        }
        return StepResult(batch, removing: failed, faults: faults)
    }
}
