import Catalog
import HTTP
import JSON
import Records

/// A profile as `ProfileSchemas` has it.
struct ProfileJSON {
    private static let names = ["p01", "p05", "p25", "p50", "p75", "p95", "p99"]

    private let top: Int
    private let numbers: NumberStyle
    private var writer = JSONWriter(reserving: 16 * 1024)

    var bytes: [UInt8] { writer.bytes }

    init(_ outcome: ProfileEngine.Outcome, of name: ResourceName, top: Int, numbers: NumberStyle) {
        self.top = top
        self.numbers = numbers
        writer.beginObject()
        writer.member("dataset", name.text)
        writer.member("sampled", outcome.isSampled)
        writer.member("rows_scanned", outcome.scanned)
        writer.member("rows", outcome.rows)
        writer.member("rows_estimated", outcome.isSampled)
        writer.member("fraction", .number(outcome.fraction))
        writer.member("at", .timestamp(outcome.at))
        writer.member("elapsed_ms", .number((outcome.elapsed / .milliseconds(1) * 1000).rounded() / 1000))
        writer.key("columns")
        writer.beginArray()
        for column in outcome.profile.columns { write(column) }
        writer.endArray()
        write(correlationsOf: outcome.profile)
        writer.endObject()
    }

    private mutating func write(_ column: ColumnProfile) {
        let (distinct, isExact) = column.frequent.distinct
        writer.beginObject()
        writer.member("name", column.name)
        writer.member("type", column.type.rawValue)
        writer.member("nulls", column.nulls)
        writer.member("distinct", ["count": .number(distinct), "exact": .bool(isExact)])
        write(column.extremes, column.type)
        let figures = column.numbers.flatMap { $0.beyond == 0 ? $0 : nil }
        let isNumber = [.int8, .float8, .numeric].contains(column.type)
        let moments = isNumber ? figures?.moments : nil
        writer.member("mean", moments.flatMap { $0.count > 0 ? Self.finite($0.mean) : nil } ?? .null)
        writer.member("stddev", moments?.deviation.flatMap(Self.finite) ?? .null)
        writer.member("not_finite", column.numbers.map(Self.notFinite) ?? .null)
        write(quantilesOf: column, figures)
        write(bins: figures?.bins ?? [], column.type)
        writer.key("length")
        if let lengths = column.lengths, let mean = lengths.mean {
            writer.value([
                "min": .number(lengths.least), "max": .number(lengths.greatest), "mean": .number(mean),
            ])
        } else {
            writer.null()
        }
        write(topOf: column)
        writer.endObject()
    }

    private static func finite(_ value: Double) -> JSONValue? { value.isFinite ? .number(value) : nil }

    private static func notFinite(_ figures: NumberFigures) -> JSONValue {
        [
            "nan": .number(figures.nan), "infinity": .number(figures.infinity),
            "negative_infinity": .number(figures.negativeInfinity),
        ]
    }

    // MARK: Values

    private mutating func write(_ extremes: ColumnProfile.Extremes, _ type: ColumnType) {
        switch extremes {
        case .none:
            writer.member("min", .null)
            writer.member("max", .null)
        case .int64(let least, let greatest):
            for (key, value) in [("min", least), ("max", greatest)] {
                writer.key(key)
                let isBool = type == .bool
                write(Column(type, isBool ? .bool([UInt8(truncatingIfNeeded: value)]) : .int64([value])))
            }
        case .float64(let least, let greatest):
            writer.member("min", .number(least))
            writer.member("max", .number(greatest))
        case .decimal(let least, let greatest):
            write(bytes: ("min", least.text), ("max", greatest.text), type)
        case .bytes(let least, let greatest):
            write(bytes: ("min", beginning(least[...], type)), ("max", beginning(greatest[...], type)), type)
        }
    }

    private mutating func write(
        bytes least: (String, ArraySlice<UInt8>), _ greatest: (String, ArraySlice<UInt8>), _ type: ColumnType
    ) {
        for (key, value) in [least, greatest] {
            writer.key(key)
            write(Column(type, .bytes(Self.single(value))))
        }
    }

    private mutating func write(_ value: Column) {
        var text: [UInt8] = []
        value.appendJSON(0, numbers: numbers, into: &text)
        writer.writeRaw(text)
    }

    private static func single(_ value: ArraySlice<UInt8>) -> ByteColumn {
        var column = ByteColumn(reserving: 1, bytes: value.count)
        column.append(value)
        return column
    }

