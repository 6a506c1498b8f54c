import EventLoop
import Postgres
import TestSupport
import Testing

/// Over TCP and TLS, by a name that has to be resolved.
@Suite struct TLSTests {
    @Test func carriesMuchInBothDirections() async throws {
        let cluster = try await TemporaryPostgres.start(.init(tls: true))
        let database = try await cluster.database()
        let configuration = try PostgresConfiguration(
            url: cluster.tlsURL(of: database.name), connectTimeout: .seconds(20))
        let connection = try await PostgresConnection.connect(configuration, on: TestLoops.shared().next())
        #expect(
            try await connection.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()")[0].bool(0))
        // Around the sizes of a TLS record and of libpq's reads, where bytes may be left inside the TLS library.
        for size in [1, 8_100, 8_192, 16_300, 16_384, 16_400, 24_576, 32_768, 100_000, 5_000_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            let row = try await connection.query("select \(.bytes(bytes)), 1::int4", timeout: .seconds(30))[0]
            #expect(try row.bytes(0) == bytes)
        }
        try await connection.execute(script: "create table thing (id int8)")
        let lines = [UInt8](String(repeating: "12345\n", count: 200_000).utf8)
        #expect(try await connection.copyIn("copy thing from stdin") { try await $0.write(lines) } == 200_000)
        let rows = try await connection.stream("select id from thing") { rows in
            var count = 0
            while try await rows.next() != nil { count += 1 }
            return count
        }
        #expect(rows == 200_000)
        await connection.close()
    }

    @Test func aCertificateNobodyKnowsIsRefusedWhereItIsChecked() async throws {
        let cluster = try await TemporaryPostgres.start(.init(tls: true))
        let url = cluster.tlsURL(of: "postgres").replacing("sslmode=require", with: "sslmode=verify-full")
        let configuration = try PostgresConfiguration(url: url, connectTimeout: .seconds(20))
        let loop = try TestLoops.shared().next()
        #expect(await errorCode { _ = try await PostgresConnection.connect(configuration, on: loop) } == .unavailable)
    }
}
