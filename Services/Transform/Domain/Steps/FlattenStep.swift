import Records

/// Makes the fields of objects columns of their own, named after the column: `payload` with `{"a": 1}` gives
/// `payload_a`.
///
/// One level a step. Nothing is lost: what is no object stays where it is, and so do fields, still in an object, whose
/// name is empty, begins with `_` or is longer than 63 bytes, for which the record has a value under the new name
/// already, or which are not of the type that the column with that name has, and those of objects with more than 2,000
/// different names. The column goes when nothing stays in it. What stays has no type of its own: it is as in the
/// records, and text as fields of CSV are.
struct FlattenStep: PipelineStep {
    let names: [String]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        for name in names {
            guard let values = batch[name]?.asVariants else { continue }
            flatten(name, values, in: &batch)
        }
        return StepResult(batch)
    }

    private func flatten(_ name: String, _ values: VariantColumn, in batch: inout RecordBatch) {
        let text = batch.text(name)
        var isObject = (0..<batch.rowCount).map { row -> UInt8 in
            text.validity[row] & (text.values[row].first { $0 > 0x20 } == UInt8(ascii: "{") ? 1 : 0)
        }
        batch.set(name, Column(untyped: values))
        guard isObject.contains(1) else { return }
        let nested = NestedRecords(text.values, isObject, .ndjson)
        for (row, _) in nested.failed { isObject[row] = 0 }
        batch.columns.removeAll { ColumnName.isSame($0.name, name) }
        let known = batch.columns.enumerated().map { (Array($1.name.utf8), $0) }
        let places = Dictionary(known) { first, _ in first }
        var kept: [NamedColumn] = []
        for field in nested.columns {
            let full = "\(name)_\(field.name)"
            if full.utf8.count > 63 {
                kept.append(field)
            } else if let place = places[Array(full.utf8)] {
                let rest = Self.put(field.column, into: &batch.columns[place], batch.rows)
                if let rest { kept.append(NamedColumn(field.name, rest)) }
            } else {
                batch.columns.append(NamedColumn(full, field.column))
            }
        }
        if let rest = Self.rest(of: values, isObject, kept, nested.extra) {
            batch.columns.append(NamedColumn(name, rest))
        }
    }

    /// Puts a field into a column in the rows that have no value there; gives the field without what it took, or nil
    /// if that was all.
    private static func put(_ field: Column, into named: inout NamedColumn, _ rows: [Int32]) -> Column? {
        let own = named.column
        var values = field
        if case .typed(let type) = own.type { values = field.cast(to: type, rows: rows, name: named.name).column }
        var rest = field
        var taken = [UInt8](repeating: 0, count: rows.count)
        for row in taken.indices where values.isPresent(row) && !own.isPresent(row) {
            taken[row] = 1
            rest.validity[row] = 0
        }
        named.column = own.overlaid(by: values, where: taken)
        return rest.validity.contains(1) ? rest : nil
    }

    /// The column with what is no object, and of objects the fields that have no column; nil when nothing is left.
    private static func rest(
        of column: VariantColumn, _ isObject: [UInt8], _ fields: [NamedColumn], _ extra: Column?
    ) -> Column? {
        var values = VariantColumn(arena: column.arena)
        var object: [UInt8] = []
        for row in 0..<column.count {
            guard isObject[row] != 0 else {
                values.append(column.kind(row), payload: column.payloads[row])
                continue
            }
            object.removeAll(keepingCapacity: true)
            append(row, fields, extra, into: &object)
            if object.isEmpty { values.append(.missing) } else { values.append(.json, placing: object) }
        }
        let rest = Column(untyped: values)
        return rest.validity.contains(1) ? rest : nil
    }

    private static func append(_ row: Int, _ fields: [NamedColumn], _ extra: Column?, into object: inout [UInt8]) {
        if let extra, extra.isPresent(row), case .bytes(let texts) = extra.storage {
            object.append(contentsOf: texts[row].dropLast())
        }
        for field in fields where field.column.isPresent(row) {
            object.append(object.isEmpty ? UInt8(ascii: "{") : UInt8(ascii: ","))
            JSONText.appendString(field.name.utf8.span, into: &object)
            object.append(UInt8(ascii: ":"))
            field.column.appendJSON(row, into: &object)
        }
        if !object.isEmpty { object.append(UInt8(ascii: "}")) }
    }
}

extension Column {
    /// The values as untyped ones: what they are, of untyped values; text and JSON otherwise. Nil for other types.
    fileprivate var asVariants: VariantColumn? {
        switch (storage, type) {
        case (.variant(let values), _): return values
        case (.bytes, .typed(.text)):
            guard case .variant(let cells) = asCells.storage else { return nil }
            return cells
        case (.bytes(let texts), .typed(.jsonb)):
            var values = VariantColumn(arena: texts.data)
            for row in 0..<count {
                let range = texts.range(row)
                values.append(
                    validity[row] != 0 ? .json : .null,
                    payload: UInt64(range.lowerBound) << 32 | UInt64(range.count))
            }
            return values
        default: return nil
        }
    }
}
