/// How far a streamed answer is.
///
/// - `none`: no stream is on.
/// - `held`: the head waits for the first piece, so that both go out together, and so that a stream that fails before
///   it has written anything can still be answered by a problem.
/// - `open`: the head is out; pieces go out as they come.
/// - `broken`: a piece could not be sent, or was too much for the announced length; the connection is to be closed.
enum AnswerStream {
    case none
    case held(Response, AnswerHead.Framing, AnswerHead.Persistence)
    case open(AnswerHead.Framing)
    case broken
}
