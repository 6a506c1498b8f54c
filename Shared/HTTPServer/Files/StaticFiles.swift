public import HTTP

/// The files below a folder as routes, with conditions and ranges (RFC 9110, sections 13 and 14).
///
/// A path names a regular file below the folder, by names that do not begin with a dot; no link is followed, and
/// nothing else can be reached by any path. A path that ends in a slash names the folder's `index.html`. Everything
/// else is 404, whatever the reason.
///
/// Small files are read whole, others piece by piece as the client takes them; always off the event loops, some at a
/// time. A file that is changed while it is sent breaks the connection off. Versions are told apart by an `ETag` and by
/// `Last-Modified`, but for a file that was changed within the last two seconds (`FileState.validators`).
public struct StaticFiles: Sendable {
    /// Octets of a file that is read at once and answered as a whole.
    static let small = 64 * 1024
    /// Calls on files at a time.
    static let concurrentReads = 8

    let root: FileRoot
    let caching: FileCaching
    /// What each answer of a file has besides.
    let fields: HTTPHeaders
    let reads = FileReads(limit: StaticFiles.concurrentReads)
    let clock: @Sendable () -> Int64

    /// Opens the folder. `fields` are header fields of every answer of a file: a content security policy, say.
    public init(
        root: String, caching: FileCaching = .revalidate, fields: HTTPHeaders = [:]
    ) throws(StaticFilesError) {
        try self.init(root: root, caching: caching, fields: fields) { Socket.wallSeconds }
    }

    /// `clock` gives the seconds since 1970.
    init(
        root: String, caching: FileCaching = .revalidate, fields: HTTPHeaders = [:],
        clock: @escaping @Sendable () -> Int64
    ) throws(StaticFilesError) {
        self.root = try FileRoot(root)
        self.caching = caching
        self.fields = fields
        self.clock = clock
    }

    /// The routes of the files below `prefix`, which are public.
    ///
    /// - Parameters:
    ///   - prefix: `/`, or a path of literal segments, without a slash at its end.
    ///   - id: of the operation in the OpenAPI document; the folder itself has it with `Index` at its end.
    public func routes(at prefix: String, id: String, summary: String) -> [Route] {
        let base = prefix == "/" ? "" : prefix
        return [
            index(at: prefix, id: "\(id)Index", summary: summary),
            Route(
                .get, "\(base)/{path...}", scope: nil, operation: StaticFiles.operation(id, summary),
                handler: mount(at: prefix).answer),
        ]
    }

    /// The route of the folder itself alone: its `index.html` at `/`, and the way there from a path without a slash.
    public func index(at prefix: String, id: String, summary: String) -> Route {
        Route(
            .get, prefix, scope: nil, operation: StaticFiles.operation(id, summary),
            handler: mount(at: prefix).answer)
    }

    private func mount(at prefix: String) -> FileMount {
        precondition(prefix.hasPrefix("/") && !prefix.contains("{"), "\(prefix) is no path of literal segments")
        return FileMount(files: self, segments: prefix.split(separator: "/").map(String.init))
    }

    private static func operation(_ id: String, _ summary: String) -> Operation {
        let content = [Operation.Content("*/*")]
        return Operation(
            id: id, summary: summary,
            parameters: ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]
                .map { Operation.Parameter($0, .header, "As in RFC 9110") },
            answers: [
                Operation.Answer(.ok, "The file", content), Operation.Answer(.partialContent, "Parts of it", content),
                Operation.Answer(.movedPermanently, "A folder, whose path ends in a slash"),
                Operation.Answer(.notModified, "The client has it"),
            ],
            problems: [.notFound, .preconditionFailed, .rangeNotSatisfiable, .overloaded])
    }
}
