import TestSupport
import Testing

@testable import Records

/// What a text becomes when it is cast: as PostgreSQL prints it, or `ERROR: ` and the message.
func ours(_ texts: [String], _ type: ColumnType) -> [String] {
    let column = Column(.text, .bytes(ByteColumn(texts)))
    let rows = texts.indices.map { Int32($0) }
    let result = column.cast(to: type, rows: rows, name: "c")
    var shown = (0..<texts.count).map { row in
        var text: [UInt8] = []
        if result.column.isPresent(row) { TextOutput.append(result.column, row, into: &text) }
        return String(decoding: text, as: UTF8.self)
    }
    for (row, fault) in zip(result.failed, result.faults) { shown[row] = "ERROR: " + fault.message }
    return shown
}

private let texts: [ColumnType: [String]] = [
    .int8: [
        "0", "-0", "+5", " 12 ", "\t-7\n", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "-9223372036854775809", "99999999999999999999999", "", " ", "+", "-", "1.0", "1e3", "abc", "12a", "1 2", "0x10",
        "1_000", "٣", "--1", "007", "99999999999999999999999x", " \u{0B}1\u{0C}",
    ],
    .float8: [
        "0", "-0", "1", "1.5", ".5", "5.", "1e10", "1E-10", "+1.5", " 2.5 ", "1e400", "-1e400", "1e-400", "1e-320",
        "NaN", "nan", "Infinity", "-inf", "+Infinity", "inf", "infin", "", " ", "abc", "1.5x", "1..2", "1e", "0x1p3",
        "0.1", "123456789012345678", "1.7976931348623157e308", "1.7976931348623159e308", "5e-324", "2e-324",
        "9007199254740993", "0.30000000000000004", "100000000000000", "1000000000000000", "0.0001", "0.00001", "1 2",
        "123456.789e-5", "-", ".", "1e22", "1e23", "4503599627370496.5",
    ],
    .numeric: [
        "0", "-0", "-0.00", "1", "007", "1.50", ".5", "5.", "-.5", "1e3", "1.50e1", "1e-3", "1.23e-2", "12345e-2",
        " 3.10 ",
        "123456789012345678901234567890.123456789", "NaN", "nan", "Infinity", "-inf", "+inf", "", "abc", "1.2.3", "1e",
        "1e+", ".", "-", "+.e3", "1e131071", "1e131072", "0e131073", "1e-16383", "1e-16384", "1e1000000000000",
        "1e2147483647", "0.0e5", "0.10e1", "100e-2", "00.00", "1_0", "9999.9999", "0001.2", "1e0", "0x1F", "1 2",
        "inf ",
    ],
    .bool: [
        "t", "true", "TRUE", "tr", "f", "false", "fals", "y", "yes", "n", "no", "on", "off", "of", "o", "1", "0",
        " true ",
        "truex", "", "2", "01", "oN", "null", "\tf\n",
    ],
    .uuid: [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", "a0e-ebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "", " ",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a1",
    ],
]

