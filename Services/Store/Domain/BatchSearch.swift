/// Finds the parts of a table that a page of its rows needs, in the order of their batches.
///
/// The index on `_batch` knows of each piece of the table which batches it may hold (BRIN), so a range of batches is
/// read without the rest of the table, but neither does it sort nor know where a batch is. So windows of batches are
/// tried: rows in one are counted up to ``enough``; of what has more a quarter is tried, what has none is passed, and
/// what has some is read. Batches are numbered for all datasets together: a dataset's may lie anywhere, with gaps of
/// any length, and some hold more rows than others.
///
/// Places are those of the order: the batches themselves, or their complements where it descends.
struct BatchSearch: Sendable {
    /// Places from `low` on and before `high`; nil has no end.
    struct Window: Equatable, Sendable {
        var low: Int64?
        var high: Int64?
    }

    enum Step: Equatable, Sendable {
        /// Count the window's rows, as far as `enough`, and tell by `counted`.
        case count(Window)
        /// Read the window's rows, and call `passed` where they do not fill the page.
        case read(Window)
        case end
    }

    static let firstWidth: Int64 = 64
    static let mostRows = 1 << 20

    private(set) var step: Step
    /// Rows of a window that is not read as a whole if it can be made smaller.
    private(set) var enough: Int
    /// Rows of the window that was counted last.
    private var found = 0
    private var low: Int64?
    /// Where the first window ends that has no beginning.
    private let start: Int64
    private var width = firstWidth
    /// A larger window has enough rows, and the next ones are parts of it.
    private var isNarrowing = false

    /// `low`: the place of the cursor, if there is one. `start`: without it, where the rows are thought to begin.
    init(from low: Int64?, start: Int64, rows: Int) {
        self.low = low
        self.start = start
        enough = max(2 * rows, 1000)
        step = .count(Window(low: low))
    }

    mutating func counted(_ rows: Int) {
        guard case .count(let window) = step else { preconditionFailure("nothing was to be counted") }
        found = rows
        guard let high = window.high else {
            // Little is left, or the search begins.
            step = rows < enough ? .read(window) : .count(next())
            return
        }
        if rows >= enough, width > 1 {
            isNarrowing = true
            width = max(1, width / 4)
            step = .count(next())
        } else if rows == 0 {
            low = high
            if !isNarrowing { width = width.multiplied(by: 4) }
            step = .count(next())
        } else {
            step = .read(window)
        }
    }

    /// The window that was read did not fill the page: it was small, or the condition leaves out many rows.
    mutating func passed() {
        guard case .read(let window) = step else { preconditionFailure("nothing was to be read") }
        guard let high = window.high else {
            step = .end
            return
        }
        low = high
        isNarrowing = false
        width = width.multiplied(by: 2)
        if found >= enough / 4 { enough = min(2 * enough, Self.mostRows) }
        step = .count(Window(low: high))
    }

    private func next() -> Window {
        let (high, overflows) = (low ?? start).addingReportingOverflow(width)
        return Window(low: low, high: overflows ? .max : high)
    }
}

extension Int64 {
    /// The product, or the largest number where that is beyond it.
    fileprivate func multiplied(by factor: Int64) -> Int64 {
        let (product, overflows) = multipliedReportingOverflow(by: factor)
        return overflows ? .max : product
    }
}
