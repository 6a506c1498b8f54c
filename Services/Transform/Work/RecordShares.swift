import Records

/// Which output each record of a batch counts in: the first one that has a row of it, else the target. So the outputs'
/// counts add up to the batch's records, also where a record has rows in several.
struct RecordShares: Sendable {
    /// Records of each output.
    let received: [Int32]
    /// Of each record its output; empty where there is one output only.
    private let places: [UInt8]

    /// In ``places``, of a record that was not run.
    private static let absent = UInt8.max

    /// - Parameters:
    ///   - outputs: the rows that the steps left, by output.
    ///   - chosen: ordinals of the records that were run; nil where all were.
    init(records: Int, outputs: [RecordBatch], chosen: [Int32]? = nil) {
        guard outputs.count > 1 || chosen != nil else {
            received = [Int32(records)]
            places = []
            return
        }
        var places = [UInt8](repeating: chosen == nil ? 0 : Self.absent, count: records)
        for row in chosen ?? [] { places[Int(row)] = 0 }
        for (number, batch) in outputs.enumerated().reversed() {
            for row in batch.rows { places[Int(row)] = UInt8(number) }
        }
        var received = [Int32](repeating: 0, count: outputs.count)
        for place in places where place != Self.absent { received[Int(place)] += 1 }
        self.received = received
        self.places = places
    }

    func output(of record: Int32) -> Int { places.isEmpty ? 0 : Int(places[Int(record)]) }

    /// Records by their output, in their order.
    func split(_ records: [Int32]) -> [[Int32]] {
        guard received.count > 1 else { return [records] }
        var split = [[Int32]](repeating: [], count: received.count)
        for record in records { split[output(of: record)].append(record) }
        return split
    }

    /// How many records of a range count in an output.
    func count(in records: Range<Int>, output: Int) -> Int32 {
        guard !places.isEmpty else { return Int32(records.count) }
        return places[records].reduce(0) { $0 + (Int($1) == output ? 1 : 0) }
    }
}
