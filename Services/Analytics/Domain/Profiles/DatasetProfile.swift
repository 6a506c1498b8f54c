import Records
import Synchronization

/// All figures of a dataset's columns, and how they were had.
struct DatasetProfile: Sendable {
    /// The most different values that are kept, of all columns together: 70 MB of the longest.
    private static let valueCount = 256 * FrequentValues.usualCapacity

    var columns: [ColumnProfile]
    let isCorrelated: Bool
    /// Places in `columns` that the correlations are between.
    private(set) var correlated: [Int]
    private(set) var correlations: Correlations
    /// Names of numeric columns that were too many to be correlated.
    private(set) var leftOut: [String]

    init(_ columns: [ProfiledColumn], correlated isCorrelated: Bool, seed: UInt64) {
        self.isCorrelated = isCorrelated
        let share = min(FrequentValues.usualCapacity, Self.valueCount / max(1, columns.count))
        self.columns = columns.map { ColumnProfile($0.name, $0.type, seed: seed, valueCount: share) }
        let numeric = columns.indices.filter { [.int8, .float8, .numeric].contains(columns[$0].type) }
        correlated = isCorrelated ? Array(numeric.prefix(Correlations.maximumColumns)) : []
        leftOut = isCorrelated ? numeric.dropFirst(Correlations.maximumColumns).map { columns[$0].name } : []
        correlations = Correlations(columns: correlated.count)
    }

    /// Adds rows, whose columns are those of the profile in their order.
    mutating func add(_ batch: RecordBatch) {
        var parts: [Correlations.Part] = []
        for place in columns.indices {
            let part = columns[place].add(batch.columns[place].column)
            if let part, correlated.contains(place) { parts.append(part) }
        }
        correlations.add(parts)
    }
}

/// A column as the catalog has it.
struct ProfiledColumn: Sendable {
    var name: String
    var type: ColumnType
}

/// A profile that a COPY in binary fills, piece by piece.
///
/// A block is read while the server fills the sockets' buffers with the next one, so blocks are about as long as these.
final class ProfileScan: Sendable {
    private struct State {
        var profile: DatasetProfile
        var decoder: CopyBinaryDecoder
    }

    private static let blockBytes = 256 * 1024
    private let columns: [ProfiledColumn]
    private let state: Mutex<State>

    init(_ columns: [ProfiledColumn], correlated: Bool) {
        self.columns = columns
        let profile = DatasetProfile(columns, correlated: correlated, seed: .random(in: 0 ... .max))
        state = Mutex(State(profile: profile, decoder: Self.decoder(columns)))
    }

    /// Takes a piece that ends with a row, or with the end of the COPY. Errors: `RecordsError` `.corruptCopy`.
    func take(_ piece: [UInt8]) throws {
        try state.withLock { state in
            if state.decoder.byteCount > Self.blockBytes {
                // The COPY goes on, so that it is not at its end here.
                state.decoder.append(CopyBinaryEncoder.trailer)
                state.profile.add(try state.decoder.finish())
                state.decoder = Self.decoder(columns)
                state.decoder.append(CopyBinaryEncoder.header)
            }
            state.decoder.append(piece)
        }
    }

    /// The profile, once the COPY has ended. Errors as `take`.
    func finish() throws -> DatasetProfile {
        try state.withLock { state in
            state.profile.add(try state.decoder.finish())
            return state.profile
        }
    }

    private static func decoder(_ columns: [ProfiledColumn]) -> CopyBinaryDecoder {
        CopyBinaryDecoder(columns: columns.map { ($0.name, $0.type) })
    }
}
