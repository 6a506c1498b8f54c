import JSON
import Records

/// One dry run's outcome: what would be stored of records, and what would not.
struct DryRun: Sendable {
    private let records: DryRecords
    private let targets: [PipelineDefinition.Target]
    private let batch: FittedBatch
    /// A step would turn the whole batch down.
    private let failure: BatchFailure?

    /// - Parameters:
    ///   - received: when the records came, in µs since 2000-01-01 UTC.
    ///   - fit: fits what the steps made to the datasets; gets the faults of records that are none, besides.
    init(
        _ records: DryRecords, _ pipeline: CompiledPipeline, _ targets: [PipelineDefinition.Target], received: Int64,
        lookup: (LookupRequest) async throws -> LookupAnswer,
        fit: (PipelineOutput, [RowFault]) async throws -> FittedBatch
    ) async throws {
        self.records = records
        self.targets = targets
        let decoded = try RecordDecoder().decode(records.frame)
        var run = PipelineRun(pipeline, decoded.batch, received: received)
        do {
            while let request = try run.advance() { run.supply(try await lookup(request)) }
            batch = try await fit(run.output, decoded.faults)
            failure = nil
        } catch let error as BatchFailure {
            // Of a batch that is turned down nothing is left.
            let none = PipelineOutput(batch: RecordBatch(rows: []), faults: error.faults)
            batch = FittedBatch(none, [], decodeFaults: decoded.faults)
            failure = error
        }
    }

    func json(numbers: NumberStyle = .plain) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            write(output: 0, numbers, &writer)
            writer.key("routed")
            writer.array { writer in
                for number in batch.outputs.indices.dropFirst() {
                    writer.object { writer in
                        writer.member("output", number)
                        write(output: number, numbers, &writer)
                    }
                }
            }
            writer.key("filtered")
            writer.array { writer in for value in records.values(batch.filtered.sorted()) { writer.value(value) } }
            writer.key("duplicates")
            writer.array { writer in for value in records.values(batch.duplicates.sorted()) { writer.value(value) } }
            writer.key("quarantined")
            writeQuarantined(&writer)
            writer.key("failed")
            writeFailure(&writer)
        }
        return writer.bytes
    }

    /// The members that say what an output's dataset would be given.
    private func write(output number: Int, _ numbers: NumberStyle, _ writer: inout JSONWriter) {
        let output = batch.outputs.indices.contains(number) ? batch.outputs[number] : nil
        var rows = output?.batch ?? RecordBatch(rows: [])
        let deletes = rows.takeColumn(OutputFitter.deletedColumn)
        writer.member("dataset", targets[number].dataset)
        writer.member("mode", targets[number].mode.rawValue)
        writer.key("primary_key")
        writer.array { writer in for name in output?.schema.primaryKey ?? [] { writer.string(name) } }
        for (key, isDelete) in [("rows", false), ("deletes", true)] {
            writer.key(key)
            writer.array { writer in
                for row in 0..<rows.rowCount where Self.holds(deletes, row) == isDelete {
                    var value: [UInt8] = []
                    rows.appendJSON(row, numbers: numbers, into: &value)
                    writer.writeRaw(value)
                }
            }
        }
        writer.key("new_columns")
        writer.array { writer in
            for column in output?.newColumns ?? [] {
                writer.object { writer in
                    writer.member("name", column.name)
                    writer.member("type", column.type.rawValue)
                }
            }
        }
    }

    private static func holds(_ column: Column?, _ row: Int) -> Bool {
        guard let column, column.isPresent(row), case .bool(let values) = column.storage else { return false }
        return values[row] != 0
    }

    private func writeQuarantined(_ writer: inout JSONWriter) {
        let found = batch.faults.records
        let values = records.values(found.map(\.row))
        writer.array { writer in
            for (value, record) in zip(values, found) {
                writer.object { writer in
                    writer.member("row", record.row)
                    writer.member("stage", record.stage)
                    writer.key("raw")
                    writer.value(value)
                    writer.key("errors")
                    writer.writeRaw(StagedFaults.json(record.faults))
                }
            }
        }
    }

    private func writeFailure(_ writer: inout JSONWriter) {
        guard let failure else { return writer.null() }
        writer.object { writer in
            writer.member("code", failure.code)
            writer.member("step", failure.step)
            writer.member("message", failure.message)
        }
    }
}

extension FittedBatch.Output {
    /// Those that the dataset would get for these rows.
    fileprivate var newColumns: [AgreedColumn] { agreed.filter { $0.state == .agreed && !schema.isTaken($0.name) } }
}

extension RecordBatch {
    /// Takes a column out.
    fileprivate mutating func takeColumn(_ name: String) -> Column? {
        index(of: name).map { columns.remove(at: $0).column }
    }
}
