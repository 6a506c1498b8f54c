public import Records

/// A compiled step, which works on whole batches.
protocol PipelineStep: Sendable {
    /// Whether it makes several rows of a record.
    var multiplies: Bool { get }

    /// Runs over a batch.
    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult

    /// What the step needs of another dataset; nil for most. It is then run by ``apply(_:_:found:)``.
    func request(_ batch: RecordBatch, _ context: StepContext) -> LookupRequest?

    func apply(_ batch: RecordBatch, _ context: StepContext, found: LookupAnswer) -> StepResult
}

extension PipelineStep {
    var multiplies: Bool { false }

    func request(_ batch: RecordBatch, _ context: StepContext) -> LookupRequest? { nil }

    func apply(_ batch: RecordBatch, _ context: StepContext, found: LookupAnswer) -> StepResult {
        apply(batch, context)
    }
}

/// What a step knows besides the rows.
struct StepContext: Sendable {
    /// The step's name in faults, as `steps[2].derive`.
    var place: String
    /// When the records were received, in µs since 2000-01-01 UTC; nil where nothing says.
    var received: Int64?
}

/// What a step makes of a batch. Rows with a fault, and those left out, are no longer in it.
struct StepResult {
    var batch: RecordBatch
    /// The ordinals of the records of rows that were filtered out, one for each row.
    var filtered: [Int32] = []
    /// The same of rows that another one stands for.
    var duplicates: [Int32] = []
    /// What a `route` step took out, a batch for each of its branches; of other steps none.
    var routed: [RecordBatch] = []
    /// At most one for each row.
    var faults: [RowFault] = []
    /// Why the whole batch is turned down.
    var failure: BatchFailure?

    init(_ batch: RecordBatch) {
        self.batch = batch
    }

    /// Takes the rows marked in `failed` (empty, or 1 for each that failed) out of a batch.
    init(_ batch: RecordBatch, removing failed: [UInt8], faults: [RowFault]) {
        self.batch = batch
        self.faults = faults
        if failed.contains(1) { self.batch.keep(failed.map { $0 ^ 1 }) }
    }
}

/// A step turned down the whole batch: nothing of it is stored, and trying again gives the same.
public struct BatchFailure: Error, Sendable, CustomStringConvertible {
    /// A stable name, as `too_many_failed`.
    public var code: String
    /// The step, as `steps[4].expect`.
    public var step: String
    public var message: String
    /// Of records that were turned down before, and by this step.
    public var faults: [RowFault] = []

    public var description: String { "\(step): \(message)" }
}

extension RecordBatch {
    /// Puts a column in the place of the one with its name, or at the end.
    mutating func set(_ name: String, _ column: Column) {
        if let index = index(of: name) {
            columns[index].column = column
        } else {
            columns.append(NamedColumn(name, column))
        }
    }

    /// An untyped column of fields that no record has.
    var missingColumn: Column {
        Column(
            untyped: VariantColumn(
                kinds: [UInt8](repeating: 0, count: rowCount), payloads: [UInt64](repeating: 0, count: rowCount)))
    }

    /// The column with this name as text; NULLs if there is none.
    func text(_ name: String) -> (values: ByteColumn, validity: [UInt8]) {
        let column = self[name] ?? missingColumn
        let cast = column.type == .typed(.text) ? column : column.cast(to: .text, rows: rows, name: name).column
        guard case .bytes(let values) = cast.storage else { preconditionFailure("text is bytes") }
        return (values, cast.validity)
    }

    /// Adds fields that have no column: a JSON object for each row that has some.
    mutating func add(extra more: Column?, names: [String]) {
        guard let more, more.validity.contains(1), case .bytes(let added) = more.storage else { return }
        guard let extra, case .bytes(let known) = extra.storage else {
            self.extra = more
            extraNames += names
            return
        }
        var values = ByteColumn(reserving: rowCount, bytes: known.data.count + added.data.count)
        for row in 0..<rowCount {
            if extra.isPresent(row) { values.data.append(contentsOf: known[row]) }
            if more.isPresent(row) {
                if extra.isPresent(row) {
                    // Two objects become one: its members are not empty, or they would not be here.
                    values.data[values.data.count - 1] = UInt8(ascii: ",")
                    values.data.append(contentsOf: added[row].dropFirst())
                } else {
                    values.data.append(contentsOf: added[row])
                }
            }
            values.endValue()
        }
        let validity = zip(extra.validity, more.validity).map { $0 | $1 }
        self.extra = Column(.jsonb, .bytes(values), validity: validity)
        extraNames += names
    }
}
