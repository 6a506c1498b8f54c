import JSON
import Records
import Testing

@testable import Transform

/// The dataset that records are fitted to. Agreement is had at once, and adds as many columns as there is room.
private struct Fitting {
    var columns: [AgreedColumn]
    var settings: DatasetSettings
    var primaryKey: [String] = []
    var room = 200

    init(_ columns: [AgreedColumn], _ new: DatasetSettings.OnNewColumn, _ mismatch: DatasetSettings.OnTypeMismatch) {
        self.columns = columns
        settings = DatasetSettings(definition: [:], declared: true)
        settings.onNewColumn = new
        settings.onTypeMismatch = mismatch
    }

    /// What is stored of each record, as `name:value …`, NULLs left out; then the faults, as `!record code column`.
    func fit(_ records: [String], deletes: [UInt8]? = nil) throws -> [String] {
        var frame = BatchFrame(format: .ndjson)
        for record in records { frame.append(record: Array(record.utf8)) }
        return try fit(try RecordDecoder().decode(frame).batch, deletes: deletes)
    }

    /// The same of rows that steps made.
    func fit(_ decoded: RecordBatch, deletes: [UInt8]? = nil) throws -> [String] {
        var schema = DatasetSchema(id: 1, settings: settings, primaryKey: primaryKey, columns: columns)
        var fitter = OutputFitter(decoded, deletes: deletes, to: schema)
        for _ in 0..<4 {
            let wanted = fitter.plan()
            #expect(Set(wanted.map { Array($0.name.utf8) }).count == wanted.count, "a name comes twice")
            for (name, type) in wanted.prefix(room) {
                schema.columns.append(AgreedColumn(name: name, type: type, nullable: true, state: .agreed))
            }
            fitter.schema = schema
        }
        let fitted = fitter.fit()
        #expect(Set(fitted.batch.columns.map(\.name)).count == fitted.batch.columns.count)
        let rows = (0..<fitted.batch.rowCount).map { row in
            fitted.batch.columns.compactMap { named in
                guard named.column.isPresent(row) else { return nil }
                var text = Array("\(named.name):".utf8)
                TextOutput.append(named.column, row, into: &text)
                return String(decoding: text, as: UTF8.self)
            }.joined(separator: " ")
        }
        return rows + fitted.faults.map { "!\($0.row) \($0.code) \($0.column ?? "-")" }
    }
}

@Suite("Transform: rows that do not fit their dataset")
struct OutputFitterTests {
    private static let declared = [
        AgreedColumn(name: "id", type: .int8, nullable: false, state: .applied),
        AgreedColumn(name: "a", type: .int8, nullable: true, state: .applied),
        AgreedColumn(name: "m", type: .int8, nullable: false, state: .applied),
    ]

    private typealias New = DatasetSettings.OnNewColumn
    private typealias Mismatch = DatasetSettings.OnTypeMismatch

