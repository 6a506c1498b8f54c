import Records

extension Evaluation {
    /// A column of the batch brought to a type, for the rows of a frame.
    ///
    /// Whole columns are cast, once a run; a row's fault counts only when the row is asked for.
    mutating func field(_ name: String, as type: SQLType, _ frame: Frame) -> Vector {
        guard let index = batch.index(of: name) else { return .null(type) }
        let key = CastKey(column: index, type: type.columnType)
        let cast: CastColumn
        if let known = casts[key] {
            cast = known
        } else {
            cast = FieldCast.cast(batch.columns[index].column, to: type)
            casts[key] = cast
        }
        if !cast.faults.isEmpty {
            for place in 0..<frame.count {
                let row = frame.row(place)
                if let fault = cast.faults[Int32(truncatingIfNeeded: row)] {
                    report(fault, batchRow: row, column: column ?? name)
                }
            }
        }
        guard let selection = frame.selection else { return cast.vector }
        return cast.vector.gathered(selection)
    }
}

/// Columns of a batch as vectors of another type.
enum FieldCast {
    static func cast(_ column: Column, to type: SQLType) -> Evaluation.CastColumn {
        if case .typed(let own) = column.type {
            let vector = Vector(column, SQLType(own))
            if vector.type == type || (type == .unknown && own == .text) {
                return Evaluation.CastColumn(vector: vector, faults: [:])
            }
            return converted(Conversion.text(of: vector), to: type)
        }
        guard case .variant(let variants) = column.storage else { preconditionFailure("an untyped column of values") }
        if type != .numeric, type != .text, type != .unknown { return records(column, type) }
        return converted(Vector(.text, .bytes(text(of: variants)), valid: column.validity), to: type)
    }

    /// The casts that Records makes of untyped values.
    private static func records(_ column: Column, _ type: SQLType) -> Evaluation.CastColumn {
        let result = column.cast(to: type.columnType, rows: [Int32](repeating: 0, count: column.count), name: "")
        var faults: [Int32: Fault] = [:]
        for (row, fault) in zip(result.failed, result.faults) {
            faults[Int32(truncatingIfNeeded: row)] = Fault(fault.code, fault.message)
        }
        return Evaluation.CastColumn(vector: Vector(result.column, type), faults: faults)
    }

    /// Text vectors to a type, through the same kernels that casts use.
    private static func converted(_ text: Vector, to type: SQLType) -> Evaluation.CastColumn {
        if type == .text || type == .unknown { return Evaluation.CastColumn(vector: text, faults: [:]) }
        var collecting = Evaluation(RecordBatch(rows: (0..<Int32(text.count)).map { $0 }))
        let vector = Conversion.fromText(type).body([text], Frame(all: text.count), &collecting)
        var faults: [Int32: Fault] = [:]
        for fault in collecting.faults { faults[fault.row] = Fault(fault.code, fault.message) }
        return Evaluation.CastColumn(vector: vector, faults: faults)
    }

    /// What each value says, as text.
    static func text(of variants: VariantColumn) -> ByteColumn {
        var result = ByteColumn(reserving: variants.count, bytes: variants.arena.count)
        for row in 0..<variants.count {
            switch variants.kind(row) {
            case .missing, .null: break
            case .false: result.data.append(contentsOf: "false".utf8)
            case .true: result.data.append(contentsOf: "true".utf8)
            case .int: ValueOutput.write(variants.int(row), to: &result.data)
            case .number, .string, .json, .cell: result.data.append(contentsOf: variants[row])
            }
            result.endValue()
        }
        return result
    }
}

extension Vector {
    /// A typed column as it lies; decimals are read from their text.
    init(_ column: Column, _ type: SQLType) {
        switch column.storage {
        case .int64(let values): self.init(type, .int64(values), valid: column.validity)
        case .float64(let values): self.init(type, .float64(values), valid: column.validity)
        case .bool(let values): self.init(type, .bool(values), valid: column.validity)
        case .bytes(let values):
            guard type == .numeric else {
                self.init(type, .bytes(values), valid: column.validity)
                return
            }
            var decimals = DecimalBuffer(reserving: column.count)
            for row in 0..<column.count {
                if column.validity[row] != 0, let value = Decimal(values[row]) {
                    decimals.append(value)
                } else {
                    decimals.appendAbsent()
                }
            }
            self.init(.numeric, .decimal(decimals), valid: column.validity)
        case .variant(let variants):
            self.init(.text, .bytes(FieldCast.text(of: variants)), valid: column.validity)
        }
    }

    /// The column of a batch with `count` rows that holds these values.
    func column(count: Int) -> Column {
        let own = spread(to: count)
        let whole = type == .bytea || type == .textArray ? Conversion.text(of: own) : own
        let storage: ColumnStorage
        switch whole.values {
        case .int64(let values): storage = .int64(values)
        case .float64(let values): storage = .float64(values)
        case .bool(let values): storage = .bool(values)
        case .bytes(let values): storage = .bytes(values)
        case .decimal, .interval:
            guard case .bytes(let text) = Conversion.text(of: whole).values else {
                preconditionFailure("text is bytes")
            }
            storage = .bytes(text)
        }
        return Column(type.columnType, storage, validity: whole.valid)
    }
}
