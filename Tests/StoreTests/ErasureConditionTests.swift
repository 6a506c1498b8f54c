import Expressions
import Records
import Testing

@testable import Store

/// Which rows that were read from a table an erasure means.
@Suite("Store: what an erasure finds in quarantined rows of tables")
struct ErasureConditionTests {
    private static let columns = [
        column("id", .int8), column("who", .text), column("more", .jsonb), column("due", .timestamptz),
        column("name", .text, collation: "und-x-icu"),
    ]

    private static func column(_ name: String, _ type: ColumnType, collation: String? = nil) -> CatalogColumn {
        CatalogColumn(name: name, type: type, isNullable: true, collation: collation, isDeclared: true, state: .applied)
    }

    private static func frame(_ records: String...) -> BatchFrame {
        var frame = BatchFrame(format: .ndjson)
        for record in records { frame.append(record: Array(record.utf8)) }
        return frame
    }

    private static let rows = frame(
        #"{"id":1,"customer":"ada","due":"infinity"}"#, #"{"id":2,"who":"ada"}"#,
        #"{"id":3,"_extra":{"customer":"ada","who":"bob"}}"#, #"{"id":4,"more":null}"#, #"{"id":5,"who":"ada"#, "",
        #"{"id":6,"customer":"bob","_extra":{"customer":"ada"}}"#)

    /// The places of the rows that are found.
    private func met(_ condition: String, own: Bool = false, names: [FieldNames.Names] = [[:]]) throws -> [Int32] {
        let compiled = try ErasureCondition(condition, of: Self.columns)
        let found = try compiled.rows(of: Self.rows, names: names, areOwn: own)
        // One is cut off; an empty one holds nothing.
        #expect(found.unreadable == 1)
        return found.met.sorted()
    }

    @Test("By a column, by the name that it had before, and by a member of `_extra` where there is no column")
    func names() throws {
        #expect(try met("who = 'ada'") == [1])
        #expect(try met("who = 'ada'", names: [[:], ["who": "customer"]]) == [0, 1, 2])
        #expect(try met("who = 'bob'") == [2])
        #expect(try met("who = 'ada' and id = 3", names: [["who": "customer"]]) == [2])
        #expect(try met("due = 'infinity'") == [0])
    }

    @Test("By `_extra` itself, and not by what rows of another table do not have")
    func extra() throws {
        #expect(try met("_extra ->> 'customer' = 'ada'") == [2, 6])
        #expect(try met("_extra ->> 'customer' = 'ada' and id < 5") == [2])
        #expect(try met("_batch = 1 and id = 1") == [])
    }

    @Test("What asks for the order or the case of a language is refused: of records nobody here could say it")
    func collations() throws {
        let rows = Self.frame(
            #"{"id":1,"name":"ÄRGER"}"#, #"{"id":2,"name":"Ärger"}"#, #"{"id":3,"who":"ÄRGER"}"#,
            #"{"id":4,"name":"Zorn"}"#, #"{"id":5,"who":"ärger"}"#)
        for condition in [
            "lower(name) = 'ärger'", "name ilike 'ä%'", "name < 'b'", "greatest(name, 'b') = 'b'", "name = who",
            "id = 1 or name between 'a' and 'b'",
        ] {
            #expect(throws: ExpressionError.self, "\(condition)") { try ErasureCondition(condition, of: Self.columns) }
        }
        for (condition, met) in [
            ("name in ('ärger', 'Ärger')", [1]), ("name like 'Ä%'", [0, 1]), ("name ~ '^[ÄZ]'", [0, 1, 3]),
            ("lower(who) = 'ärger'", [4]), ("who > 'z'", [2, 4]),
        ] as [(String, [Int32])] {
            let compiled = try ErasureCondition(condition, of: Self.columns)
            #expect(try compiled.rows(of: rows, names: [[:]], areOwn: false).met.sorted() == met, "\(condition)")
            #expect(try compiled.records(of: rows, names: [[:]]).met.sorted() == met, "\(condition)")
        }
    }

    @Test("What the dataset's own rows lack is NULL; of others, which have none of the fields, nobody can say")
    func own() throws {
        #expect(try met("who is null") == [])
        #expect(try met("who is null", own: true) == [0, 2, 3, 6])
        #expect(try met("more is null and id >= 3", own: true) == [2, 6])
        #expect(try met("true", own: true) == [0, 1, 2, 3, 6])
        #expect(try met("true") == [])
    }
}
