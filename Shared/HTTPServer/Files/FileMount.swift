import HTTP

/// Files served below a prefix: turns a request into what is to be read, and that into an answer.
struct FileMount: Sendable {
    let files: StaticFiles
    /// Of the prefix.
    let segments: [String]

    nonisolated(nonsending) func answer(_ request: Request) async throws -> Response {
        guard let path = FilePath(request.head.pathBytes, below: segments.count) else { throw nothing(request.head) }
        let root = files.root
        let found = try await files.reads.run { () throws(StaticFilesError) in
            try root.find(path, small: StaticFiles.small)
        }
        switch found {
        case .nothing: throw nothing(request.head)
        case .folder: return redirect(path, request.head)
        case .file(let file, let content):
            return try FileAnswer(request.head, path, file, content, files).response()
        }
    }

    private func nothing(_ head: HTTPRequestHead) -> Problem {
        Problem(.notFound, "there is nothing at \(head.path)")
    }

    /// Each name is encoded anew, so that none can make the path another site's.
    private func redirect(_ path: FilePath, _ head: HTTPRequestHead) -> Response {
        let prefix = segments.map { "/\(PercentEncoding.encode($0))" }.joined()
        let folder = path.names.isEmpty ? "\(prefix)/" : "\(prefix)/\(path.encoded)/"
        let query = head.query.isEmpty ? "" : "?\(head.query)"
        return Response(.movedPermanently, headers: ["location": folder + query])
    }
}
