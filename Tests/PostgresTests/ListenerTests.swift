import EventLoop
import Observability
import Postgres
import TestSupport
import Testing

@Suite struct ListenerTests {
    @Test func hearsAndListensAgain() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let listener = PostgresListener(
            channels: ["one", "T wo"], configuration: try database.configuration(), loop: try TestLoops.shared().next(),
            logger: .silent)
        try await withRunningService(listener) { () async throws in
            var events = listener.events.makeAsyncIterator()
            #expect(await events.next() == .listening)
            try await database.administer(#"notify one, 'a'; notify "T wo", 'b'; notify three, 'c'; notify one"#)
            for expected in ["one a", "T wo b", "one "] {
                guard case .notification(let heard)? = await events.next() else {
                    Issue.record("no notification")
                    return
                }
                #expect("\(heard.channel) \(heard.payload)" == expected)
            }
            for _ in 0..<3 {
                try await database.administer(
                    """
                    select pg_terminate_backend(pid, 5000) from pg_stat_activity
                    where datname = current_database() and application_name = 'test'
                    """)
                #expect(await events.next() == .listening)
                try await database.administer("notify one, 'again'")
                guard case .notification(let heard)? = await events.next() else {
                    Issue.record("no notification")
                    return
                }
                #expect(heard.payload == "again")
            }
        }
        var rest = listener.events.makeAsyncIterator()
        #expect(await rest.next() == nil)
    }
}