private let times: [String] = [
    "2026-11-20T13:25:00Z", "2026-11-20 13:25:00", "2026-11-20", "2026-11-20T13:25:00.123456Z", "2026-11-20t13:25:00z",
    "2026-11-20 13:25:00.1234565+00", "2026-11-20 13:25:00.1234575", "2026-11-20 13:25:00.9999995",
    "2026-11-20 23:59:59.9999999", "2026-11-20 13:25", "2026-11-20 13:25:00+05:30", "2026-11-20 13:25:00-0800",
    "2026-11-20 13:25:00+5", "2026-11-20 13:25:00 +05:30:15", "2026-11-20T132500Z", "20261120T132500Z", "20261120",
    "20261120 132500", "20261120T1325", "2026-11-20 1:25 PM", "2026-11-20 12:25 AM", "2026-11-20 13:25 PM",
    "2026-11-20 13:25:00 UTC", "2026-11-20 13:25:00 EST", "2026-07-20 13:25:00 America/New_York",
    "2026-01-20 13:25:00 america/new_york", "2026-03-08 02:30:00 America/New_York",
    "2026-11-01 01:30:00 America/New_York", "2026-11-20 13:25:00 Nowhere/Land", "2026-11-20 13:25:00 XYZ",
    "2026-11-20 13:25:00 Europe/Berlin", "Nov 20, 2026", "20 Nov 2026", "November 20 2026 13:25", "20-Nov-2026",
    "20/Nov/2026 13:25:00 +0000", "Nov-20-2026", "2026-Nov-20", "11/20/2026", "20/11/2026", "1/2/03", "1/2/70",
    "1/2/69",
    "Sat Nov 20 13:25:00 2026", "Fri, 20 Nov 2026 13:25:00 GMT", "Fri Nov 20 2026", "2026/11/20", "2026.11.20",
    "24:00:00", "2026-11-20 24:00:00", "2026-11-20 24:00:01", "2026-11-20 23:59:60", "2026-11-20 23:60:00",
    "2026-11-20 25:00:00", "2026-02-29", "2024-02-29", "2026-02-30", "2026-13-01", "2026-00-01", "2026-01-00",
    "2026-1-2",
    "0000-01-01", "0001-01-01", "0001-01-01 BC", "4713-01-01 BC", "4714-11-24 BC", "4714-11-23 BC", "294276-12-31",
    "294277-01-01", "5874897-12-31", "5874898-01-01", "infinity", "-infinity", "Infinity", "+infinity", "epoch",
    "J2461365",
    "J0", "2026-11-20 BC", "44-03-15 BC", "", " ", "abc", "2026", "11", "2026-11", "13:25", "2026-11-20T", "T13:25",
    "2026-11-20 13:25:00 +16", "2026-11-20 13:25:00+15:59", "2026-11-20 13:25:00+24", "2026-11-20T13:25:00+0530",
    "  2026-11-20   13:25:00  ", "2026-11-20,13:25:00", "2026-11-20 13:25:00.", "2026-11-20 13:25:00.5 PM",
    "2026-11-20 13:25:00 2026", "2026-11-20 2026-11-20", "1999-01-08 04:05:06.789-8", "January 8, 1999", "jan 8 99",
    "8 jan 99", "08-Jan-99", "Jan-08-99", "99-Jan-08", "19990108", "990108", "1999-01-08T04:05:06", "99-01-08",
    "2026-11-20 13:25:00 PST", "2026-11-20 13:25:00PST", "2026-11-20 13:25:00Z ", "2026-11-20 13:25:00 zulu",
    "12345-01-01", "2026-11-20T13:25:00.000001+00:00", "1969-12-31 23:59:59.999999", "1582-10-10", "Sept 5 2026",
    "2026-11-20 04:05 AM", "2026-11-20 04:05 AM+5", "2026-11-20 00:00:00", "2026-11-20 13:25:00 Etc/GMT+5",
    "2026-11-20 13:25:00 MSK",
]

@Suite struct CastTests {
    @Test func textsAreReadAsPostgreSQLReadsThem() async throws {
        let difference = try await PostgresOracle.with { oracle in
            var found: [String] = []
            var cases = texts
            cases[.timestamptz] = times
            cases[.date] = times
            for (type, texts) in cases {
                let theirs = try await oracle.cast(texts, to: type.rawValue)
                for (text, (mine, other)) in zip(texts, zip(ours(texts, type), theirs)) where mine != other {
                    found.append("\(type) '\(text)': \(mine) | \(other)")
                }
            }
            return found
        }
        #expect(difference == [], "\(difference.joined(separator: "\n"))")
    }

    @Test func randomTextsAreReadAsPostgreSQLReadsThem() async throws {
        let seed = TestSeed.next()
        let difference = try await PostgresOracle.with { oracle in
            var generator = SeededGenerator(state: seed)
            var found: [String] = []
            for (type, samples) in texts {
                let mutated = (0..<3000).map { _ in mutate(samples, "0123456789.eE+-NaInf tyox{}", &generator) }
                let theirs = try await oracle.cast(mutated, to: type.rawValue)
                for (text, (mine, other)) in zip(mutated, zip(ours(mutated, type), theirs)) where mine != other {
                    found.append("\(type) '\(text)': \(mine) | \(other)")
                }
            }
            return found
        }
        #expect(difference == [], "seed \(seed)\n\(difference.prefix(20).joined(separator: "\n"))")
    }

