import HTTP
import HTTPServer

/// A long answer as a response that is written while it comes. NDJSON that breaks off ends in a line with the error;
/// the others are left unterminated.
struct AnswerStream: Sendable {
    let engine: QueryEngine
    let layout: AnswerLayout
    let deadline: QueryDeadline
    /// What an error of the query says to its reader.
    var explaining: @Sendable (any Error) -> any Error = QueryFailure.explaining

    /// `ended` is called once, with the error of an answer that broke off.
    func response(
        _ first: [UInt8], _ running: RunningQuery, headers: HTTPHeaders = [:],
        ended: @escaping @Sendable ((any Error)?) -> Void = { _ in }
    ) -> Response {
        .stream(.ok, layout.mediaType, headers: headers) { writer in
            do {
                try await engine.finish(first, running, until: deadline) { try await writer.write($0) }
                ended(nil)
            } catch {
                let error = explaining(error)
                ended(error)
                if layout == .ndjson, let known = error as? any ProblemConvertible {
                    try await writer.write(ResultWriter.errorLine(known.problem.body()))
                }
                throw error
            }
        }
    }
}
