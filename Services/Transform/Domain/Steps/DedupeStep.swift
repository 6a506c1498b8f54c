import Records

/// Of the rows of a batch that have the same key keeps one, the first or the last. Rows with a NULL in their key are
/// kept: they are nobody's duplicates. Values of an untyped column, and jsonb, are compared as they were written
/// (`RowGroups`).
struct DedupeStep: PipelineStep {
    let columns: [String]
    let keep: StepDefinition.Keep

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        let groups = RowGroups(columns.map { batch[$0] ?? batch.missingColumn }, rows: batch.rowCount)
        guard groups.count < batch.rowCount else { return StepResult(batch) }
        var chosen = [Int32](repeating: -1, count: groups.count)
        for row in 0..<batch.rowCount {
            let group = Int(groups.numbers[row])
            if keep == .last || chosen[group] < 0 { chosen[group] = Int32(row) }
        }
        var mask = [UInt8](repeating: 1, count: batch.rowCount)
        var result = StepResult(batch)
        for row in 0..<batch.rowCount
        where groups.hasNull[row] == 0 && chosen[Int(groups.numbers[row])] != Int32(row) {
            mask[row] = 0
            result.duplicates.append(batch.rows[row])
        }
        result.batch.keep(mask)
        return result
    }
}
