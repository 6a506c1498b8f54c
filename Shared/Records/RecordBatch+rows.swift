extension RecordBatch {
    /// Keeps the rows where the mask is not 0. The mask has an entry a row.
    public mutating func keep(_ mask: [UInt8]) {
        precondition(mask.count == rowCount)
        var kept: [Int] = []
        kept.reserveCapacity(mask.count)
        for row in mask.indices where mask[row] != 0 { kept.append(row) }
        guard kept.count < mask.count else { return }
        self = gathered(kept)
    }

    /// A batch of these rows, in this order; a row may come several times.
    public func gathered(_ indexes: [Int]) -> RecordBatch {
        RecordBatch(
            rows: indexes.map { rows[$0] },
            columns: columns.map { NamedColumn($0.name, $0.column.gathered(indexes)) },
            extra: extra?.gathered(indexes), extraNames: extraNames)
    }

    /// Appends another batch's rows. A column only one of them has is NULL in the other's rows; columns of the same
    /// name have the same type, else the result is false and nothing is changed.
    public mutating func append(_ other: RecordBatch) -> Bool {
        var joined = columns
        for (index, named) in columns.enumerated() {
            let more = other[named.name] ?? named.column.nulls(other.rowCount)
            guard joined[index].column.append(more) else { return false }
        }
        for named in other.columns where index(of: named.name) == nil {
            var column = named.column.nulls(rowCount)
            guard column.append(named.column) else { return false }
            joined.append(NamedColumn(named.name, column))
        }
        if extra != nil || other.extra != nil {
            var all = extra ?? Column.nulls(.jsonb, count: rowCount)
            guard all.append(other.extra ?? Column.nulls(.jsonb, count: other.rowCount)) else { return false }
            extra = all
        }
        extraNames += other.extraNames.filter { !extraNames.contains($0) }
        rows += other.rows
        columns = joined
        return true
    }
}

extension Column {
    /// NULLs of this column's type.
    func nulls(_ count: Int) -> Column {
        if case .typed(let type) = type { return .nulls(type, count: count) }
        return Column(
            untyped: VariantColumn(
                kinds: [UInt8](repeating: 0, count: count), payloads: [UInt64](repeating: 0, count: count)))
    }

    /// The values at these rows, in this order.
    public func gathered(_ indexes: [Int]) -> Column {
        let storage: ColumnStorage =
            switch storage {
            case .int64(let values): .int64(indexes.map { values[$0] })
            case .float64(let values): .float64(indexes.map { values[$0] })
            case .bool(let values): .bool(indexes.map { values[$0] })
            case .bytes(let values): .bytes(values.gathered(indexes))
            case .variant(let values): .variant(values.gathered(indexes))
            }
        return Column(type: type, validity: indexes.map { validity[$0] }, storage: storage)
    }

    /// Appends another column's values; false, and nothing is changed, unless its type is the same.
    public mutating func append(_ other: Column) -> Bool {
        guard type == other.type else { return false }
        switch (storage, other.storage) {
        case (.int64(let mine), .int64(let more)): storage = .int64(mine + more)
        case (.float64(let mine), .float64(let more)): storage = .float64(mine + more)
        case (.bool(let mine), .bool(let more)): storage = .bool(mine + more)
        case (.bytes(let mine), .bytes(let more)): storage = .bytes(mine.joined(with: more))
        case (.variant(let mine), .variant(let more)): storage = .variant(mine.joined(with: more))
        default: return false
        }
        validity += other.validity
        count = validity.count
        return true
    }
}

extension ByteColumn {
    func gathered(_ indexes: [Int]) -> ByteColumn {
        var result = ByteColumn(reserving: indexes.count, bytes: indexes.reduce(0) { $0 + range($1).count })
        for index in indexes { result.append(self[index]) }
        return result
    }

    func joined(with other: ByteColumn) -> ByteColumn {
        var result = self
        // Bytes that no value refers to stay behind.
        result.data.removeLast(data.count - Int(offsets[count]))
        let shift = UInt32(truncatingIfNeeded: result.data.count) &- other.offsets[0]
        result.data += other.data[Int(other.offsets[0])..<Int(other.offsets[other.count])]
        result.offsets += other.offsets.dropFirst().map { $0 &+ shift }
        return result
    }
}

extension VariantColumn {
    /// Shares the arena, so that nothing but kinds and payloads is copied.
    func gathered(_ indexes: [Int]) -> VariantColumn {
        VariantColumn(
            kinds: indexes.map { kinds[$0] }, payloads: indexes.map { payloads[$0] }, arena: arena)
    }

    func joined(with other: VariantColumn) -> VariantColumn {
        var result = self
        let shift = UInt64(arena.count) << 32
        result.kinds += other.kinds
        result.payloads += (0..<other.count).map {
            other.kinds[$0] >= VariantKind.firstPlaced ? other.payloads[$0] &+ shift : other.payloads[$0]
        }
        result.arena += other.arena
        return result
    }
}
