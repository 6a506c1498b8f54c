/// What keys with limits have used, as a value: a bucket for each one's rate, and its quota's use.
///
/// A quota's use is what the database knew of all processes when it was last asked (`known`), what this process has
/// told it since without an answer (`told`), and what it has still to tell (`untold`). Octets that bodies under way
/// have announced and that have not come are held beside it (`reserved`), so that bodies that come at the same time do
/// not each see the quota free.
struct KeyMeterState: Sendable {
    /// Why a request may not be answered.
    struct Refusal: Error, Equatable {
        /// The limit's name, as the key has it.
        let limit: String
        let allowed: Int
        let wait: Duration
    }

    /// How far a limit is used.
    struct Reading: Equatable {
        /// `second`, `day` or `bytes`.
        let name: String
        let limit: Int
        let window: Int
        let left: Int
        let reset: Duration
        var unit: String?
    }

    fileprivate struct Entry {
        var bucket: TokenBucket?
        var known = KeyUse()
        var told = KeyUse()
        var untold = KeyUse()
        var reserved = 0
        /// When the day ends; nil while the database has not said what day it is.
        var dayEnds: ContinuousClock.Instant?
        var usedAt: ContinuousClock.Instant

        var total: KeyUse { known + told + untold }
    }

    /// How long a key is remembered that nobody uses.
    private static let memory = Duration.seconds(600)
    private static let day = 86_400

    private var entries: [Int64: Entry] = [:]

    var isEmpty: Bool { entries.isEmpty }

    /// Whether there is something to tell the database.
    var hasUntold: Bool { entries.values.contains { $0.untold != KeyUse() } }

    /// Counts a request with a key, whose body has announced a length or none, and reserves that length, to be taken
    /// (`take`) as it comes or given back (`release`). Throws `Refusal` where a limit is used up, or the body is larger
    /// than what is left; such a request counts for nothing.
    mutating func admit(
        _ key: Int64, _ limits: KeyLimits, announced: Int?, now: ContinuousClock.Instant
    ) throws(Refusal) -> [Reading] {
        var entry = entry(key, now)
        defer { entries[key] = entry }
        entry.endDay(now)
        let reset = entry.dayEnds.map { $0 - now } ?? .seconds(60)
        let total = entry.total
        if let limit = limits.requestsPerDay, total.requests >= limit {
            throw Refusal(limit: "requests_per_day", allowed: limit, wait: reset)
        }
        let bytes = total.bytes + entry.reserved
        if let limit = limits.bytesPerDay, bytes >= limit || bytes + (announced ?? 0) > limit {
            throw Refusal(limit: "bytes_per_day", allowed: limit, wait: reset)
        }
        var readings: [Reading] = []
        if let rate = limits.requestsPerSecond {
            readings.append(try entry.take(rate, now))
        }
        if limits.requestsPerDay != nil { entry.untold.requests += 1 }
        if let limit = limits.requestsPerDay {
            let left = limit - entry.total.requests
            readings.append(Reading(name: "day", limit: limit, window: Self.day, left: left, reset: reset))
        }
        if let limit = limits.bytesPerDay {
            entry.reserved += announced ?? 0
            let left = max(0, limit - bytes)
            readings.append(
                Reading(
                    name: "bytes", limit: limit, window: Self.day, left: left, reset: reset, unit: "content-bytes"))
        }
        return readings
    }

    /// Counts octets of a body that have come, of which `reserved` at most were reserved. Throws `Refusal` where they
    /// are more than what is left; then they count for nothing. Octets that were reserved are refused only where other
    /// processes have used up the quota meanwhile.
    mutating func take(
        _ bytes: Int, reserved: Int, of key: Int64, within limit: Int, now: ContinuousClock.Instant
    ) throws(Refusal) {
        var entry = entry(key, now)
        entry.endDay(now)
        let covered = min(bytes, reserved)
        let used = entry.total.bytes
        guard used + bytes <= limit, covered == bytes || used + entry.reserved + bytes - covered <= limit else {
            let reset = entry.dayEnds.map { $0 - now } ?? .seconds(60)
            throw Refusal(limit: "bytes_per_day", allowed: limit, wait: reset)
        }
        entry.reserved -= covered
        entry.untold.bytes += bytes
        entries[key] = entry
    }

    /// Gives back what was reserved and has not come.
    mutating func release(_ bytes: Int, of key: Int64) {
        entries[key]?.reserved -= bytes
    }

    /// Takes what the database has said when the key was looked up.
    mutating func learn(_ day: DayUse, of key: Int64, now: ContinuousClock.Instant) {
        var entry = entry(key, now)
        // What is being told may be in it or not.
        if entry.told == KeyUse() { entry.known = day.use }
        entry.dayEnds = now + day.left
        entries[key] = entry
    }

    /// What is to be told now. Until `told` it counts as it did.
    mutating func tell() -> [(key: Int64, use: KeyUse)] {
        var all: [(key: Int64, use: KeyUse)] = []
        for (key, entry) in entries where entry.untold != KeyUse() {
            all.append((key, entry.untold))
            entries[key]?.told = entry.untold
            entries[key]?.untold = KeyUse()
        }
        return all.sorted { $0.key < $1.key }
    }

    /// The database's answer to `tell`: nil where it could not be told. Keys that nobody has used for long are
    /// forgotten.
    mutating func told(_ answer: [Int64: DayUse]?, now: ContinuousClock.Instant) {
        for (key, entry) in entries {
            if entry.told != KeyUse() {
                if let answer {
                    // No answer for a key: there is none any more.
                    if let day = answer[key] {
                        entries[key]?.known = day.use
                        entries[key]?.dayEnds = now + day.left
                    }
                } else {
                    entries[key]?.untold += entry.told
                }
                entries[key]?.told = KeyUse()
            }
            let isBusy = entry.reserved > 0 || entries[key]?.untold != KeyUse()
            if entry.usedAt + Self.memory < now, !isBusy { entries[key] = nil }
        }
    }

    private func entry(_ key: Int64, _ now: ContinuousClock.Instant) -> Entry {
        var entry = entries[key] ?? Entry(usedAt: now)
        entry.usedAt = now
        return entry
    }
}

extension KeyMeterState.Entry {
    /// A new day begins with nothing used.
    fileprivate mutating func endDay(_ now: ContinuousClock.Instant) {
        guard let end = dayEnds, end <= now else { return }
        known = KeyUse()
        dayEnds = nil
    }

    fileprivate mutating func take(
        _ rate: Int, _ now: ContinuousClock.Instant
    ) throws(KeyMeterState.Refusal) -> KeyMeterState.Reading {
        var bucket = bucket ?? TokenBucket(rate: rate, now: now)
        defer { self.bucket = bucket }
        if bucket.rate != rate { bucket.change(rate: rate, now: now) }
        if let wait = bucket.wait(now: now) {
            throw KeyMeterState.Refusal(limit: "requests_per_second", allowed: rate, wait: wait)
        }
        bucket.take(1, now: now)
        return KeyMeterState.Reading(
            name: "second", limit: rate, window: 1, left: bucket.available, reset: .seconds(1))
    }
}
