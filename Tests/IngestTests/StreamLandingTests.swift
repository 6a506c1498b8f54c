import Catalog
import Postgres
import Records
import TestSupport
import Testing

@testable import Ingest

@Suite("Ingest: streams on PostgreSQL")
struct StreamLandingTests {
    private func take(_ name: String, _ fixture: IngestFixture) async throws -> (epoch: Int64, seq: Int64) {
        let statement = TakeStream(sourceID: fixture.source.id, name: name)
        return try #require(try await fixture.pool.withConnection { try await $0.query(statement).first })
    }

    private func land(
        _ name: String, _ epoch: Int64, _ messages: ClosedRange<Int64>, _ fixture: IngestFixture
    ) async throws -> Bool {
        var request = fixture.request("\(name)-\(epoch)")
        request.stream = StreamPosition(name: name, epoch: epoch, first: messages.lowerBound, last: messages.upperBound)
        let frame = fixture.frame(messages.map { "\(name).\($0).\(epoch)" })
        let landing = try await fixture.coalescer.land(
            request, frame: frame, rawBytes: Int64(frame.bytes.count), keyed: nil)
        if case .landed = landing { return true }
        #expect(landing == .keyTaken)
        return false
    }

    @Test("A stream moves with its records, only from where it is, and only under the last epoch")
    func fence() async throws {
        try await IngestFixture.run { fixture in
            let first = try await take("s", fixture)
            #expect(first.seq == 0)
            #expect(try await land("s", first.epoch, 1...3, fixture))
            #expect(try await !land("s", first.epoch, 1...3, fixture), "a repeat")
            #expect(try await !land("s", first.epoch, 5...5, fixture), "a gap")
            let second = try await take("s", fixture)
            #expect(second.seq == 3 && second.epoch > first.epoch)
            #expect(try await !land("s", first.epoch, 4...4, fixture), "the earlier connection")
            #expect(try await land("s", second.epoch, 4...4, fixture))
            let third = try await take("s", fixture)
            #expect(third.seq == 4)
            let accepted = try await fixture.accepted()
            let epochs = (first.epoch, second.epoch)
            #expect(accepted == ["s.1.\(epochs.0)", "s.2.\(epochs.0)", "s.3.\(epochs.0)", "s.4.\(epochs.1)"])
        }
    }

    @Test("Streams that were taken over are left out of a group, their neighbours go on")
    func groups() async throws {
        try await IngestFixture.run { fixture in
            let names = (0..<40).map { "s\($0)" }
            var epochs: [String: Int64] = [:]
            for name in names { epochs[name] = try await take(name, fixture).epoch }
            for name in names where name.hasSuffix("3") { _ = try await take(name, fixture) }
            let held = epochs
            let landed = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
                for name in names {
                    group.addTask { (name, try await land(name, held[name] ?? 0, 1...2, fixture)) }
                }
                return try await group.reduce(into: [String: Bool]()) { $0[$1.0] = $1.1 }
            }
            #expect(landed.filter(\.value).count == 36)
            #expect(landed.allSatisfy { $0.key.hasSuffix("3") != $0.value })
            let batches = try await fixture.pool.int("select count(*) from millrace.batch")
            #expect(batches < 36, "they share commits")
            let accepted = try await fixture.accepted()
            #expect(accepted.count == 72 && Set(accepted).count == 72)
            let moved = try await fixture.pool.int("select count(*) from millrace.ingest_stream where seq = 2")
            #expect(moved == 36)
        }
    }

    /// Both connections' messages in one group: the claim of the later one alone holds.
    @Test("Of two connections of one stream in one group the later one lands")
    func sameGroup() async throws {
        try await IngestFixture.run { fixture in
            let old = try await take("s", fixture).epoch
            let new = try await take("s", fixture).epoch
            for round: Int64 in 1...20 {
                async let first = land("s", old, round...round, fixture)
                async let second = land("s", new, round...round, fixture)
                let landed = (try await first, try await second)
                #expect(landed == (false, true))
            }
            let accepted = try await fixture.accepted()
            #expect(accepted == (1...20).map { "s.\($0).\(new)" })
        }
    }

    /// A commit that is under way while another connection takes the stream: either it counts, or it does not happen.
    @Test("Taking over waits for a commit that is under way")
    func takeover() async throws {
        try await IngestFixture.run { fixture in
            let epoch = try await take("s", fixture).epoch
            let taking = try await fixture.pool.withTransaction { other in
                try await other.query("update millrace.ingest_stream set seq = 7 where name = 's'")
                let taking = Task { try await take("s", fixture) }
                // Until it waits for the row; not asked on a connection whose transaction would see what it saw first.
                let waiting: PostgresQuery = """
                    select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'
                    """
                while try await fixture.pool.int(waiting) == 0 { await Task.yield() }
                return taking
            }
            let taken = try await taking.value
            #expect(taken.seq == 7 && taken.epoch > epoch)
            #expect(try await !land("s", epoch, 8...8, fixture))
            #expect(try await land("s", taken.epoch, 8...8, fixture))
        }
    }

    @Test("A stream is made anew under another epoch once it was forgotten")
    func forgotten() async throws {
        try await IngestFixture.run { fixture in
            let old = try await take("s", fixture).epoch
            _ = try await fixture.pool.withConnection { try await $0.query("delete from millrace.ingest_stream") }
            let new = try await take("s", fixture)
            #expect(new.seq == 0 && new.epoch > old)
            #expect(try await !land("s", old, 1...1, fixture))
        }
    }

    /// A commit changes the row in place of its page, whatever the number of commits: no index grows.
    @Test("Moving a stream on changes no index")
    func updatesInPlace() async throws {
        try await IngestFixture.run { fixture in
            let epoch = try await take("s", fixture).epoch
            for seq: Int64 in 1...50 { #expect(try await land("s", epoch, seq...seq, fixture)) }
            _ = try await fixture.pool.withConnection { try await $0.query("select pg_stat_force_next_flush()") }
            let cold = try await fixture.pool.int(
                """
                select n_tup_upd - n_tup_hot_upd from pg_stat_all_tables
                where relid = 'millrace.ingest_stream'::regclass
                """)
            #expect(cold == 0)
        }
    }
}
