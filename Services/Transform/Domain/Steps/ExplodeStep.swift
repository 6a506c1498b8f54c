import Records

/// Makes a row of each element of an array; the row's other columns are repeated, and the element takes the array's
/// place.
///
/// A NULL and an empty array give one row with NULL, or with `skipsEmpty` none, which counts as filtered. What is no
/// array is turned down, and so is a record that would make too many rows (``elementLimit``, ``byteLimit``): memory is
/// bounded for a record, and for the batch.
struct ExplodeStep: PipelineStep {
    /// Rows that one record makes.
    static let elementLimit = 100_000
    /// Bytes of values that one record's rows repeat.
    static let byteLimit = 64 << 20
    /// The same of all records of a batch together, and their rows.
    static let batchByteLimit = 512 << 20
    static let batchRowLimit = 16 << 20

    let column: String
    /// The name of a column for the element's place, from 1.
    let position: String?
    let skipsEmpty: Bool

    var multiplies: Bool { true }

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        let cast = (batch[column] ?? batch.missingColumn).cast(
            to: .jsonb, rows: batch.rows, name: column, step: context.place)
        guard case .bytes(let texts) = cast.column.storage else { return StepResult(batch) }
        var elements = Elements(rows: batch.rowCount)
        var faults = cast.faults
        var isFaulty = [Bool](repeating: false, count: batch.rowCount)
        for row in cast.failed { isFaulty[row] = true }
        var result = StepResult(batch)
        let widths = batch.widths(without: column)
        var bytes = 0
        for row in 0..<batch.rowCount {
            guard cast.column.isPresent(row) else {
                if !isFaulty[row] { elements.addNull(row) }
                continue
            }
            let before = elements.count
            do throws(Refusal) {
                try elements.add(texts.data.span.extracting(texts.range(row)), row)
                let more = (elements.count - before) * widths[row]
                guard more <= Self.byteLimit else { throw Refusal.tooManyBytes }
                guard bytes + more <= Self.batchByteLimit, elements.count <= Self.batchRowLimit else {
                    throw Refusal.batchTooLarge
                }
                bytes += more
            } catch {
                elements.truncate(before)
                faults.append(
                    RowFault(
                        row: batch.rows[row], code: error.code, step: context.place, column: column,
                        message: error.message))
            }
        }
        if skipsEmpty {
            result.filtered = elements.removeEmpty().map { batch.rows[$0] }
        }
        let exploded = elements.exploded(batch, column, position: position)
        result.batch = exploded.batch
        // Of text that nests more deeply than a record may. The record's other rows go, too.
        for (row, message) in exploded.failed {
            faults.append(
                RowFault(
                    row: result.batch.rows[row], code: "invalid_json", step: context.place, column: column,
                    message: "element \(exploded.places[row]): \(message)"))
        }
        result.faults = faults
        return result
    }

    /// Why a record's array makes no rows.
    enum Refusal: Error {
        case noArray, tooManyElements, tooManyBytes, batchTooLarge

        var code: String { self == .noArray ? "not_an_array" : "too_many_rows" }

        var message: String {
            switch self {
            case .noArray: "the value is no array"
            case .tooManyElements: "the array has more than \(ExplodeStep.elementLimit) elements"
            case .tooManyBytes: "the record's rows would have more than \(ExplodeStep.byteLimit >> 20) MiB"
            case .batchTooLarge:
                "the rows of the records before it fill the batch: \(ExplodeStep.batchByteLimit >> 20) MiB"
            }
        }
    }
}

