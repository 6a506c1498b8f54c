/// A typed column as its values go over the wire.
struct CopyField: Sendable {
    private enum Values: Sendable {
        /// 8 bytes: int8, timestamptz, float8.
        case wide([Int64])
        /// 4 bytes: date.
        case days([Int64])
        /// 1 byte: bool.
        case bools([UInt8])
        /// As they are: text, uuid; numeric in its binary form.
        case bytes(ByteColumn)
        /// jsonb: a version byte and the text.
        case json(ByteColumn)
    }

    private let values: Values
    private let validity: [UInt8]

    /// nil for an untyped column.
    init?(_ column: Column) {
        guard case .typed(let type) = column.type else { return nil }
        validity = column.validity
        switch (column.storage, type) {
        case (.int64(let days), .date): values = .days(days)
        case (.int64(let wide), _): values = .wide(wide)
        case (.float64(let doubles), _): values = .wide(doubles.map { Int64(bitPattern: $0.bitPattern) })
        case (.bool(let bools), _): values = .bools(bools)
        case (.bytes(let texts), .numeric): values = .bytes(NumericCoding.encode(texts, validity))
        case (.bytes(let texts), .jsonb): values = .json(texts)
        case (.bytes(let texts), _): values = .bytes(texts)
        case (.variant, _): return nil
        }
    }

    /// A NULL's length on the wire, which every value has in front.
    static let nullBytes = 4

    /// Adds to each row's length that of its value, without the four bytes of every field.
    func addLengths(to lengths: inout [Int]) {
        let valid = validity.span
        var output = lengths.mutableSpan
        switch values {
        case .wide: for row in output.indices { output[row] += valid[row] != 0 ? 8 : 0 }
        case .days: for row in output.indices { output[row] += valid[row] != 0 ? 4 : 0 }
        case .bools: for row in output.indices { output[row] += valid[row] != 0 ? 1 : 0 }
        case .bytes(let texts):
            let offsets = texts.offsets.span
            for row in output.indices { output[row] += valid[row] != 0 ? Int(offsets[row + 1] &- offsets[row]) : 0 }
        case .json(let texts):
            let offsets = texts.offsets.span
            for row in output.indices {
                output[row] += valid[row] != 0 ? Int(offsets[row + 1] &- offsets[row]) + 1 : 0
            }
        }
    }

    /// Writes each row's value at its place, and moves the places behind it.
    func write(_ rows: Range<Int>, to base: UnsafeMutableRawPointer, at places: inout [Int]) {
        switch values {
        case .wide(let wide):
            unsafe writeFixed(rows, base, &places, 8) { place, row in
                unsafe place.storeBytes(of: wide[row].bigEndian, as: Int64.self)
            }
        case .days(let days):
            unsafe writeFixed(rows, base, &places, 4) { place, row in
                unsafe place.storeBytes(of: Int32(clamping: days[row]).bigEndian, as: Int32.self)
            }
        case .bools(let bools):
            unsafe writeFixed(rows, base, &places, 1) { place, row in
                unsafe place.storeBytes(of: bools[row] != 0 ? 1 : 0, as: UInt8.self)
            }
        case .bytes(let texts): unsafe writeTexts(rows, base, &places, texts, isJSON: false)
        case .json(let texts): unsafe writeTexts(rows, base, &places, texts, isJSON: true)
        }
    }

    @inline(__always)
    private func writeFixed(
        _ rows: Range<Int>, _ base: UnsafeMutableRawPointer, _ places: inout [Int], _ width: Int,
        _ store: (UnsafeMutableRawPointer, Int) -> Void
    ) {
        let length = Int32(width).bigEndian
        for row in rows {
            let place = unsafe base + places[row]
            if validity[row] != 0 {
                unsafe place.storeBytes(of: length, as: Int32.self)
                unsafe store(place + 4, row)
                places[row] += 4 + width
            } else {
                unsafe place.storeBytes(of: -1, as: Int32.self)
                places[row] += 4
            }
        }
    }

    private func writeTexts(
        _ rows: Range<Int>, _ base: UnsafeMutableRawPointer, _ places: inout [Int], _ texts: ByteColumn, isJSON: Bool
    ) {
        let extra = isJSON ? 1 : 0
        unsafe texts.data.withUnsafeBytes { data in
            for row in rows {
                var place = unsafe base + places[row]
                guard validity[row] != 0 else {
                    unsafe place.storeBytes(of: -1, as: Int32.self)
                    places[row] += 4
                    continue
                }
                let start = Int(texts.offsets[row])
                let count = Int(texts.offsets[row + 1]) - start
                unsafe place.storeBytes(of: Int32(truncatingIfNeeded: count + extra).bigEndian, as: Int32.self)
                unsafe place += 4
                if isJSON {
                    unsafe place.storeBytes(of: 1, as: UInt8.self)
                    unsafe place += 1
                }
                unsafe place.copyMemory(
                    from: UnsafeRawPointer(data.baseAddress ?? UnsafeRawPointer(base)) + start, byteCount: count)
                places[row] += 4 + extra + count
            }
        }
    }
}
