import EventLoop
import TestSupport
import Testing

@testable import Postgres

@Suite("Connections that are refused")
struct ConnectRefusalTests {
    @Test("The SQLSTATE is taken out of what libpq says, whatever the language")
    func taken() {
        let french = ConnectRefusal(
            """
            connection to server at "::1", port 1 failed: FATAL:  53300: trop de connexions pour le rôle « x »
            LOCATION:  InitializeSessionUserId, miscinit.c:789
            """)
        #expect(french.sqlstate == .tooManyConnections)
        #expect(
            french.message
                == #"connection to server at "::1", port 1 failed: FATAL:  trop de connexions pour le rôle « x »"#)
        for own in ["could not translate host name", "a:  b: c", "x:  12345", "LOCATION:  here", ""] {
            let refusal = ConnectRefusal(own)
            #expect(refusal.sqlstate == nil && refusal.message == own)
        }
    }

    @Test("A server's refusal has its SQLSTATE, and later errors are worded as ever")
    func refused() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let role = "limited_\(database.name)"
        try await database.administer("create role \(role) login connection limit 1")
        let loop = try TestLoops.shared().next()
        let configuration = try PostgresConfiguration(
            url: database.cluster.url(of: database.name, as: role), poolSize: 1)
        let first = try await PostgresConnection.connect(configuration, on: loop)
        do {
            _ = try await PostgresConnection.connect(configuration, on: loop)
            Issue.record("two connections")
        } catch let error as PostgresError {
            #expect(error.code == .unavailable && error.sqlstate == .tooManyConnections, "\(error)")
            #expect(error.message.hasSuffix(#"FATAL:  too many connections for role "\#(role)""#), "\(error.message)")
        }
        await first.close()
        try await database.administer("drop role \(role)")
    }
}
