/// The files that may hold `unsafe`, each with what it needs it for: the list an audit of memory safety reads.
enum Fence {
    static let unsafeFiles: [String: String] = [
        "Services/Analytics/Domain/StatementTree.swift": "libpg_query's parse results",
        "Shared/Access/OpenSSL.swift": "OpenSSL's digest, random bytes and comparison",
        "Shared/Access/Tokens/SignatureKey.swift": "the handle of OpenSSL's EVP_PKEY",
        "Shared/Configuration/ProcessEnvironment.swift": "environ, and read into a buffer",
        "Shared/Buffers/OctetBuffer.swift": "the buffer's memory",
        "Shared/Buffers/Span+search.swift": "memchr",
        "Shared/EventLoop/DescriptorTable.swift": "continuations resumed exactly once, unchecked",
        "Shared/EventLoop/DescriptorSet.swift": "epoll's event buffer",
        "Shared/EventLoop/EventLoop+descriptors.swift": "continuations, and state of the loop's thread",
        "Shared/EventLoop/EventLoop+timers.swift": "continuations, and state of the loop's thread",
        "Shared/EventLoop/EventLoop.swift": "the thread's slot, epoll's event buffer, the loop's own state",
        "Shared/EventLoop/EventLoopGroup.swift": "starting threads",
        "Shared/EventLoop/HostLookup.swift": "getaddrinfo",
        "Shared/EventLoop/LoopBound.swift": "a value that only its loop's thread reads",
        "Shared/EventLoop/LoopWorkers.swift": "continuations of tasks that rest",
        "Shared/EventLoop/PolledDescriptor.swift": "continuations given to the loop",
        "Shared/HTTP/Coding/AnswerEncoder.swift": "zlib's and zstd's streams",
        "Shared/HTTP/WebSocket/MessageDeflater.swift": "zlib's stream",
        "Shared/HTTP/WebSocket/MessageInflater.swift": "zlib's stream",
        "Shared/HTTP/WebSocket/WebSocketAccept.swift": "OpenSSL's digest",
        "Shared/HTTPClient/EasyHandle.swift": "the handle of libcurl's CURL, and its callbacks",
        "Shared/HTTPClient/MultiHandle.swift": "the handle of libcurl's CURLM, and its callbacks",
        "Shared/HTTPClient/URLHandle.swift": "the handle of libcurl's CURLU",
        "Shared/HTTPServer/Files/FileCalls.swift": "a path and a buffer given to system calls",
        "Shared/HTTPServer/Socket.swift": "buffers given to system calls",
        "Shared/HTTPServer/TLS/FileStamp.swift": "stat",
        "Shared/HTTPServer/TLS/OpenSSLError.swift": "OpenSSL's texts",
        "Shared/HTTPServer/TLS/PEMReader.swift": "OpenSSL's BIO over a text, and what it reads there",
        "Shared/HTTPServer/TLS/TLSContext.swift": "the handle of OpenSSL's SSL_CTX, and its callback",
        "Shared/HTTPServer/TLS/TLSSession.swift": "the handle of OpenSSL's SSL",
        "Shared/HTTPServer/TLS/TLSTransport.swift": "OpenSSL's BIO over a socket, and its callbacks",
        "Shared/Expressions/Checking/ByteFunctions.swift": "OpenSSL's digests",
        "Shared/Expressions/Values/BigInteger.swift": "GMP's functions over arrays of limbs",
        "Shared/Expressions/Values/Regex.swift": "the handles of PCRE2",
        "Shared/Lifecycle/SignalWatch.swift": "its thread, and reading signals from a pipe",
        "Shared/Migrations/EmbeddedMigrations.swift": "the bytes that C embedded",
        "Shared/Migrations/SHA256.swift": "OpenSSL's digest",
        "Shared/Observability/LogThread.swift": "a POSIX thread and its semaphore",
        "Shared/Observability/ProcessReadings.swift": "clock_gettime, and read into a buffer",
        "Shared/Observability/WallClock.swift": "clock_gettime",
        "Shared/Platform/ProbeConnection.swift": "the handle of OpenSSL's SSL, and buffers given to system calls",
        "Shared/Platform/ServiceMain.swift": "writing a last message to standard error",
        "Shared/Postgres/BinaryDecodable+arrays.swift": "reading a result's bytes",
        "Shared/Postgres/BinaryDecodable.swift": "reading a result's bytes",
        "Shared/Postgres/CStrings.swift": "C strings for libpq",
        "Shared/Postgres/CancelHandle.swift": "the handle of libpq's PGcancel",
        "Shared/Postgres/ConnectionCore+copy.swift": "bytes of a COPY, without a copy",
        "Shared/Postgres/ConnectionCore+script.swift": "bytes of a COPY nobody wants",
        "Shared/Postgres/ConnectionCore.swift": "state that only its loop's thread touches",
        "Shared/Postgres/ConnectionHandle.swift": "the handle of libpq's PGconn",
        "Shared/Postgres/ConnectionSettings.swift": "libpq's list of connection options",
        "Shared/Postgres/ParameterBuffer.swift": "pointers to parameters, for the time of a call",
        "Shared/Postgres/PostgresResult.swift": "the handle of libpq's PGresult",
        "Shared/Postgres/PostgresRow.swift": "reading a result's bytes",
        "Shared/Postgres/ServerMessages.swift": "looking at a socket's input",
        "Shared/Queue/Schedules/CivilClock.swift": "cctz's time zones",
        "Shared/Records/Array+buffers.swift": "growing buffers without zeroing them",
        "Shared/Records/BodyPlace.swift": "counting lines through the C scanner",
        "Shared/Records/Column+cast.swift": "the bytes that an error message shows",
        "Shared/Records/CopyBinaryEncoder.swift": "writing rows into reserved memory",
        "Shared/Records/CopyField.swift": "writing fields into reserved memory",
        "Shared/Records/DateTimeParser.swift": "the bytes of static strings",
        "Shared/Records/Decompressor.swift": "zlib's and zstd's streams",
        "Shared/Records/JSONText.swift": "checking text through the C parser",
        "Shared/Records/KeyedDigest.swift": "OpenSSL's digest",
        "Shared/Records/RecordDecoder.swift": "the C++ shredder and its columns",
        "Shared/Records/RecordSplitter.swift": "scanning a body through the C splitter",
        "Shared/Records/RowGroups.swift": "hashing a span's bytes",
        "Shared/Records/SHA256Digest.swift": "OpenSSL's digest context",
        "Shared/Records/TextInput+float8.swift": "strtod",
        "Shared/Records/TextInput+numeric.swift": "appending a span's bytes",
        "Shared/Records/TextInput.swift": "the bytes of static strings",
        "Shared/Records/TextOutput.swift": "snprintf",
        "Shared/Records/TimeZoneTable.swift": "cctz's time zones",
        "Shared/Records/Zstd.swift": "zstd's contexts",
        "Tests/Support/UnixSocket.swift": "Unix-domain sockets",
    ]

    /// Files outside Lifecycle that start a task, each with who waits for it.
    static let taskStarters: [String: String] = [:]

    /// Entries that nothing needs any more: the file is gone, or no longer does what it is listed for.
    static func staleEntries(_ files: [SourceFile]) -> [Finding] {
        let byPath = Dictionary(files.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        return unsafeFiles.keys.sorted().compactMap { path in
            let tokens = byPath[path].map { SwiftLexer.tokens(of: $0.text) } ?? []
            let needed = tokens.contains { $0.text == "unsafe" || $0.text == "unchecked" }
            return needed ? nil : Finding(path: path, line: 1, message: "is in the fence and needs no unsafe")
        }
    }
}
