import Testing

@testable import Store

@Suite("Store: finding the rows that a table refuses")
struct RowSieveTests {
    /// Plays the table: refuses a run that holds a bad row, naming the first one's line if `tellsLine`.
    private func sift(_ count: Int, bad: Set<Int>, tellsLine: Bool) -> (loaded: [Int], refused: [Int], attempts: Int) {
        var sieve = RowSieve(count: count)
        var loaded: [Int] = []
        var refused: [Int] = []
        var attempts = 0
        while let run = sieve.next, attempts < 100_000 {
            attempts += 1
            if let first = run.first(where: bad.contains) {
                if let row = sieve.refused(line: tellsLine ? first - run.lowerBound + 1 : nil) { refused.append(row) }
            } else {
                loaded += run
                sieve.loaded()
            }
        }
        return (loaded, refused, attempts)
    }

    @Test("Every row is loaded once or refused once, in order", arguments: [true, false])
    func decidesEveryRow(tellsLine: Bool) {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let count = Int.random(in: 0...60, using: &random)
            let share = Int.random(in: 1...6, using: &random)
            let bad = Set((0..<count).filter { _ in Int.random(in: 1...6, using: &random) < share })
            let found = sift(count, bad: bad, tellsLine: tellsLine)
            #expect(found.refused == bad.sorted(), "of \(count) rows")
            #expect(found.loaded == (0..<count).filter { !bad.contains($0) })
        }
    }

    @Test("One bad row among many costs few attempts; rows that are all bad cost one each")
    func isQuick() {
        #expect(sift(100_000, bad: [70_000], tellsLine: true).attempts <= 8)
        #expect(sift(100_000, bad: [70_000], tellsLine: false).attempts <= 60)
        #expect(sift(5_000, bad: Set(0..<5_000), tellsLine: true).attempts == 5_000)
    }

    @Test("A line that cannot be is taken as none")
    func impossibleLine() {
        var sieve = RowSieve(count: 10)
        #expect(sieve.refused(line: 11) == nil)
        #expect(sieve.next == 0..<5)
        #expect(sieve.refused(line: 0) == nil)
        #expect(sieve.next == 0..<2)
    }
}