    /// What is shown of a text: up to 256 bytes, of whole characters.
    private func beginning(_ text: ArraySlice<UInt8>, _ type: ColumnType) -> ArraySlice<UInt8> {
        guard type == .text || type == .jsonb, text.count > FrequentValues.longestValue else { return text }
        return Self.whole(text.prefix(FrequentValues.longestValue))
    }

    /// Without a character at the end of which bytes are missing.
    private static func whole(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let start = text.lastIndex(where: { $0 & 0xC0 != 0x80 }) else { return text }
        let lead = text[start]
        let length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        return text.endIndex - start < length ? text[..<start] : text
    }

    /// A number or a time of a column, near a value; the nearest below where the type has no such value.
    private mutating func write(near value: Double, _ type: ColumnType) {
        switch type {
        case .int8, .date, .timestamptz:
            let whole = value.rounded(.down)
            // Times at the ends of the numbers are infinite.
            let margin: Int64 = type == .int8 ? 0 : 1
            let number = Int64(exactly: whole) ?? (whole > 0 ? .max - margin : .min + margin)
            write(Column(type, .int64([number])))
        default: writer.number(value)
        }
    }

    // MARK: Figures

    private mutating func write(quantilesOf column: ColumnProfile, _ figures: NumberFigures?) {
        writer.key("quantiles")
        guard let figures else { return writer.null() }
        let exact = column.countedNumbers.map { (NumberFigures.quantiles(of: $0), 0.0 as Double?) }
        let (values, error) = exact ?? figures.quantiles
        guard values.count == Self.names.count, let span = column.span else { return writer.null() }
        writer.beginObject()
        for (name, value) in zip(Self.names, values) {
            writer.key(name)
            write(near: min(max(value, span.lowerBound), span.upperBound), column.type)
        }
        let isTime = column.type == .timestamptz || column.type == .date
        let unit = column.type == .date ? 86_400 : 1e-6
        writer.member("relative_error", isTime ? .null : error.map { .number($0) } ?? .null)
        writer.member("error_seconds", isTime ? error.map { .number($0 * unit) } ?? .null : .null)
        writer.endObject()
    }

    private mutating func write(bins: [SpanHistogram.Bin], _ type: ColumnType) {
        writer.key("histogram")
        guard !bins.isEmpty else { return writer.null() }
        writer.beginArray()
        for bin in bins {
            writer.beginObject()
            for (key, border) in [("from", bin.from), ("to", bin.to)] {
                writer.key(key)
                if type == .date || type == .timestamptz { write(near: border, type) } else { writer.number(border) }
            }
            writer.member("count", bin.count)
            writer.endObject()
        }
        writer.endArray()
    }

    private mutating func write(topOf column: ColumnProfile) {
        writer.key("top")
        writer.beginObject()
        writer.key("items")
        writer.beginArray()
        for item in column.frequent.top(top) {
            writer.beginObject()
            writer.key("value")
            let isCut = column.isBytes && item.length > FrequentValues.longestValue
            if column.isBytes {
                let kept = column.frequent.beginning(of: item)
                // What is cut is text: jsonb would be none any more.
                write(Column(isCut ? .text : column.type, .bytes(Self.single(isCut ? Self.whole(kept) : kept))))
            } else {
                write(Column(column.type, column.storage(of: item.word)))
            }
            writer.member("count", item.count)
            writer.member("truncated", isCut)
            writer.endObject()
        }
        writer.endArray()
        writer.member("count_error", column.frequent.error)
        writer.endObject()
    }

    private mutating func write(correlationsOf profile: DatasetProfile) {
        writer.key("correlations")
        guard profile.isCorrelated else { return writer.null() }
        let names = profile.correlated.map { profile.columns[$0].name }
        writer.beginObject()
        writer.member("columns", .array(names.map { .string($0) }))
        writer.key("pairs")
        writer.beginArray()
        for pair in profile.correlations.pairs {
            writer.beginObject()
            writer.member("x", names[pair.first])
            writer.member("y", names[pair.second])
            writer.member("r", pair.coefficient.map { .number($0) } ?? .null)
            writer.member("rows", pair.count)
            writer.endObject()
        }
        writer.endArray()
        writer.member("left_out", .array(profile.leftOut.map { .string($0) }))
        writer.endObject()
    }
}
