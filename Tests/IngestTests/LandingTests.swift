import Catalog
import Postgres
import Records
import TestSupport
import Testing

@testable import Ingest

@Suite("Ingest: landing on PostgreSQL")
struct LandingTests {
    @Test("Concurrent small requests share batches; each receipt stands for its own records")
    func coalesces() async throws {
        try await IngestFixture.run { fixture in
            let landings = try await withThrowingTaskGroup(of: (Int, Landing).self) { group in
                for number in 1...100 {
                    group.addTask { (number, try await fixture.land((0..<number).map { "\(number).\($0)" })) }
                }
                return try await group.reduce(into: [Int: Landing]()) { $0[$1.0] = $1.1 }
            }
            let reader = ReceiptReader(pool: fixture.pool)
            for (number, landing) in landings {
                guard case .landed(let id) = landing else {
                    Issue.record("request \(number) was not landed")
                    continue
                }
                let receipt = try await reader.receipt(id, workspaceID: 1)
                #expect(receipt?.head.received == Int64(number))
                #expect(receipt?.state == .accepted)
                let elsewhere = try await reader.receipt(id, workspaceID: 2)
                #expect(elsewhere == nil, "another workspace's receipt")
            }
            let batches = try await fixture.pool.int("select count(*) from millrace.batch")
            #expect(batches < 100)
            let accepted = try await fixture.accepted()
            let sent = (1...100).flatMap { number in (0..<number).map { "\(number).\($0)" } }
            #expect(accepted.sorted() == sent.sorted())
        }
    }

