import Expressions
import Records

/// Adds columns, or replaces them, by expressions. Each sees those before it.
struct DeriveStep: PipelineStep {
    struct Derivation: Sendable {
        let column: String
        let expression: CompiledExpression
    }

    let derivations: [Derivation]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        var failed: [UInt8] = []
        var faults: [RowFault] = []
        var run = ExpressionRun(batch, step: context.place)
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
                run = ExpressionRun(batch, step: context.place)
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

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var run = ExpressionRun(batch, step: context.place)
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

/// Rejects the rows for which a condition is false. As with a CHECK constraint, NULL passes. When more rows than a
/// limit fail, a condition or its computation, the batch is turned down as a whole.
struct ExpectStep: PipelineStep {
    struct Expectation: Sendable {
        let name: String
        let condition: CompiledExpression
    }

    let expectations: [Expectation]
    let limit: FailureLimit?

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var run = ExpressionRun(batch, step: context.place)
        var faults: [RowFault] = []
        var failed = [UInt8](repeating: 0, count: batch.rowCount)
        for expectation in expectations {
            let values = run.evaluate(expectation.condition, column: expectation.name)
            guard case .bool(let holds) = values.storage else { continue }
            for row in holds.indices where values.validity[row] != 0 && holds[row] == 0 && failed[row] == 0 {
                failed[row] = 1
                faults.append(
                    RowFault(
                        row: batch.rows[row], code: "expectation_failed", step: context.place,
                        column: expectation.name,
                        message: "\(expectation.name) does not hold: \(expectation.condition.text)"))
            }
        }
        let broken = run.failedRows
        if !broken.isEmpty {
            let known = Set(faults.map(\.row))
            faults += run.faults.filter { !known.contains($0.row) }
            for row in broken.indices { failed[row] |= broken[row] }
        }
        var result = StepResult(batch, removing: failed, faults: faults)
        let count = failed.reduce(into: 0) { $0 += Int($1) }
        if let limit, limit.isExceeded(by: count, of: batch.rowCount) {
            result.failure = BatchFailure(
                code: "too_many_failed", step: context.place,
                message: "\(count) of \(batch.rowCount) rows fail, more than max_failed \(limit); "
                    + Self.summary(faults))
        }
        return result
    }

    /// How many rows each expectation turned down.
    private static func summary(_ faults: [RowFault]) -> String {
        let counts = Dictionary(grouping: faults) { $0.column ?? "" }.mapValues(\.count)
        let names = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5)
        return names.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
    }
}

/// How many rows of a batch may fail: so many, or a share of those that come to the step.
public enum FailureLimit: Sendable, Hashable, CustomStringConvertible {
    case rows(Int)
    /// In millionths.
    case share(Int)

    /// Reads `5%` or `0.25%`: at most four digits behind the point.
    init?(percent text: String) {
        guard text.hasSuffix("%") else { return nil }
        let parts = text.dropLast().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fraction = parts.count == 2 ? parts[1] : ""
        guard parts.count == 1 || !fraction.isEmpty, (1...3).contains(parts[0].count), fraction.count <= 4,
            parts.allSatisfy({ $0.utf8.allSatisfy(TextScan.isDigit) }),
            let whole = Int(parts[0]), let part = Int(fraction + String(repeating: "0", count: 4 - fraction.count)),
            whole * 10_000 + part <= 1_000_000
        else { return nil }
        self = .share(whole * 10_000 + part)
    }

    func isExceeded(by count: Int, of rows: Int) -> Bool {
        switch self {
        case .rows(let limit): count > limit
        case .share(let millionths): count * 1_000_000 > millionths * rows
        }
    }

    public var description: String {
        switch self {
        case .rows(let count): return String(count)
        case .share(let millionths):
            let (whole, part) = millionths.quotientAndRemainder(dividingBy: 10_000)
            guard part > 0 else { return "\(whole)%" }
            var digits = String(part + 10_000).dropFirst()
            while digits.last == "0" { digits.removeLast() }
            return "\(whole).\(digits)%"
        }
    }
}
