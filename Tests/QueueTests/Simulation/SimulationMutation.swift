/// A mistake that the queue might have, to be found within some histories of a mood.
struct SimulationMutation: Sendable {
    let name: String
    let mood: SimulationMood
    let sql: String

    static let all: [SimulationMutation] = [
        SimulationMutation(
            name: "a settle without the fence", mood: .ordinary,
            sql: """
                CREATE OR REPLACE FUNCTION queue.hold(in_lease int8, in_finish bool) RETURNS void LANGUAGE plpgsql AS $$
                BEGIN
                    IF in_finish THEN DELETE FROM queue.lease l WHERE l.id = in_lease; END IF;
                END $$
                """
        ),
        SimulationMutation(
            name: "jobs given back without a look at their outcomes", mood: .ordinary,
            sql: replacing("queue.give_back(int8,bool)", "WHERE NOT EXISTS", "WHERE true OR NOT EXISTS")
        ),
        SimulationMutation(
            name: "a seal by the snapshot's upper end", mood: .ordinary,
            sql: replacing(
                "queue.advance(int2)", "pending_xid = pg_current_xact_id()",
                "pending_xid = pg_snapshot_xmax(pg_current_snapshot())")
        ),
        SimulationMutation(
            name: "a rescue that charges nobody", mood: .ordinary,
            sql: replacing("queue.rescue(int8,float8,float8)", "IF NOT held.solo THEN", "IF true THEN")
        ),
        SimulationMutation(
            name: "a redrive that does not take the unique key again", mood: .families,
            sql: replacing(
                "queue.redrive_dead(text,int8[],int4)", "CONTINUE WHEN EXISTS", "CONTINUE WHEN true OR EXISTS")
        ),
        SimulationMutation(
            name: "a child that goes on before its last parent has ended", mood: .families,
            sql: replacing(
                "queue.conclude(int8[],queue.outcome_state)", "FROM counted WHERE remaining = 0",
                "FROM counted WHERE remaining <= 1")
        ),
        SimulationMutation(
            name: "a blocked job that is cancelled without its key's lock", mood: .oneLimit,
            sql: replacing("queue.unblock(int8,int8)", "WHERE k.id = in_limit FOR NO KEY UPDATE", "WHERE false")
                + ";" + replacing("queue.open(int8,int4)", "LIMIT room FOR UPDATE", "LIMIT room FOR UPDATE SKIP LOCKED")
        ),
        SimulationMutation(
            name: "a retry that keeps its permit", mood: .oneLimit,
            sql: replacing(
                "queue.retry(int8,int8[],int2[],int2[],int4[],int4[],text[],float8[],bool)",
                "PERFORM queue.release(in_jobs)", "PERFORM 1")
        ),
        SimulationMutation(
            name: "an array that is dead and cannot be cancelled", mood: .deadArrays,
            sql: replacing(
                "queue.cancel_array(queue.job)", "ending.remaining = 0 AND ending.failed = 0", "ending.remaining = 0")
        ),
        SimulationMutation(
            name: "a claim in which what was cancelled takes the place of others", mood: .arrays,
            sql: replacing(
                "queue.claim(int8,int2,bool,int4,int8[],int8[],int8[],bool,int8[],int8[],int8[],int8)",
                "EXIT WHEN missing = 0 OR", "EXIT WHEN true OR")
        ),
        SimulationMutation(
            name: "jobs that a lease still names after they were given back", mood: .ordinary,
            sql: replacing(
                "queue.give_back_some(int8,int8[],int4[],bool)", "WHERE NOT EXISTS (SELECT FROM unnest(in_jobs",
                "WHERE true OR NOT EXISTS (SELECT FROM unnest(in_jobs")
        ),
        SimulationMutation(
            name: "a result that only the first slice of an array leaves", mood: .arrays,
            sql: replacing(
                "queue.settle_all(int8,int8[],int2[],int4[],int4[],jsonb[],bool)", "WHERE t.result <> 'null'",
                "WHERE t.result <> 'null' AND t.first = 0")
        ),
        SimulationMutation(
            name: "jobs that are given back to another workspace's flow", mood: .ordinary,
            sql: replacing(
                "queue.give_back(int8,bool)", "queue.flow_of(lane, j.priority, j.workspace)",
                "queue.flow_of(lane, j.priority, 1)")
        ),
    ]

    /// SQL that puts a text in the place of another in a function's definition.
    private static func replacing(_ function: String, _ old: String, _ new: String) -> String {
        """
        DO $do$
        DECLARE text text := pg_get_functiondef('\(function)'::regprocedure);
        BEGIN
            IF strpos(text, $x$\(old)$x$) = 0 THEN RAISE EXCEPTION 'nothing to replace'; END IF;
            EXECUTE replace(text, $x$\(old)$x$, $x$\(new)$x$);
        END $do$
        """
    }
}
