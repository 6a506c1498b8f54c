import Postgres

/// Holds up whoever has changed a table while it is shut, with the locks under which it did.
enum Gate {
    /// For the superuser: statements of a tag whose text matches the pattern wait at their end.
    static func script(of tag: String, matching pattern: String) -> String {
        """
        create function wait() returns event_trigger language plpgsql as $$
        begin
            if current_query() !~* '\(pattern)' then return; end if;
            -- By a snapshot: what a session remembers of names it does not look at again here.
            while exists (select from pg_class where relname = 'gate') loop perform pg_sleep(0.02); end loop;
        end $$;
        create event trigger wait on ddl_command_end when tag in ('\(tag)') execute function wait()
        """
    }

    static let shut: PostgresQuery = "create table gate ()"
    static let open: PostgresQuery = "drop table gate"
    /// How many wait.
    static let waiting: PostgresQuery = """
        select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()
        """
    static let kill: PostgresQuery = """
        select pg_terminate_backend(pid) from pg_stat_activity
        where wait_event = 'PgSleep' and datname = current_database()
        """
}
