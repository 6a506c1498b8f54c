import Buffers
import HTTP

extension Connection {
    /// Answers 101 and has the connection run as a WebSocket to its end.
    nonisolated(nonsending) func upgrade(_ response: Response, _ upgrade: WebSocketUpgrade) async {
        server.output.removeAll()
        server.heads.encode(response, .none, .upgrade, into: &server.output)
        do {
            try await sendOutput([])
        } catch {
            return
        }
        // What follows is no HTTP: neither is it read as such, nor is there an answer to be read at the end.
        hasAnswered = false
        await WebSocketSession(upgrade, on: self).run(upgrade)
    }
}
