/// Splits a batch's counts over the requests coalesced into it.
///
/// Rows are named by their record's ordinal. The answer has three numbers a request: filtered, quarantined and
/// duplicates, in the order of the requests; nil where the batch's own counts say it all: it has one request, or
/// nothing of it was left out or turned down.
enum ReceiptTally {
    /// How many records of each request count in an output; nil where the pipeline has one output, which has all.
    static func received(ends: [Int32], _ shares: RecordShares, output: Int) -> [Int32]? {
        guard shares.received.count > 1 else { return nil }
        return zip([0] + ends, ends).map { shares.count(in: Int($0)..<Int($1), output: output) }
    }

    static func counts(
        ends: [Int32], filtered: [Int32], quarantined: [Int32], duplicates: [Int32]
    ) -> [Int32]? {
        guard ends.count > 1, !(filtered.isEmpty && quarantined.isEmpty && duplicates.isEmpty) else { return nil }
        var counts = [Int32](repeating: 0, count: ends.count * 3)
        for row in filtered { counts[3 * receipt(of: row, ends)] += 1 }
        for row in quarantined { counts[3 * receipt(of: row, ends) + 1] += 1 }
        for row in duplicates { counts[3 * receipt(of: row, ends) + 2] += 1 }
        return counts
    }

    /// The first request whose end lies past the row.
    private static func receipt(of row: Int32, _ ends: [Int32]) -> Int {
        var low = 0
        var high = ends.count - 1
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > row { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
