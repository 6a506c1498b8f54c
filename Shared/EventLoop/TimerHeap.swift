/// Names one timer of a `TimerHeap`; stale once the timer has fired or was removed, and then never matches another.
struct TimerID: Hashable, Sendable {
    fileprivate let slot: UInt32
    fileprivate let generation: UInt32
}

/// Timers ordered by deadline: a 4-ary heap whose entries know their place, so that removing one and moving one's
/// deadline are O(log n) and a cancelled timer leaves nothing behind. Timers of equal deadline fire in the order in
/// which they were inserted.
struct TimerHeap<Payload> {
    private struct Entry {
        var deadline: LoopTime
        var sequence: UInt64
        var slot: UInt32
    }

    private struct Slot {
        var generation: UInt32
        var position: Int
        var payload: Payload?
    }

    private var entries: [Entry] = []
    private var slots: [Slot] = []
    private var free: [UInt32] = []
    private var nextSequence: UInt64 = 0

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }
    /// The earliest deadline of all timers.
    var nextDeadline: LoopTime? { entries.first?.deadline }

    /// Adds a timer. The payload may be set later, by `setPayload`.
    mutating func insert(at deadline: LoopTime, _ payload: Payload?) -> TimerID {
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
        } else {
            slot = UInt32(slots.count)
            slots.append(Slot(generation: 0, position: -1, payload: nil))
        }
        slots[Int(slot)].payload = payload
        entries.append(Entry(deadline: deadline, sequence: nextSequence, slot: slot))
        nextSequence += 1
        siftUp(entries.count - 1)
        return TimerID(slot: slot, generation: slots[Int(slot)].generation)
    }

    func contains(_ id: TimerID) -> Bool { slots[Int(id.slot)].generation == id.generation }

    mutating func setPayload(_ payload: Payload, of id: TimerID) {
        precondition(contains(id), "the timer has gone")
        slots[Int(id.slot)].payload = payload
    }

    /// Gives a timer another deadline, earlier or later. False if it has gone.
    mutating func move(_ id: TimerID, to deadline: LoopTime) -> Bool {
        guard contains(id) else { return false }
        let position = slots[Int(id.slot)].position
        entries[position].deadline = deadline
        siftUp(position)
        siftDown(slots[Int(id.slot)].position)
        return true
    }

    /// Removes a timer before it fires; nil if it has fired or was removed.
    mutating func remove(_ id: TimerID) -> Payload? {
        guard contains(id) else { return nil }
        return removeEntry(at: slots[Int(id.slot)].position)
    }

    /// Removes and returns the earliest timer whose deadline is not after `now`.
    mutating func popExpired(now: LoopTime) -> Payload? {
        while let first = entries.first, first.deadline <= now {
            if let payload = removeEntry(at: 0) { return payload }
        }
        return nil
    }

    private mutating func removeEntry(at position: Int) -> Payload? {
        let slot = Int(entries[position].slot)
        let last = entries.count - 1
        if position != last {
            entries.swapAt(position, last)
            slots[Int(entries[position].slot)].position = position
        }
        entries.removeLast()
        if position < entries.count {
            let moved = Int(entries[position].slot)
            siftUp(position)
            siftDown(slots[moved].position)
        }
        slots[slot].generation &+= 1
        slots[slot].position = -1
        free.append(UInt32(slot))
        return slots[slot].payload.take()
    }

    private func precedes(_ a: Entry, _ b: Entry) -> Bool {
        a.deadline == b.deadline ? a.sequence < b.sequence : a.deadline < b.deadline
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        let entry = entries[child]
        while child > 0 {
            let parent = (child - 1) / 4
            guard precedes(entry, entries[parent]) else { break }
            place(entries[parent], at: child)
            child = parent
        }
        place(entry, at: child)
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        let entry = entries[parent]
        while true {
            let first = parent * 4 + 1
            guard first < entries.count else { break }
            var least = first
            for candidate in (first + 1)..<(first + 5) where candidate < entries.count {
                if precedes(entries[candidate], entries[least]) { least = candidate }
            }
            guard precedes(entries[least], entry) else { break }
            place(entries[least], at: parent)
            parent = least
        }
        place(entry, at: parent)
    }

    private mutating func place(_ entry: Entry, at position: Int) {
        entries[position] = entry
        slots[Int(entry.slot)].position = position
    }
}
