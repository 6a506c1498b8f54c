import JSON
import Records

/// What has no column of its own in a dataset: it goes to `_extra`, as one JSON object a row.
struct ExtraFields {
    /// Fields that had no column in the batch either: objects.
    let loose: Column?
    /// Fields with values; a row has one of a name.
    let columns: [NamedColumn]
    let rowCount: Int

    init(_ batch: RecordBatch, _ columns: [NamedColumn]) {
        loose = batch.extra
        self.columns = columns.filter { $0.column.nullCount < $0.column.count }
        rowCount = batch.rowCount
    }

    /// Nil where no row has any.
    var column: Column? {
        guard loose != nil || !columns.isEmpty else { return nil }
        var validity = [UInt8](repeating: 0, count: rowCount)
        var values = ByteColumn(reserving: rowCount)
        for row in 0..<rowCount {
            append(row, to: &values.data, &validity)
            values.endValue()
        }
        return Column(.jsonb, .bytes(values), validity: validity)
    }

    private func append(_ row: Int, to data: inout [UInt8], _ validity: inout [UInt8]) {
        if let loose, loose.isPresent(row), case .bytes(let texts) = loose.storage {
            data.append(contentsOf: texts[row])
            validity[row] = 1
        }
        for named in columns where named.column.isPresent(row) {
            if validity[row] == 1, data.last == UInt8(ascii: "}") {
                data.removeLast()
                if data.last != UInt8(ascii: "{") { data.append(UInt8(ascii: ",")) }
            } else {
                data.append(UInt8(ascii: "{"))
                validity[row] = 1
            }
            JSONText.appendString(Array(named.name.utf8).span, into: &data)
            data.append(UInt8(ascii: ":"))
            named.column.appendJSON(row, into: &data)
            data.append(UInt8(ascii: "}"))
        }
    }

    /// A fault for each value, where the dataset takes no field that it does not know.
    func faults(_ rows: [Int32], isKnown: (String) -> Bool) -> [RowFault] {
        var faults: [RowFault] = []
        for named in columns where !isKnown(named.name) {
            for row in 0..<rowCount where named.column.isPresent(row) {
                faults.append(Self.fault(rows[row], named.name))
            }
        }
        guard let loose, case .bytes(let texts) = loose.storage else { return faults }
        for row in 0..<rowCount where loose.isPresent(row) {
            let members = (try? JSONValue.parse(Array(texts[row])))?.object?.members ?? []
            faults += members.filter { $0.value != .null }.prefix(20).map { Self.fault(rows[row], $0.key) }
        }
        return faults
    }

    /// A name may be as long as a record.
    private static func fault(_ row: Int32, _ name: String) -> RowFault {
        let shown = name.utf8.count > 200 ? "\(name.prefix(40))…" : name
        return RowFault(
            row: row, code: "unknown_column", column: shown, message: "the dataset has no column \"\(shown)\"")
    }
}
