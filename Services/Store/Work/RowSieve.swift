/// Finds the rows that a table refuses, by loading ever smaller or larger runs of them, in order: so that of two rows
/// that exclude each other the first is the one that stays.
///
/// The caller loads the run that `next` gives and says what came of it. What is true throughout: every row before
/// `position` is loaded or refused. PostgreSQL names the line that it refused, so a bad row mostly costs one failed and
/// one successful attempt; without a line the run is halved. Where bad rows are dense the runs become short, so that
/// little is sent in vain.
struct RowSieve: Sendable, Equatable {
    static let shortest = 8

    let count: Int
    private(set) var position = 0
    private var length: Int

    init(count: Int) {
        self.count = count
        length = max(1, count)
    }

    /// The rows to be tried now; nil when all are decided.
    var next: Range<Int>? {
        position < count ? position..<min(count, position + length) : nil
    }

    /// The run of `next` was loaded.
    mutating func loaded() {
        guard let run = next else { return }
        position = run.upperBound
        length = min(count, max(length, run.count) * 2)
    }

    /// The run of `next` was refused, because of the row at `line` (from 1) if that is known. Gives the row that is
    /// bad, once it is certain.
    mutating func refused(line: Int?) -> Int? {
        guard let run = next else { return nil }
        if run.count == 1 || line == 1 {
            position += 1
            length = max(Self.shortest, length / 2)
            return run.lowerBound
        }
        if let line, line > 1, line <= run.count {
            length = line - 1
        } else {
            length = run.count / 2
        }
        return nil
    }
}
