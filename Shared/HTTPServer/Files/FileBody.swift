import HTTP

/// The body of an answer made of a file's octets.
struct FileBody: Sendable {
    enum Part: Sendable {
        case octets([UInt8])
        case range(Range<Int>)
    }

    /// Octets that are read at a time, and held in memory for one client.
    static let piece = 64 * 1024

    let file: OpenFile
    /// The file's whole content, where it has been read.
    let content: [UInt8]?
    let parts: [Part]
    let reads: FileReads

    /// Octets in all.
    var length: Int {
        parts.reduce(0) { sum, part in
            switch part {
            case .octets(let octets): sum + octets.count
            case .range(let range): sum + range.count
            }
        }
    }

    /// Gives the body to an answer, with its length.
    func attach(to response: inout Response) {
        if let content {
            response.body = .bytes(parts.flatMap { FileBody.octets($0, of: content) })
        } else {
            response.headers["content-length"] = String(length)
            response.body = .stream { writer in try await write(to: writer) }
        }
    }

    /// A file that changes meanwhile breaks the answer off before its announced length.
    private func write(to writer: ResponseWriter) async throws {
        for part in parts {
            switch part {
            case .octets(let octets): try await writer.write(octets)
            case .range(let range):
                for start in stride(from: range.lowerBound, to: range.upperBound, by: FileBody.piece) {
                    let next = start..<min(start + FileBody.piece, range.upperBound)
                    let file = file
                    try await writer.write(reads.run { () throws(StaticFilesError) in try file.read(next) })
                }
            }
        }
    }

    private static func octets(_ part: Part, of content: [UInt8]) -> ArraySlice<UInt8> {
        switch part {
        case .octets(let octets): octets[...]
        case .range(let range): content[range]
        }
    }
}
