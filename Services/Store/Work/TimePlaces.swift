import JSON
import Records

/// Which partition each row of a group goes to. Rows without one, or of a partition that has expired, are taken out
/// before the others are sent.
struct TimePlaces: Sendable {
    /// Instead of a partition's first day.
    private enum Mark {
        static let expired = Int32.min
        static let outside = Int32.max
        static let missing = Int32.max - 1
    }

    private let rule: TimePartitioning
    private let cut: CutRows
    /// For each row.
    private let places: [Int32]
    private let haveAll: Bool
    /// The first days of the partitions that rows go to, ascending.
    let starts: [Int32]

    /// Heavy: not to be called on an event loop.
    /// - Parameter columns: of the chunks, the lineage left out.
    init(_ cut: CutRows, columns: [String], rule: TimePartitioning, window: TimePartitioning.Window) {
        self.rule = rule
        self.cut = cut
        var places = [Int32](repeating: Mark.missing, count: cut.rows.count)
        var distinct: Set<Int32> = []
        var last: (range: Range<Int32>, start: Int32) = (0..<0, 0)
        if let column = columns.firstIndex(of: rule.column) {
            for row in places.indices {
                guard let day = cut.rows.day(row, field: column + 3) else { continue }
                if let kept = window.kept, day < kept {
                    places[row] = Mark.expired
                } else if day < TimeGrain.firstDay || day > window.last {
                    places[row] = Mark.outside
                } else {
                    if !last.range.contains(day) {
                        let start = rule.grain.start(of: day)
                        last = (start..<rule.grain.end(of: start), start)
                        distinct.insert(start)
                    }
                    places[row] = last.start
                }
            }
        }
        self.places = places
        haveAll = !places.contains { $0 == Mark.expired || $0 >= Mark.missing }
        starts = distinct.sorted()
    }

    /// The rows that can be sent, those of the partitions that there are; what becomes of the others.
    func rows(into available: Set<Int32>) -> GroupRows {
        var refused: [CopyBinaryRows.Lineage: Int32] = [:]
        for (row, place) in places.enumerated() where place != Mark.expired && !available.contains(place) {
            let lineage = cut.rows.lineage(row)
            if refused[lineage] == nil { refused[lineage] = place }
        }
        var data = CopyBinaryEncoder.header
        data.reserveCapacity(cut.rows.bytes.count + 32)
        var ends: [Int] = []
        var taken = GroupRows.Taken()
        for (chunk, range) in cut.ranges.enumerated() {
            var expired: [Int32] = []
            for row in range {
                // Rows of one record stand or fall together.
                let lineage = refused.isEmpty ? nil : cut.rows.lineage(row)
                if let lineage, let reason = refused[lineage] {
                    let isOne = places[row] != Mark.expired && !available.contains(places[row])
                    taken.refusals.append(
                        Refusal(chunk: chunk, row: lineage.row, entry: isOne ? entry(reason) : nil))
                } else if places[row] == Mark.expired {
                    expired.append(cut.rows.lineage(row).row)
                } else {
                    data += cut.rows[row..<row + 1]
                }
            }
            taken.expired.append(expired)
            ends.append(data.count - CopyBinaryEncoder.header.count)
        }
        return GroupRows(copyData: data + CopyBinaryEncoder.trailer, ends: ends, taken: taken)
    }

    /// Whether all rows can be sent.
    func areAll(in available: Set<Int32>) -> Bool {
        haveAll && starts.allSatisfy(available.contains)
    }

    private func entry(_ place: Int32) -> JSONValue {
        let (code, message) =
            switch place {
            case Mark.missing:
                ("not_null", "the dataset is partitioned by \"\(rule.column)\": a row must have a value there")
            case Mark.outside:
                (
                    "time_out_of_range",
                    "partitions are made from 1970-01-01 to \(rule.grain.daysAhead) days from now, and not for this"
                )
            default:
                (
                    "too_many_partitions",
                    "the dataset has \(TimePartitioning.limit) partitions, and gets no more far from today"
                )
            }
        return ["code": .string(code), "step": nil, "column": .string(rule.column), "message": .string(message)]
    }
}
