import Records

/// Finds numbers far from the others of their batch, or of their group in it.
///
/// By `zscore`: more than `threshold` standard deviations (of a sample) from the mean. By `iqr`: more than `threshold`
/// times the distance of the quartiles (interpolated, as PostgreSQL's `percentile_cont`) below the first or above the
/// third. Computed in double precision over the finite values; infinities and NaN, which lies above all numbers, are
/// outliers wherever there are bounds: `zscore` has none for fewer than two values or where all are equal. `clip`
/// brings infinities to the bounds and leaves NaN as it is: it is near neither.
struct OutliersStep: PipelineStep {
    let column: String
    let method: StepDefinition.Outliers.Method
    let threshold: Double
    let action: StepDefinition.Outliers.Action
    let groupColumns: [String]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        guard let column = batch[column], let values = column.doubles, batch.rowCount > 0 else {
            return StepResult(batch)
        }
        let groups = RowGroups(groupColumns.map { batch[$0] ?? batch.missingColumn }, rows: batch.rowCount)
        let bounds = bounds(of: values, column.validity, groups)
        var outliers: [Int] = []
        for row in 0..<batch.rowCount where column.isPresent(row) && !(action == .clip && values[row].isNaN) {
            if let bound = bounds[Int(groups.numbers[row])], !(bound.low <= values[row] && values[row] <= bound.high) {
                outliers.append(row)
            }
        }
        guard !outliers.isEmpty else { return StepResult(batch) }
        var result = StepResult(batch)
        switch action {
        case .quarantine:
            var marks = [UInt8](repeating: 0, count: batch.rowCount)
            let faults = outliers.map { row in
                marks[row] = 1
                return fault(column, row, bounds[Int(groups.numbers[row])], batch, context)
            }
            return StepResult(batch, removing: marks, faults: faults)
        case .null:
            var changed = column
            for row in outliers { changed.validity[row] = 0 }
            result.batch.set(self.column, changed)
        case .clip:
            let limits = outliers.map { row in
                let bound = bounds[Int(groups.numbers[row])] ?? Bounds(low: 0, high: 0)
                return values[row] < bound.low ? (row, bound.low, false) : (row, bound.high, true)
            }
            result.batch.set(self.column, column.replacing(limits))
        }
        return result
    }

    private struct Bounds {
        var low: Double
        var high: Double
    }

    private func fault(
        _ column: Column, _ row: Int, _ bounds: Bounds?, _ batch: RecordBatch, _ context: StepContext
    ) -> RowFault {
        var text: [UInt8] = []
        TextOutput.append(column, row, into: &text)
        let range = bounds.map { "\($0.low) to \($0.high)" } ?? ""
        return RowFault(
            row: batch.rows[row], code: "outlier", step: context.place, column: self.column,
            message: "\(String(decoding: text.prefix(100), as: UTF8.self)) is not within \(range)")
    }

    // MARK: Bounds

    /// Of each group, nil where it has none.
    private func bounds(of values: [Double], _ validity: [UInt8], _ groups: RowGroups) -> [Bounds?] {
        // The finite values sorted by group: where each group's begin, and the values behind one another.
        var starts = [Int](repeating: 0, count: groups.count + 1)
        for row in values.indices where validity[row] != 0 && values[row].isFinite {
            starts[Int(groups.numbers[row]) + 1] += 1
        }
        for group in 0..<groups.count { starts[group + 1] += starts[group] }
        var next = starts
        var sorted = [Double](repeating: 0, count: starts[groups.count])
        for row in values.indices where validity[row] != 0 && values[row].isFinite {
            let group = Int(groups.numbers[row])
            sorted[next[group]] = values[row]
            next[group] += 1
        }
        return (0..<groups.count).map { group in
            let range = starts[group]..<starts[group + 1]
            return method == .zscore ? deviations(&sorted, range) : quartiles(&sorted, range)
        }
    }

    private func deviations(_ values: inout [Double], _ range: Range<Int>) -> Bounds? {
        guard range.count > 1 else { return nil }
        // Differences from the first value: equal values then have no deviation at all, whatever they are.
        let first = values[range.lowerBound]
        let count = Double(range.count)
        var sum = 0.0
        for index in range { sum += values[index] - first }
        let offset = sum / count
        var squares = 0.0
        for index in range {
            let difference = values[index] - first - offset
            squares += difference * difference
        }
        let deviation = (squares / (count - 1)).squareRoot()
        let mean = first + offset
        guard deviation > 0, deviation.isFinite, mean.isFinite else { return nil }
        return Bounds(low: mean - threshold * deviation, high: mean + threshold * deviation)
    }

    private func quartiles(_ values: inout [Double], _ range: Range<Int>) -> Bounds? {
        guard !range.isEmpty else { return nil }
        values[range].sort()
        func quantile(_ share: Double) -> Double {
            let place = share * Double(range.count - 1)
            let below = Int(place)
            let low = values[range.lowerBound + below]
            let high = values[range.lowerBound + min(below + 1, range.count - 1)]
            return low + (high - low) * (place - Double(below))
        }
        let (first, third) = (quantile(0.25), quantile(0.75))
        let distance = threshold * (third - first)
        guard distance.isFinite else { return nil }
        return Bounds(low: first - distance, high: third + distance)
    }
}

extension Column {
    /// The values of a column of numbers in double precision; nil for other types.
    fileprivate var doubles: [Double]? {
        switch (storage, type) {
        case (.int64(let values), .typed(.int8)): return values.map { Double($0) }
        case (.float64(let values), _): return values
        case (.bytes(let texts), .typed(.numeric)):
            let cast = cast(to: .float8, rows: [], name: "")
            guard case .float64(var values) = cast.column.storage else { return nil }
            // Numbers beyond what a double holds, and those so small that it has none but 0.
            for row in cast.failed {
                let isNegative = texts[row].first == UInt8(ascii: "-")
                let isSmall = texts[row].drop { $0 == UInt8(ascii: "-") }.starts(with: "0.".utf8)
                values[row] = isSmall ? 0 : isNegative ? -.infinity : .infinity
            }
            return values
        default: return nil
        }
    }

    /// The column with other numbers in some rows, in their order: each rounded down if it is the upper bound, else up.
    fileprivate func replacing(_ limits: [(row: Int, bound: Double, isUpper: Bool)]) -> Column {
        switch storage {
        case .int64(var values):
            for (row, bound, isUpper) in limits {
                let rounded = bound.rounded(isUpper ? .down : .up)
                values[row] = Int64(exactly: rounded) ?? (rounded < 0 ? .min : .max)
            }
            return Column(type: type, validity: validity, storage: .int64(values))
        case .float64(var values):
            for (row, bound, _) in limits { values[row] = bound }
            return Column(type: type, validity: validity, storage: .float64(values))
        case .bytes(let values):
            var replaced = ByteColumn(reserving: count, bytes: values.data.count)
            var next = limits[...]
            for row in 0..<count {
                if let limit = next.first, limit.row == row {
                    next.removeFirst()
                    let bound = Column(.float8, .float64([limit.bound])).cast(to: .numeric, rows: [0], name: "").column
                    TextOutput.append(bound, 0, into: &replaced.data)
                } else {
                    replaced.data.append(contentsOf: values[row])
                }
                replaced.endValue()
            }
            return Column(type: type, validity: validity, storage: .bytes(replaced))
        default: return self
        }
    }
}