    /// What comes of a record: a line for each `on_new_column` (add, extra, quarantine), in it an outcome for each
    /// `on_type_mismatch` (quarantine, null, variant).
    private static let cells: [(record: String, outcomes: [[String]])] = [
        (
            #"{"id": 1, "a": 2, "m": 3}"#,
            [[String]](repeating: ["id:1 a:2 m:3", "id:1 a:2 m:3", "id:1 a:2 m:3"], count: 3)
        ),
        (#"{"id": 1, "m": 3}"#, [[String]](repeating: ["id:1 m:3", "id:1 m:3", "id:1 m:3"], count: 3)),
        (#"{"id": 1}"#, [[String]](repeating: ["!0 not_null m", "!0 not_null m", "!0 not_null m"], count: 3)),
        (
            #"{"id": 1, "m": "x"}"#,
            [[String]](repeating: ["!0 invalid_cast m", "!0 invalid_cast m", "!0 invalid_cast m"], count: 3)
        ),
        (
            #"{"id": 1, "m": 3, "a": "x"}"#,
            [[String]](repeating: ["!0 invalid_cast a", "id:1 m:3", "id:1 m:3 a__text:x"], count: 3)
        ),
        (
            #"{"id": 1, "m": 3, "a": 0.5}"#,
            [[String]](repeating: ["!0 invalid_cast a", "id:1 m:3", "id:1 m:3 a__float8:0.5"], count: 3)
        ),
        (
            #"{"id": 1, "m": 3, "b": 4}"#,
            [
                [String](repeating: "id:1 m:3 b:4", count: 3),
                [String](repeating: #"id:1 m:3 _extra:{"b":4}"#, count: 3),
                [String](repeating: "!0 unknown_column b", count: 3),
            ]
        ),
        (
            #"{"id": 1, "m": 3, "_b": 4}"#,
            [
                [String](repeating: #"id:1 m:3 _extra:{"_b":4}"#, count: 3),
                [String](repeating: #"id:1 m:3 _extra:{"_b":4}"#, count: 3),
                [String](repeating: "!0 unknown_column _b", count: 3),
            ]
        ),
        (
            #"{"id": 1, "m": 3, "ctid": 4}"#,
            [
                [String](repeating: #"id:1 m:3 _extra:{"ctid":4}"#, count: 3),
                [String](repeating: #"id:1 m:3 _extra:{"ctid":4}"#, count: 3),
                [String](repeating: "!0 unknown_column ctid", count: 3),
            ]
        ),
        (
            #"{"id": 1, "m": 3, "a": "x", "b": 4}"#,
            [
                ["!0 invalid_cast a", "id:1 m:3 b:4", "id:1 m:3 b:4 a__text:x"],
                ["!0 invalid_cast a", #"id:1 m:3 _extra:{"b":4}"#, #"id:1 m:3 a__text:x _extra:{"b":4}"#],
                ["!0 invalid_cast a, !0 unknown_column b", "!0 unknown_column b", "!0 unknown_column b"],
            ]
        ),
    ]

    @Test("Every kind of misfit has its outcome under every setting")
    func matrix() throws {
        for (record, outcomes) in Self.cells {
            for (new, line) in zip(New.allCases, outcomes) {
                for (mismatch, outcome) in zip(Mismatch.allCases, line) {
                    let found = try Fitting(Self.declared, new, mismatch).fit([record]).joined(separator: ", ")
                    // Columns come in the order in which they were asked for.
                    let wanted = Set(outcome.split(separator: " "))
                    #expect(Set(found.split(separator: " ")) == wanted, "\(record) \(new) \(mismatch): \(found)")
                }
            }
        }
        #expect(New.allCases.map(\.rawValue) == ["add", "extra", "quarantine"])
        #expect(Mismatch.allCases.map(\.rawValue) == ["quarantine", "null", "variant"])
    }

    /// Values that a step typed, the type of the dataset's column, and of those that would not stay the same in it the
    /// column that they go to.
    private static let typed: [(column: Column, type: ColumnType, isDeclared: Bool, lost: [Int: String])] = [
        (Column(.float8, .float64([1.5, 2])), .int8, true, [0: "a__float8:1.5"]),
        (Column(.float8, .float64([1.5, 2])), .int8, false, [0: "a__float8:1.5"]),
        (Column(.numeric, .bytes(ByteColumn(["1.5", "2.0"]))), .int8, false, [0: "a__numeric:1.5"]),
        (
            Column(.numeric, .bytes(ByteColumn(["12345678901234567890.12", "0.5"]))), .float8, false,
            [0: "a__numeric:12345678901234567890.12"]
        ),
        (Column(.numeric, .bytes(ByteColumn(["12345678901234567890.12", "0.5"]))), .float8, true, [:]),
        (Column(.int8, .int64([9_007_199_254_740_993, 1])), .float8, false, [0: "a__numeric:9007199254740993"]),
        (
            Column(.timestamptz, .int64([86_399_000_000, 0])), .date, true,
            [0: "a__timestamptz:2000-01-01 23:59:59+00"]
        ),
    ]

    @Test("What a step has typed is a mismatch where its column would make another value of it")
    func typedValues() throws {
        for (column, type, isDeclared, lost) in Self.typed {
            let rows = RecordBatch(rows: [0, 1], columns: [NamedColumn("a", column)])
            let known = AgreedColumn(
                name: "a", type: type, nullable: true, state: .applied, declared: isDeclared)
            for mismatch in Mismatch.allCases {
                let found = try Fitting([known], .extra, mismatch).fit(rows)
                for row in 0..<2 {
                    guard let other = lost[row] else {
                        #expect(found.contains { $0.hasPrefix("a:") }, "\(type) \(mismatch)")
                        continue
                    }
                    switch mismatch {
                    case .quarantine: #expect(found.last == "!\(row) invalid_cast a", "\(type): \(found)")
                    case .null: #expect(found[row] == "", "\(type): \(found)")
                    case .variant: #expect(found[row] == other, "\(type): \(found)")
                    }
                }
            }
        }
    }

    @Test("A raw value that an inferred column would make another one of goes beside it")
    func rawValues() throws {
        let cases: [(type: ColumnType, record: String, row: String)] = [
            (.float8, "123456789012345678", "a__numeric:123456789012345678"),
            (.float8, "9007199254740993", "a__numeric:9007199254740993"),
            (.float8, "1234567890123456.789", "a__numeric:1234567890123456.789"),
            (.float8, #""123456789012345678901""#, "a__numeric:123456789012345678901"),
            (.float8, #""x""#, "a__text:x"), (.float8, "true", "a__bool:true"), (.float8, "0.25", "a:0.25"),
            (.bool, "1", "a__int8:1"), (.bool, #""no""#, "a__text:no"), (.timestamptz, "170406", "a__int8:170406"),
            (.timestamptz, #""1/2/2024""#, "a__text:1/2/2024"), (.timestamptz, #""epoch""#, "a__text:epoch"),
            (.date, #""2024-01-01 23:00""#, "a__text:2024-01-01 23:00"), (.int8, #""007""#, "a__text:007"),
        ]
        for (type, record, row) in cases {
            let known = AgreedColumn(name: "a", type: type, nullable: true, state: .applied)
            #expect(try Fitting([known], .extra, .variant).fit([#"{"a": \#(record)}"#]) == [row])
        }
    }

    @Test("Where a value goes does not depend on its neighbours")
    func neighbours() throws {
        let values = ["0.5", #""x""#, "true", "[1]", "1e400", #""2026-01-01T00:00:00Z""#]
        let fitting = Fitting(Self.declared, .quarantine, .variant)
        let records = values.map { #"{"id": 1, "m": 3, "a": \#($0)}"# }
        let together = try fitting.fit(records)
        for (row, record) in records.enumerated() {
            #expect(try fitting.fit([record]) == [together[row]])
        }
        #expect(
            together.map { $0.split(separator: " ")[2].split(separator: ":")[0] }
                == ["a__float8", "a__text", "a__bool", "a__jsonb", "a__numeric", "a__timestamptz"])
    }

    @Test("A value that finds no column is kept in _extra: nothing is lost")
    func keepsAll() throws {
        let name = String(repeating: "n", count: 58)
        let known = [
            AgreedColumn(name: "a", type: .int8, nullable: true, state: .applied),
            AgreedColumn(name: "a__text", type: .int8, nullable: true, state: .applied),
            AgreedColumn(name: "g", type: .int8, nullable: true, state: .extra),
            AgreedColumn(name: name, type: .int8, nullable: true, state: .applied),
        ]
        var fitting = Fitting(known, .add, .variant)
        let records = [
            #"{"a": "x"}"#, #"{"a": "5", "a__text": 6}"#, #"{"a": "y", "a__text": 7}"#, #"{"g": 1}"#,
            #"{"\#(name)": "z"}"#,
        ]
        let rows = [
            #"_extra:{"a":"x"}"#, "a:5 a__text:6", #"a__text:7 _extra:{"a":"y"}"#, #"_extra:{"g":1}"#,
            #"_extra:{"\#(name)":"z"}"#,
        ]
        #expect(try fitting.fit(records) == rows)
        fitting.room = 0
        let full = try fitting.fit([#"{"a": "x", "b": 1, "_d": 2}"#])
        #expect(full == [#"_extra:{"_d":2,"b":1,"a":"x"}"#])
        fitting.room = 200
        // A field that is called what another one's misfit would be: both are kept.
        let newborn = Fitting(Array(known.prefix(1)), .add, .variant)
        #expect(try newborn.fit([#"{"a": "x"}"#, #"{"a__text": 5}"#]) == ["a__text:x", "a__text:5"])
    }

    @Test("Of names that look the same the first is a column, the other is kept beside it")
    func looksTheSame() throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        let records = [#"{"\#(composed)": 1}"#, #"{"\#(decomposed)": 2}"#]
        let fitting = Fitting([], .add, .variant)
        let found = try fitting.fit(records).map { Array($0.utf8) }
        #expect(found == ["\(composed):1", #"_extra:{"\#(decomposed)":2}"#].map { Array($0.utf8) })
    }

    @Test("A column that the table has not got yet is left out where no row has a value for it")
    func leavesOut() throws {
        var columns = Self.declared
        columns.append(AgreedColumn(name: "late", type: .int8, nullable: true, state: .agreed))
        var frame = BatchFrame(format: .ndjson)
        frame.append(record: Array(#"{"id": 1, "m": 3}"#.utf8))
        let schema = DatasetSchema(
            id: 1, settings: DatasetSettings(definition: [:], declared: true), primaryKey: [], columns: columns)
        var fitter = OutputFitter(try RecordDecoder().decode(frame).batch, to: schema)
        #expect(fitter.fit().batch.columns.map(\.name) == ["id", "a", "m"])
    }

    @Test("A row that deletes needs no more than the key, whatever is wrong with the rest")
    func deletions() throws {
        for mismatch in [Mismatch.null, .variant] {
            var fitting = Fitting(Self.declared, .add, mismatch)
            fitting.primaryKey = ["id"]
            let found = try fitting.fit(
                [#"{"id": 1}"#, #"{"id": 2, "m": "x"}"#, #"{"m": 3}"#, #"{"id": "k", "m": 3}"#],
                deletes: [1, 1, 1, 0])
            #expect(
                found == ["id:1 _deleted:true", "id:2 _deleted:true", "!2 not_null id", "!3 invalid_cast id"],
                "\(mismatch)")
        }
    }
}
