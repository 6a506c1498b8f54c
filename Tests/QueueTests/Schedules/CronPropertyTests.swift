import TestSupport
import Testing

@testable import Queue

/// Compares the ticks with those that a walk over every minute finds, with clocks and matching of its own.
@Suite("Cron: against a walk over every minute")
struct CronPropertyTests {
    static let zones = [
        "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo",
        "America/St_Johns", "Pacific/Chatham", "Africa/Casablanca", "Europe/Dublin", "America/Santiago",
        "Antarctica/Troll", "Asia/Beirut",
    ]

    @Test("The next tick is the first that the walk meets", arguments: [TestSeed.next(), 1, 2, 3])
    func agrees(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        for _ in 0..<60 {
            let zone = try #require(CronZone(Self.zones.randomElement(using: &random) ?? "UTC"))
            let drawn = DrawnExpression(using: &random)
            let expression = try CronExpression(drawn.text)
            let start = Self.start(in: zone, using: &random)
            let end = start + 3 * 86_400
            let after = (start - 946_684_800) * 1_000_000 + Int64.random(in: 0..<1_000_000, using: &random)
            let found = expression.next(after: after, in: zone).map { $0 / 1_000_000 + 946_684_800 }
            let expected = drawn.walk(after: start, through: end, zone.clock)
            let told = "\(drawn.text) in \(zone) after \(start), seed \(seed)"
            if let expected {
                #expect(found == expected, "\(told)")
            } else {
                #expect(found.map { $0 > end } ?? false, "\(told)")
            }
        }
    }

    /// Mostly within a day of a change of the clocks.
    private static func start(in zone: CronZone, using random: inout SplitMix) -> Int64 {
        let anywhere = Int64.random(in: 1_700_000_000...1_900_000_000, using: &random)
        let change = zone.clock.nextChange(after: anywhere)
        guard change != .max, Bool.random(using: &random) || Bool.random(using: &random) else { return anywhere }
        return change + Int64.random(in: -90_000...10_000, using: &random)
    }
}

/// An expression with the values that each field allows, known from the drawing and not from the parser.
private struct DrawnExpression {
    private(set) var text = ""
    private var sets: [Set<Int>] = []
    private var open: [Bool] = []

    init(using random: inout SplitMix) {
        let fields: [(ClosedRange<Int>, Int)] = [(0...59, 3), (0...23, 3), (1...28, 5), (1...12, 5), (0...6, 5)]
        for (range, stars) in fields {
            let (text, values) = Self.field(range, stars: stars, using: &random)
            self.text += (self.text.isEmpty ? "" : " ") + text
            sets.append(values)
            open.append(text.hasPrefix("*"))
        }
    }

    /// `stars` of eight are `*`.
    private static func field(
        _ range: ClosedRange<Int>, stars: Int, using random: inout SplitMix
    ) -> (String, Set<Int>) {
        // Days of the month go to 28 only when drawn, but `*` means all.
        let all = range.upperBound == 28 ? 1...31 : range
        if Int.random(in: 0..<8, using: &random) < stars { return ("*", Set(all)) }
        let (a, b) = (Int.random(in: range, using: &random), Int.random(in: range, using: &random))
        let (low, high) = (min(a, b), max(a, b))
        let step = Int.random(in: 1...max(1, all.upperBound / 3), using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return ("*/\(step)", Set(stride(from: all.lowerBound, through: all.upperBound, by: step)))
        case 1: return ("\(low)-\(high)", Set(low...high))
        case 2: return ("\(low)-\(high)/\(step)", Set(stride(from: low, through: high, by: step)))
        case 3: return ("\(a),\(b)", [a, b])
        default: return ("\(a)", [a])
        }
    }

    private func allows(_ local: Int64) -> Bool {
        let day = CivilDay(local / 86_400)
        let time = local % 86_400
        guard sets[0].contains(Int(time / 60 % 60)), sets[1].contains(Int(time / 3_600)) else { return false }
        guard sets[3].contains(day.month) else { return false }
        let (byDate, byWeekday) = (sets[2].contains(day.day), sets[4].contains(day.weekday))
        return !open[2] && !open[4] ? byDate || byWeekday : byDate && byWeekday
    }

    /// The first tick after `start`: walks all minutes from two days before on, to know what the clock has shown.
    func walk(after start: Int64, through end: Int64, _ clock: CivilClock) -> Int64? {
        var minute = (start / 60 - 2 * 1440) * 60
        var shown = minute + clock.offset(at: minute)
        while minute <= end {
            let local = minute + clock.offset(at: minute)
            var fires = false
            if open[1] {
                fires = allows(local)
            } else {
                var passed = shown + 60
                while passed <= local, !fires {
                    fires = allows(passed)
                    passed += 60
                }
            }
            shown = max(shown, local)
            if fires, minute > start { return minute }
            minute += 60
        }
        return nil
    }
}

/// SplitMix64, so that a failing seed fails again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
