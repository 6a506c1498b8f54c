/// Is told of every answer before it is sent, a refusal as well. It must not wait.
public protocol AnswerObserver: Sendable {
    func answered(_ request: Request, _ response: Response)
}
