import EventLoop
import Postgres
import TestSupport
import Testing

@Suite struct ConnectionTests {
    @Test func smoke() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let loop = try TestLoops.shared().next()
        let connection = try await PostgresConnection.connect(database.configuration(), on: loop)
        let rows = try await connection.query("select 1::int8, 'x'::text, null::int4")
        #expect(try rows[0].int8(0) == 1)
        #expect(try rows[0].text(1) == "x")
        #expect(try rows[0].optionalInt4(2) == nil)
        await connection.close()
    }
}
