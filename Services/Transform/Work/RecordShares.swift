import Records

/// Which output each record of a batch counts in: the first one that has a row of it, else the target. So the outputs'
/// counts add up to the batch's records, also where a record has rows in several.
struct RecordShares: Sendable {
    /// Records of each output.
    let received: [Int32]
    /// Of each record its output; empty where there is one output only.
    private let places: [UInt8]

    /// - Parameter outputs: the rows that the steps left, by output.
    init(records: Int, outputs: [RecordBatch]) {
        guard outputs.count > 1 else {
            received = [Int32(records)]
            places = []
            return
        }
        var places = [UInt8](repeating: 0, count: records)
        for (number, batch) in outputs.enumerated().reversed() {
            for row in batch.rows { places[Int(row)] = UInt8(number) }
        }
        var received = [Int32](repeating: 0, count: outputs.count)
        for place in places { received[Int(place)] += 1 }
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
