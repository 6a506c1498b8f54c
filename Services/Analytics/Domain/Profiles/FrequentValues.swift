/// The values of a column that come most often, with their counts.
///
/// Up to `capacity` different values are counted exactly. Beyond that half of them leave whenever there is no room,
/// their count with them (Misra and Gries, 1982; the batched form is that of Anderson and others, 2017): a count is
/// then too low by at most ``error``, and no value that came more often than that is missing. Values with one hash are
/// one value.
struct FrequentValues: Sendable {
    struct Item: Sendable {
        /// What `add` was given, or where the bytes begin.
        var word: UInt64
        /// Bytes of the value; more are not kept than ``FrequentValues/longestValue``.
        var length: Int
        var count: Int
    }

    static let usualCapacity = 1024
    static let longestValue = 256

    private let capacity: Int
    /// Of the slots, a power of two and at least four times the capacity.
    private let mask: Int
    /// Places of items by the low bits of their hash; -1 where there is none.
    private var slots: [Int16]
    private var hashes: [UInt64] = []
    private(set) var items: [Item] = []
    private var bytes: [UInt8] = []
    /// How far each count may be too low.
    private(set) var error = 0
    private var sketch: DistinctSketch?

    /// `capacity`: at most ``usualCapacity``.
    init(capacity: Int) {
        self.capacity = capacity
        var size = 4
        while size < 4 * capacity { size *= 2 }
        mask = size - 1
        slots = [Int16](repeating: -1, count: size)
    }

    /// How many different values there were, and whether that is exact.
    var distinct: (count: Int, isExact: Bool) {
        sketch.map { ($0.estimate, false) } ?? (items.count, true)
    }

    mutating func add(_ hash: UInt64, word: UInt64) {
        if !count(hash) { insert(hash, Item(word: word, length: 8, count: 1)) }
    }

    mutating func add(_ hash: UInt64, _ value: Span<UInt8>) {
        if count(hash) { return }
        insert(hash, Item(word: 0, length: value.count, count: 1))
        items[items.count - 1].word = UInt64(bytes.count)
        for at in 0..<min(value.count, Self.longestValue) { bytes.append(value[at]) }
    }

    /// The beginning of a value that `add` was given as bytes.
    func beginning(of item: Item) -> ArraySlice<UInt8> {
        let start = Int(item.word)
        return bytes[start..<start + min(item.length, Self.longestValue)]
    }

    /// The items that came most often, those first that came oftener: only such as certainly came more often than what
    /// has left.
    func top(_ most: Int) -> [Item] {
        let sure = items.filter { $0.count > error }
        let ordered = sure.sorted { left, right in
            if left.count != right.count { return left.count > right.count }
            if bytes.isEmpty { return left.word < right.word }
            return beginning(of: left).lexicographicallyPrecedes(beginning(of: right))
        }
        return Array(ordered.prefix(most))
    }

    /// Counts a value that is known.
    private mutating func count(_ hash: UInt64) -> Bool {
        sketch?.add(hash)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let place = Int(slots[slot])
            if place < 0 { return false }
            if hashes[place] == hash {
                items[place].count += 1
                return true
            }
            slot = (slot + 1) & mask
        }
    }

    private mutating func insert(_ hash: UInt64, _ item: Item) {
        if items.count == capacity {
            if sketch == nil {
                var first = DistinctSketch()
                for hash in hashes { first.add(hash) }
                first.add(hash)
                sketch = first
            }
            makeRoom()
        }
        enter(hash, at: items.count)
        hashes.append(hash)
        items.append(item)
    }

    private mutating func enter(_ hash: UInt64, at place: Int) {
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] >= 0 { slot = (slot + 1) & mask }
        slots[slot] = Int16(truncatingIfNeeded: place)
    }

    /// Takes the median count from all items; those that have nothing left leave.
    private mutating func makeRoom() {
        let taken = items.map(\.count).sorted()[capacity / 2]
        error += taken
        let hasBytes = !bytes.isEmpty
        let before = (hashes: hashes, items: items, bytes: bytes)
        slots = [Int16](repeating: -1, count: mask + 1)
        hashes.removeAll(keepingCapacity: true)
        items.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
        for (hash, item) in zip(before.hashes, before.items) where item.count > taken {
            var item = item
            item.count -= taken
            if hasBytes {
                let start = Int(item.word)
                item.word = UInt64(bytes.count)
                bytes.append(contentsOf: before.bytes[start..<start + min(item.length, Self.longestValue)])
            }
            enter(hash, at: items.count)
            hashes.append(hash)
            items.append(item)
        }
    }
}