    @Test("Of requests with one key exactly one lands, in one group and across groups, and neighbours go on")
    func keys() async throws {
        try await IngestFixture.run { fixture in
            let landings = try await withThrowingTaskGroup(of: Landing.self) { group in
                for number in 0..<60 {
                    group.addTask { try await fixture.land(["\(number)"], key: number % 2 == 0 ? "k" : nil) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let landed = landings.filter { if case .landed = $0 { true } else { false } }
            #expect(landed.count == 31)
            #expect(landings.filter { $0 == .keyTaken }.count == 29)
            let accepted = try await fixture.accepted()
            #expect(accepted.count == 31)
            let known = try await IdempotencyKeys(pool: fixture.pool).find("k", sourceID: fixture.source.id)
            let receipt = try #require(known?.receipt)
            #expect(landed.contains(.landed(receipt)))
        }
    }

    @Test("A key that another process holds in an open transaction does not stall its neighbours")
    func heldKey() async throws {
        try await IngestFixture.run { fixture in
            try await fixture.pool.withTransaction { other in
                let claim = ClaimIdempotencyKeys(sourceID: fixture.source.id, keys: ["held"], fingerprints: [[1]])
                _ = try await other.query(claim)
                async let held = fixture.land(["held"], key: "held")
                async let free = fixture.land(["free"])
                async let keyed = fixture.land(["keyed"], key: "other")
                let (first, second, third) = (try await held, try await free, try await keyed)
                #expect(first == .keyInProgress)
                #expect(second != .keyInProgress && second != .keyTaken)
                #expect(third != .keyInProgress && third != .keyTaken)
            }
            let accepted = try await fixture.accepted()
            #expect(accepted.sorted() == ["free", "keyed"])
        }
    }

    @Test("What a small compressed chunk expands to lands in parts, too")
    func expandedParts() async throws {
        try await IngestFixture.run { fixture in
            let line = "{\"pad\":\"\(String(repeating: "x", count: 89))\"}\n"
            let expanded = Array(String(repeating: line, count: 80_000).utf8)
            var chunk: [UInt8]? = try Zstd.compress(expanded)
            #expect((chunk?.count ?? .max) < 64 << 10)
            let body = IncomingBody(format: .ndjson, coding: .zstd, limit: 1 << 30, fingerprinted: false)
            let result = try await fixture.intake(budget: 256 << 10).take(fixture.request(key: nil), body: body) {
                defer { chunk = nil }
                return chunk
            }
            #expect(result.records == 80_000 && result.bytes == expanded.count)
            let largest = try await fixture.pool.int("select max(raw_bytes) from millrace.batch")
            #expect(largest < (256 << 10) + Decompressor.pieceBytes)
        }
    }

    @Test("A large body is accepted as a whole, in batches, and one that breaks off leaves nothing")
    func uploads() async throws {
        try await IngestFixture.run { fixture in
            let chunks = (0..<64).map { chunk in
                Array(
                    (0..<200).map { "{\"n\":\(chunk * 200 + $0),\"pad\":\"\(String(repeating: "x", count: 90))\"}\n" }
                        .joined().utf8)
            }
            func take(_ key: String?, breakAt: Int = .max) async throws -> Intake.Result {
                let body = IncomingBody(format: .ndjson, coding: nil, limit: 1 << 30, fingerprinted: key != nil)
                var next = 0
                return try await fixture.intake(budget: 256 << 10).take(fixture.request(key: key), body: body) {
                    if next == breakAt { throw TooBusy(reason: "broken off") }
                    defer { next += 1 }
                    return next < chunks.count ? chunks[next] : nil
                }
            }
            await #expect(throws: TooBusy.self) { _ = try await take("u", breakAt: 60) }
            var accepted = try await fixture.accepted()
            #expect(accepted.isEmpty)
            let parts = try await fixture.pool.int("select count(*) from millrace.batch")
            #expect(parts > 1, "some were landed, unseen")
            let result = try await take("u")
            guard case .landed(let id) = result.landing else {
                Issue.record("the key is free again after the first try broke off")
                return
            }
            accepted = try await fixture.accepted()
            #expect(accepted.count == 64 * 200)
            #expect(Set(accepted).count == 64 * 200)
            let receipt = try await ReceiptReader(pool: fixture.pool).receipt(id, workspaceID: 1)
            #expect(receipt?.head.received == Int64(64 * 200))
            let again = try await take("u")
            #expect(again.landing == .keyInProgress, "the route looks the key up before it takes the body")
            let total = try await fixture.accepted().count
            #expect(total == 64 * 200)
        }
    }

    @Test("An upload given up while the database cannot be asked has its key freed as soon as it can")
    func givenUpWhileAway() async throws {
        try await IngestFixture.run { fixture in
            let first = try #require(try await fixture.begin(key: "k"))
            try await first.land(fixture.frame(["first"]))
            try await fixture.run("alter table millrace.upload rename to away")
            await first.abandon()
            try await fixture.run("alter table millrace.away rename to upload")
            #expect(try await fixture.isFree("k"), "without another try it would be a minute")
            let retry = try #require(try await fixture.begin(key: "k"))
            try await retry.land(fixture.frame(["retry"]))
            _ = try await retry.accept(fingerprint: [1])
            let accepted = try await fixture.accepted()
            #expect(accepted == ["retry"])
        }
    }

    @Test("An upload whose client has left is given up though its task is cancelled")
    func clientLeft() async throws {
        try await IngestFixture.run { fixture in
            let first = try #require(try await fixture.begin(key: "k"))
            let leaving = Task {
                try? await Task.sleep(for: .seconds(60))
                await first.abandon()
            }
            leaving.cancel()
            await leaving.value
            #expect(try await fixture.isFree("k"))
        }
    }

    @Test("An upload that stood still loses its key to a retry, and cannot be accepted any more")
    func takenOver() async throws {
        try await IngestFixture.run { fixture in
            func begin() async throws -> Upload? { try await fixture.begin(key: "k") }
            let slow = try #require(try await begin())
            try await slow.land(fixture.frame(["slow"]))
            let refused = try await begin()
            #expect(refused == nil, "it moves: the key is held")
            _ = try await fixture.pool.int(
                """
                with old as (update millrace.upload set touched_at = now() - interval '2 minutes'
                    where state = 'receiving' returning 1) select count(*) from old
                """)
            let retry = try #require(try await begin())
            try await retry.land(fixture.frame(["retry"]))
            _ = try await retry.accept(fingerprint: [1])
            await #expect(throws: Upload.Lost.self) { _ = try await slow.accept(fingerprint: [1]) }
            let accepted = try await fixture.accepted()
            #expect(accepted == ["retry"])
        }
    }
}