    /// Dates and times have more ways to be written than are worth taking: of texts that make little sense, some are
    /// taken by one side only. But what both take means the same.
    @Test func randomTimesMeanWhatPostgreSQLSays() async throws {
        let seed = TestSeed.next()
        let (different, oneSided, count) = try await PostgresOracle.with { oracle in
            var generator = SeededGenerator(state: seed)
            var different: [String] = []
            var oneSided: [String] = []
            // What MSK meant changed over the years; PostgreSQL goes further back than the zone's files.
            let samples = times.filter { !$0.hasSuffix("MSK") }
            let mutated = (0..<20_000).map { _ in mutate(samples, "0123456789:-+/. TZjanPMbc", &generator) }
            let theirs = try await oracle.cast(mutated, to: "timestamptz")
            for (text, (mine, other)) in zip(mutated, zip(ours(mutated, .timestamptz), theirs)) where mine != other {
                let refusals = (mine.hasPrefix("ERROR") ? 1 : 0) + (other.hasPrefix("ERROR") ? 1 : 0)
                if refusals == 0 { different.append("'\(text)': \(mine) | \(other)") }
                if refusals == 1 { oneSided.append("'\(text)': \(mine) | \(other)") }
            }
            return (different, oneSided, mutated.count)
        }
        #expect(different == [], "seed \(seed)\n\(different.prefix(40).joined(separator: "\n"))")
        #expect(oneSided.count < count / 20, "seed \(seed)\n\(oneSided.prefix(60).joined(separator: "\n"))")
    }

    /// To PostgreSQL they are zones as POSIX spells them, whose sign is the other way round; never a word and a zone.
    @Test(arguments: ["AM-5", "PM-5", "BC-5", "Fri-5", "AM.5"]) func wordsWithADashAreNoWords(word: String) {
        let text = "2026-11-20 04:05 \(word)"
        #expect(ours([text], .timestamptz).allSatisfy { $0.hasPrefix("ERROR: ") }, "\(text)")
    }

    @Test func wordsThatDependOnTheClockAreTurnedDown() {
        for word in ["now", "today", "tomorrow", "yesterday"] {
            #expect(
                ours([word], .timestamptz)
                    == ["ERROR: invalid input syntax for type timestamp with time zone: \"\(word)\""])
        }
    }

    @Test func doublesPrintAsPostgreSQLPrintsThem() async throws {
        let seed = TestSeed.next()
        let difference = try await PostgresOracle.with { oracle in
            var generator = SeededGenerator(state: seed)
            let values = (0..<4000).map { index in
                index % 2 == 0
                    ? "\(Double(bitPattern: generator.next()))"
                    : "\(Double(Int.random(in: 0...1_000_000, using: &generator)) / 1000)e\(index % 30 - 15)"
            }
            return zip(values, zip(ours(values, .float8), try await oracle.cast(values, to: "float8")))
                .filter { $0.1.0 != $0.1.1 }.map { "\($0)" }
        }
        #expect(difference == [], "seed \(seed)")
    }

    @Test func conversionsBetweenTypes() async throws {
        let samples = ["0", "1", "-1", "0.5", "1.5", "2.5", "-0.5", "-2.5", "9007199254740993", "123456.789", "1e15"]
        let difference = try await PostgresOracle.with { oracle in
            var found: [String] = []
            let numbers: [ColumnType] = [.int8, .float8, .numeric]
            for from in numbers {
                for to in numbers + [.text] where to != from {
                    let texts = from == .int8 ? samples.filter { !$0.contains(".") && !$0.contains("e") } : samples
                    let typed = Column(.text, .bytes(ByteColumn(texts))).cast(to: from, rows: [], name: "c").column
                    let cast = typed.cast(to: to, rows: [], name: "c").column
                    let theirs = try await oracle.cast(texts, to: "\(from.rawValue)::\(to.rawValue)")
                    for (row, other) in theirs.enumerated() {
                        var text: [UInt8] = []
                        TextOutput.append(cast, row, into: &text)
                        let mine = String(decoding: text, as: UTF8.self)
                        if mine != other { found.append("\(from) \(texts[row]) to \(to): \(mine) | \(other)") }
                    }
                }
            }
            return found
        }
        #expect(difference == [])
    }
}

private func mutate(_ samples: [String], _ alphabet: String, _ generator: inout SeededGenerator) -> String {
    var text = Array(samples.randomElement(using: &generator) ?? "")
    for _ in 0..<Int.random(in: 0...3, using: &generator) {
        let at = Int.random(in: 0...text.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: if let letter = alphabet.randomElement(using: &generator) { text.insert(letter, at: at) }
        case 1: if at < text.count { text.remove(at: at) }
        default:
            if at < text.count, let letter = alphabet.randomElement(using: &generator) { text[at] = letter }
        }
    }
    return String(text)
}
