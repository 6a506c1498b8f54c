import TestSupport
import Testing

@testable import Store

@Suite("Store: the search for a page's batches")
struct BatchSearchTests {
    /// A table: rows by the place of their batch. Follows a search to the end of the page or of the table.
    private struct Walk {
        let rows: [Int64: Int]
        var read: [BatchSearch.Window] = []
        var seen = 0
        var steps = 0
        /// Rows that were looked at: counted, and read.
        var touched = 0

        private func count(_ window: BatchSearch.Window) -> Int {
            rows.reduce(0) { total, batch in
                let isIn = batch.key >= window.low ?? .min && window.high.map { batch.key < $0 } ?? true
                return total + (isIn ? batch.value : 0)
            }
        }

        mutating func run(from low: Int64?, start: Int64, page: Int) {
            var search = BatchSearch(from: low, start: start, rows: page)
            while steps < 1000 {
                steps += 1
                switch search.step {
                case .count(let window):
                    let found = min(count(window), search.enough)
                    touched += found
                    search.counted(found)
                case .read(let window):
                    read.append(window)
                    touched += count(window)
                    seen += count(window)
                    if seen >= page { return }
                    search.passed()
                case .end: return
                }
            }
        }
    }

    @Test("Windows join, in order, and have all rows or enough; few are tried and few rows are read")
    func random() {
        let seed = TestSeed.next()
        var random = SeededNumbers(state: seed)
        for _ in 0..<300 {
            var rows: [Int64: Int] = [:]
            var place = Int64.random(in: -5_000_000...5_000_000, using: &random)
            let gaps: [Int64] = [1, 1, 3, 50, 10_000, 3_000_000]
            for _ in 0..<Int.random(in: 0...400, using: &random) {
                rows[place] = Int.random(in: 1...500, using: &random)
                place += Int64.random(in: 1...(gaps.randomElement(using: &random) ?? 1), using: &random)
            }
            let low = Bool.random(using: &random) ? nil : rows.keys.randomElement(using: &random)
            let start = rows.keys.min().map { $0 - Int64.random(in: 0...2_000_000, using: &random) } ?? 0
            let page = Int.random(in: 1...2000, using: &random)
            var walk = Walk(rows: rows)
            walk.run(from: low, start: start, page: page)
            let all = rows.filter { $0.key >= low ?? .min }.values.reduce(0, +)
            #expect(walk.seen >= min(page, all), "seed \(seed): \(walk)")
            for (window, following) in zip(walk.read, walk.read.dropFirst()) {
                let between = rows.keys.filter { $0 >= window.high ?? .max && $0 < following.low ?? .min }
                #expect(window.high ?? .max <= following.low ?? .min && between.isEmpty)
            }
            if let first = walk.read.first {
                #expect(!rows.keys.contains { $0 >= low ?? .min && $0 < first.low ?? .min })
            }
            #expect(walk.steps < 80, "seed \(seed): \(walk.steps) steps")
            #expect(walk.touched < 40 * max(2 * page, 1000), "seed \(seed): \(walk.touched) rows for \(page)")
        }
    }

    @Test("The ends of the numbers are places like any other", arguments: [Int64.min, -1, 0, .max])
    func ends(place: Int64) {
        var walk = Walk(rows: [place: 10_000])
        walk.run(from: place, start: 0, page: 10)
        #expect(place == .max || walk.seen == 10_000)
        #expect(walk.steps < 200 || place == .max)
    }
}
