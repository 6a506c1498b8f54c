import Foundation

/// The shell that starts a cluster, stops and starts it when told, outlives this process and cleans up after it.
///
/// The server must be the shell's child: a daemon started by Foundation's `Process` inherits the descriptor by whose
/// end `Process` learns that a child has ended.
actor GuardianProcess {
    nonisolated let directory: String
    /// Our end of the pipe that the guardian reads: it closes with this process or this object, whatever happens.
    private let lifeline: FileHandle
    private let answers: FileHandle

    private init(directory: String, lifeline: FileHandle, answers: FileHandle) {
        self.directory = directory
        self.lifeline = lifeline
        self.answers = answers
    }

    deinit {
        try? lifeline.close()
    }

    static func start(arguments: [String]) async throws -> GuardianProcess {
        try await ShellCommand.offThread {
            let process = Process()
            let lifeline = Pipe()
            let answers = Pipe()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", script, "postgres-guardian"] + arguments
            process.currentDirectoryURL = URL(fileURLWithPath: "/")
            process.standardInput = lifeline
            process.standardOutput = answers
            try process.run()
            let directory = try readLine(answers.fileHandleForReading)
            return GuardianProcess(
                directory: directory, lifeline: lifeline.fileHandleForWriting, answers: answers.fileHandleForReading)
        }
    }

    /// Has the guardian run pg_ctl with these arguments; false if that fails.
    func control(_ arguments: String) async throws -> Bool {
        let (lifeline, answers) = (lifeline, answers)
        return try await ShellCommand.offThread {
            try lifeline.write(contentsOf: Data((arguments + "\n").utf8))
            return try Self.readLine(answers) == "0"
        }
    }

    private static func readLine(_ handle: FileHandle) throws -> String {
        var text = ""
        while !text.hasSuffix("\n") {
            let piece = handle.availableData
            if piece.isEmpty { throw TestSupportError("the PostgreSQL cluster did not start: \(text)") }
            text += String(decoding: piece, as: UTF8.self)
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Arguments: the binaries' directory, the user to run as or nothing, lines for postgresql.conf, `tls` or
    /// nothing, and KiB of memory a process or nothing. Prints the cluster's directory once the server answers; then
    /// obeys its standard input, line by line, until that ends.
    private static let script = #"""
        binaries=$1; user=$2; settings=$3; tls=$4; memory=$5
        as() { if [ -n "$user" ]; then setpriv --reuid="$user" --regid="$user" --clear-groups -- "$@"; else "$@"; fi; }
        directory=$(mktemp -d /tmp/millrace-pg.XXXXXX) || exit 1
        chmod 700 "$directory"
        [ -n "$user" ] && chown "$user" "$directory"
        finish() {
            pid=$(head -n 1 "$directory/data/postmaster.pid" 2>/dev/null)
            if [ -n "$pid" ]; then
                kill -QUIT "$pid" 2>/dev/null
                for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                    kill -0 "$pid" 2>/dev/null || break
                    sleep 0.1
                done
                kill -KILL "$pid" 2>/dev/null
            fi
            rm -rf "$directory"
            exit "${1:-0}"
        }
        as "$binaries/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
            >"$directory/initdb.log" 2>&1 || { cat "$directory/initdb.log" >&2; finish 1; }
        printf '%s\nunix_socket_directories = '"'%s'"'\n' "$settings" "$directory" \
            >>"$directory/data/postgresql.conf"
        if [ -n "$tls" ]; then
            as openssl req -new -x509 -nodes -days 2 -subj /CN=localhost -keyout "$directory/data/server.key" \
                -out "$directory/data/server.crt" >"$directory/openssl.log" 2>&1 || finish 1
        fi
        control() {
            as "$binaries/pg_ctl" -D "$directory/data" -l "$directory/server.log" -w -s "$@" >/dev/null 2>&1 </dev/null
        }
        [ -n "$memory" ] && ulimit -d "$memory"
        control start || { cat "$directory/server.log" >&2; finish 1; }
        trap '' INT TERM HUP
        echo "$directory"
        while read -r arguments; do
            control $arguments
            echo $?
        done
        exec >/dev/null
        finish
        """#
}