/// The elements of all arrays of a column, one after the other.
private struct Elements {
    /// Of each element its row in the batch, and its place in the array; 0 for a NULL that stands for none.
    private var rows: [Int] = []
    private var places: [Int64] = []
    /// Each as `{"v":element}`, the form that the decoder of records takes.
    private var frame = BatchFrame(format: .ndjson)
    private static let opening = Array(#"{"v":"#.utf8)
    /// The element that each of the frame's records is.
    private var records: [Int] = []

    init(rows count: Int) {
        rows.reserveCapacity(count)
        places.reserveCapacity(count)
    }

    var count: Int { rows.count }

    mutating func addNull(_ row: Int) {
        rows.append(row)
        places.append(0)
    }

    /// Adds the elements of a JSON text, which is valid.
    mutating func add(_ text: Span<UInt8>, _ row: Int) throws(ExplodeStep.Refusal) {
        var at = 0
        while at < text.count, text[at] <= 0x20 { at += 1 }
        guard at < text.count, text[at] == UInt8(ascii: "[") else {
            // The word null.
            guard at < text.count, text[at] == UInt8(ascii: "n") else { throw .noArray }
            return addNull(row)
        }
        at += 1
        let first = rows.count
        while at < text.count {
            while at < text.count, text[at] <= 0x20 { at += 1 }
            if at < text.count, text[at] == UInt8(ascii: "]") { break }
            let start = at
            at = Self.end(of: text, at)
            guard rows.count - first < ExplodeStep.elementLimit else { throw .tooManyElements }
            append(text.extracting(start..<at), row, Int64(rows.count - first + 1))
            at += 1
            if text[at - 1] == UInt8(ascii: "]") { break }
        }
        if rows.count == first { addNull(row) }
    }

    /// The comma or bracket that ends the element at a place.
    private static func end(of text: Span<UInt8>, _ start: Int) -> Int {
        var at = start
        var depth = 0
        var isInString = false
        while at < text.count {
            let byte = text[at]
            if isInString {
                if byte == UInt8(ascii: "\\") { at += 1 } else if byte == UInt8(ascii: "\"") { isInString = false }
            } else if byte == UInt8(ascii: "\"") {
                isInString = true
            } else if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") {
                depth += 1
            } else if byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}") {
                if depth == 0 { return at }
                depth -= 1
            } else if byte == UInt8(ascii: ","), depth == 0 {
                return at
            }
            at += 1
        }
        return text.count - 1
    }

    private mutating func append(_ element: Span<UInt8>, _ row: Int, _ place: Int64) {
        let start = frame.bytes.count
        frame.bytes.append(contentsOf: Self.opening)
        JSONText.append(element, into: &frame.bytes)
        frame.bytes.append(0x7D)
        frame.lengths.append(UInt32(frame.bytes.count - start))
        frame.bytes.append(0x0A)
        records.append(rows.count)
        rows.append(row)
        places.append(place)
    }

    /// Takes back the elements from one on.
    mutating func truncate(_ count: Int) {
        rows.removeLast(rows.count - count)
        places.removeLast(places.count - count)
        while let last = records.last, last >= count {
            records.removeLast()
            frame.bytes.removeLast(Int(frame.lengths.removeLast()) + 1)
        }
    }

    /// Takes out what stands for no element; gives the rows.
    mutating func removeEmpty() -> [Int] {
        let empty = rows.indices.filter { places[$0] == 0 }.map { rows[$0] }
        guard !empty.isEmpty else { return [] }
        let kept = rows.indices.filter { places[$0] != 0 }
        rows = kept.map { rows[$0] }
        places = kept.map { places[$0] }
        // The elements that are left are those that have records, in their order.
        records = Array(kept.indices)
        return empty
    }

    /// The batch with a row for each element.
    func exploded(
        _ batch: RecordBatch, _ name: String, position: String?
    ) -> (batch: RecordBatch, places: [Int64], failed: [(row: Int, message: String)]) {
        var rest = batch
        let place = batch.index(of: name)
        if let place { rest.columns.remove(at: place) }
        var result = rest.gathered(rows)
        let decoded = NestedRecords(frame, rows: records, count: rows.count)
        let values = decoded.columns.first { $0.name == "v" }?.column ?? result.missingColumn
        result.columns.insert(NamedColumn(name, values), at: place ?? result.columns.count)
        if let position {
            let present = places.map { UInt8($0 > 0 ? 1 : 0) }
            result.set(position, Column(.int8, .int64(places), validity: present))
        }
        return (result, places, decoded.failed)
    }
}

extension RecordBatch {
    /// About how many bytes each row's values have, one column left out.
    fileprivate func widths(without name: String) -> [Int] {
        var widths = [Int](repeating: 0, count: rowCount)
        for named in columns where named.name != name { named.column.addWidths(to: &widths) }
        extra?.addWidths(to: &widths)
        return widths
    }
}

extension Column {
    fileprivate func addWidths(to widths: inout [Int]) {
        switch storage {
        case .bytes(let values): for row in widths.indices { widths[row] += 8 + values.range(row).count }
        case .variant(let values):
            for row in widths.indices {
                let isPlaced = values.kinds[row] >= VariantKind.firstPlaced
                widths[row] += 12 + (isPlaced ? values.range(row).count : 0)
            }
        default: for row in widths.indices { widths[row] += 12 }
        }
    }
}
