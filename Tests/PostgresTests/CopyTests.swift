import EventLoop
import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

private struct GivenUp: Error {}

@Suite struct CopyTests {
    /// Rows of one int8 in PGCOPY BINARY, with header and trailer (PostgreSQL manual, COPY, "Binary Format").
    private static let header = Array("PGCOPY\n".utf8) + [0xff, 0x0d, 0x0a, 0x00] + [UInt8](repeating: 0, count: 8)
    private static let trailer: [UInt8] = [0xff, 0xff]

    private static func row(_ value: Int64) -> [UInt8] {
        [0, 1, 0, 0, 0, 8] + (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * Int64($0))) }
    }

    @Test func copiesInAndOut() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8)")
            let rows = try await connection.copyIn("copy thing from stdin (format binary)") { writer in
                try await writer.write(Self.header)
                for id in 1...10_000 { try await writer.write(Self.row(Int64(id))) }
                let last = Self.row(0) + Self.trailer + [9, 9]
                try await writer.write(last, 0..<(last.count - 2))
            }
            #expect(rows == 10_001)
            #expect(try await connection.query("select sum(id)::int8 from thing")[0].int8(0) == 50_005_000)
            let sums = Collected()
            let read = try await connection.copyOut("copy (select id from thing order by id) to stdout") { piece in
                await sums.add(piece)
            }
            #expect(read == 10_001)
            #expect(await sums.text == (0...10_000).map { "\($0)\n" }.joined())
        }
    }

    @Test func isPartOfATransaction() async throws {
        try await withConnection { connection, database async throws in
            try await connection.execute(script: "create table thing (id int8)")
            try await connection.transaction { connection async throws in
                // The first statement, so that BEGIN travels with it.
                let rows = try await connection.copyIn("copy thing from stdin") {
                    try await $0.write(Array("1\n2\n".utf8))
                }
                #expect(rows == 2)
                #expect(try await database.administer("select count(*) from thing") == "0")
                try await connection.copyIn("copy thing from stdin") { try await $0.write(Array("3".utf8)) }
            }
            #expect(try await database.administer("select count(*) from thing") == "3")
        }
    }

    @Test func givesUpWhenTheWriterDoes() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8)")
            await #expect(throws: GivenUp.self) {
                try await connection.copyIn("copy thing from stdin") { writer in
                    try await writer.write(Array("1\n".utf8))
                    throw GivenUp()
                }
            }
            #expect(try await connection.query("select * from thing").rowCount == 0)
        }
    }

    @Test func stopsWhenTheServerRefuses() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8)")
            for size in [1, 10_000] {
                let lines = [UInt8](String(repeating: "nonsense\n", count: size).utf8)
                await refuses(connection, lines)
            }
            #expect(await errorCode { try await connection.copyIn("copy nowhere from stdin") { _ in } } == .server)
            #expect(try await connection.query("select * from thing").rowCount == 0)
        }
    }

    private func refuses(_ connection: PostgresConnection, _ lines: [UInt8]) async {
        do {
            try await connection.copyIn("copy thing from stdin") { writer in
                // Without an answer this would go on for ever.
                while true { try await writer.write(lines) }
            }
        } catch let error as PostgresError {
            #expect(error.sqlstate == "22P02")
            #expect(error.sqlstate?.isDataFault == true)
            #expect(error.context?.contains("line 1") == true)
        } catch {
            Issue.record(error)
        }
    }

    /// A server that is stuck because nobody reads what it has to say would never read again.
    @Test func survivesAServerThatTalksMuch() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(
                script: """
                    create table sink (line text);
                    create function talk() returns trigger language plpgsql as
                    $$ begin raise notice '%', repeat('x', 8000); return null; end $$;
                    create trigger talk before insert on sink for each row execute function talk();
                    """)
            let lines = [UInt8](String(repeating: "some line\n", count: 2000).utf8)
            try await connection.copyIn("copy sink from stdin", timeout: .seconds(60)) { writer in
                for _ in 0..<3 { try await writer.write(lines) }
            }
            #expect(try await connection.query("select 1").rowCount == 1)
        }
    }

    @Test func refusesStatementsThatAreNoCopy() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8)")
            #expect(await errorCode { try await connection.copyIn("select 1") { _ in } } == .misuse)
            #expect(await errorCode { try await connection.copyIn("copy thing to stdout") { _ in } } != nil)
            #expect(await errorCode { try await connection.copyOut("copy thing from stdin") { _ in } } != nil)
            #expect(await errorCode { try await connection.execute(script: "copy thing from stdin") } == .server)
            #expect(await errorCode { try await connection.execute(script: "copy thing to stdout") } == nil)
            #expect(try await connection.query("select 1").rowCount == 1)
        }
    }

    @Test func aReaderMayStop() async throws {
        try await withConnection { connection, _ async throws in
            await #expect(throws: GivenUp.self) {
                try await connection.copyOut("copy (select generate_series(1, 10000000)) to stdout") { _ in
                    throw GivenUp()
                }
            }
            await #expect(throws: GivenUp.self) {
                // The only piece, after which nothing is left to cancel.
                try await connection.copyOut("copy (select 1) to stdout") { _ in throw GivenUp() }
            }
            #expect(try await connection.query("select 1").rowCount == 1)
        }
    }

    @Test func cancellationEndsACopyIn() async throws {
        try await withConnection { connection, database async throws in
            try await connection.execute(script: "create table thing (id int8)")
            // The table is locked, so that the COPY waits before it takes a row.
            let blocker = try await PostgresConnection.connect(database.configuration(), on: TestLoops.shared().next())
            try await blocker.execute(script: "begin; lock table thing")
            await withTaskGroup(of: PostgresError.Code?.self) { group in
                group.addTask {
                    await errorCode { try await connection.copyIn("copy thing from stdin") { _ in } }
                }
                try? await database.waitUntilRunning("copy thing")
                group.cancelAll()
                #expect(await group.next() == .cancelled)
            }
            await blocker.close()
            #expect(try await connection.query("select * from thing").rowCount == 0)
        }
    }

    /// 500 MB through COPY in both directions at once: what the server has not taken yet must not pile up here.
    @Test func memoryStaysBounded() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(
                script: """
                    create table sink (line text);
                    create function swallow() returns trigger language plpgsql as $$ begin return null; end $$;
                    create trigger swallow before insert on sink for each row execute function swallow();
                    """)
            let line = Array(repeating: UInt8(ascii: "x"), count: 65_535) + [10]
            let block = (0..<64).flatMap { _ in line }
            let before = residentBytes()
            let peak = Peak(before)
            let rows = try await connection.copyIn("copy sink from stdin") { writer in
                for _ in 0..<120 {
                    try await writer.write(block)
                    peak.note(residentBytes())
                }
            }
            #expect(rows == 0)
            #expect(peak.value - before < 200 << 20, "grew by \((peak.value - before) >> 20) MiB")
        }
    }
}

private actor Collected {
    private var bytes: [UInt8] = []
    func add(_ piece: [UInt8]) { bytes += piece }
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// The highest of the values noted by one task.
private final class Peak: Sendable {
    private let highest: Atomic<Int>
    var value: Int { highest.load(ordering: .relaxed) }
    init(_ value: Int) { highest = Atomic(value) }
    func note(_ other: Int) { highest.max(other, ordering: .relaxed) }
}

/// This process's resident memory (`/proc/self/statm`, in pages of 4 KiB).
private func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return (Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0) * 4096
}
