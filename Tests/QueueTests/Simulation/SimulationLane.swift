import EventLoop
import Lifecycle
import Observability
import Postgres
import TestSupport

@testable import Queue

/// A database in which histories run one after another, and the connections to it.
///
/// It has a server of its own: the seal waits for every transaction of a server. Statements of one history are sent one
/// at a time, so what waits for a lock waits for a transaction that the history itself left open: it gives up at once.
final class SimulationLane {
    /// The server ends with its last reference.
    private let database: TestDatabase
    private let configuration: PostgresConfiguration
    private let loop: EventLoop
    private var idle: [PostgresConnection] = []
    let control: PostgresConnection

    init(mutation: String? = nil) async throws {
        let database = try await TemporaryPostgres.start().database(template: "queue") {
            try await QueueDatabase.migrate($0)
        }
        self.database = database
        // The owner's, so that functions can be replaced.
        try await database.administer(
            """
            SET ROLE millrace; CREATE TABLE effect (job int8); CREATE INDEX ON effect (job);
            CREATE FUNCTION lane_name(lane int2) RETURNS text LANGUAGE sql IMMUTABLE
            RETURN CASE WHEN lane < 0 THEN 'gate' WHEN lane % 2 = 1 THEN 'solo' ELSE 'ordinary' END;
            CREATE FUNCTION bool_name(value bool) RETURNS text LANGUAGE sql IMMUTABLE
            RETURN CASE WHEN value THEN 'true' ELSE 'false' END;
            """)
        // A vacuum that cuts a table's end off would hold it for longer than the lock timeout.
        try await database.administer(
            """
            DO $$ DECLARE name regclass; BEGIN
                FOR name IN SELECT oid FROM pg_class
                    WHERE relkind = 'r' AND relnamespace IN ('queue'::regnamespace, 'public'::regnamespace)
                LOOP EXECUTE format('ALTER TABLE %s SET (vacuum_truncate = off)', name); END LOOP;
            END $$
            """)
        if let mutation { try await database.administer("SET ROLE millrace; \(mutation)") }
        var configuration = try database.configuration()
        configuration.sessionSettings.append(("lock_timeout", "10ms"))
        self.configuration = configuration
        loop = try TestLoops.shared().next()
        control = try await PostgresConnection.connect(configuration, on: loop)
    }

    func take() async throws -> PostgresConnection {
        if let connection = idle.popLast() { return connection }
        return try await PostgresConnection.connect(configuration, on: loop)
    }

    /// Of a connection that is in no transaction.
    func give(_ connection: PostgresConnection) {
        idle.append(connection)
    }

    /// Breaks a connection off; returns when its server process is gone, and with it what it had locked.
    func breakOff(_ connection: PostgresConnection) async throws {
        let pid = PostgresValue.int(Int(await connection.backendPID))
        await connection.close()
        for _ in 0..<1000 {
            let found = try await control.query("SELECT count(*) FROM pg_stat_activity WHERE pid = \(pid)")
            if try found[0].int(0) == 0 { return }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Forgets what a history has left: dead letters, who waits for them, and what came back of cancelled arrays. Gives
    /// an id below all that will follow.
    func reset() async throws -> Int64 {
        try await control.execute(
            script: """
                DELETE FROM queue.dead; DELETE FROM queue.worker; DELETE FROM queue.backend;
                DELETE FROM queue.waiting; DELETE FROM queue.dependency; DELETE FROM queue.joinable;
                DELETE FROM queue.unique_key; DELETE FROM queue.ready; DELETE FROM queue.deferred;
                UPDATE queue.queue SET paused = false WHERE paused;
                """)
        return Int64(try await control.query("SELECT nextval('queue.position')")[0].int(0)) + 1
    }
}
