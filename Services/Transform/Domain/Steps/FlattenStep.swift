import Records

/// Makes the fields of objects columns of their own, named after the column: `payload` with `{"a": 1}` gives
/// `payload_a`.
///
/// One level a step. Nothing is lost: what is no object stays where it is, and so do fields, still in an object, whose
/// name would be that of a column there is, is empty, begins with `_` or is longer than 63 bytes, and those of objects
/// with more than 2,000 different names. The column goes when nothing stays in it.
struct FlattenStep: PipelineStep {
    let names: [String]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        for name in names {
            guard let column = batch[name] else { continue }
            flatten(name, column, in: &batch)
        }
        return StepResult(batch)
    }

    private func flatten(_ name: String, _ column: Column, in batch: inout RecordBatch) {
        let text = batch.text(name)
        var isObject = (0..<batch.rowCount).map { row -> UInt8 in
            text.validity[row] & (text.values[row].first { $0 > 0x20 } == UInt8(ascii: "{") ? 1 : 0)
        }
        guard isObject.contains(1) else { return }
        let nested = NestedRecords(text.values, isObject, .ndjson)
        for (row, _) in nested.failed { isObject[row] = 0 }
        batch.columns.removeAll { $0.name == name }
        var taken = Set(batch.columns.map(\.name))
        taken.insert(name)
        var kept: [NamedColumn] = []
        for field in nested.columns {
            let full = "\(name)_\(field.name)"
            if full.utf8.count <= 63, taken.insert(full).inserted {
                batch.columns.append(NamedColumn(full, field.column))
            } else {
                kept.append(field)
            }
        }
        if let rest = Self.rest(of: column, isObject, kept, nested.extra) {
            batch.columns.append(NamedColumn(name, rest))
        }
    }

    /// The column with what is no object, and of objects the fields that have no column; nil when nothing is left.
    private static func rest(
        of column: Column, _ isObject: [UInt8], _ fields: [NamedColumn], _ extra: Column?
    ) -> Column? {
        let hasOthers = (0..<column.count).contains { column.isPresent($0) && isObject[$0] == 0 }
        guard hasOthers || extra != nil || !fields.isEmpty else { return nil }
        guard let source = column.asVariants else { return hasOthers ? column : nil }
        var values = VariantColumn(arena: source.arena)
        var object: [UInt8] = []
        for row in 0..<column.count {
            guard isObject[row] != 0 else {
                values.append(source.kind(row), payload: source.payloads[row])
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
