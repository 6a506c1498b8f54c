public import Configuration

/// Asks the process that serves here whether it is ready: what a container's health check runs, since its image holds
/// no HTTP client. It blocks its thread, for a few seconds at most.
public struct HealthProbe: Sendable {
    /// Why the service is not ready; the text is for whoever reads the container's health log.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    private let address: String
    private let port: UInt16
    private let speaksTLS: Bool

    /// Where `GET /readyz` goes to: where the service listens by the same settings, whose own port `port` is. One that
    /// listens on all addresses is asked on the loopback one.
    public init(_ service: String, port: UInt16, _ environment: Environment) throws(ConfigurationError) {
        var settings = Settings(environment)
        let listening = ServiceSettings.listening(service: service, defaultPort: port, from: &settings)
        speaksTLS = settings.optionalText("MILLRACE_TLS_CERTIFICATE") != nil
        try settings.finish()
        self.port = listening.port
        address =
            switch listening.host {
            case "0.0.0.0": "127.0.0.1"
            case "::": "::1"
            default: listening.host
            }
    }

    /// Returns if the service answers 200 within `ProbeConnection.patience` for each step. Errors: `Failure`.
    public func ask() throws(Failure) {
        let place = "\(address) port \(port)"
        let answer: [UInt8]
        do throws(ProbeConnection.Failure) {
            let connection = try ProbeConnection.open(address: address, port: port, speaksTLS: speaksTLS)
            try connection.send(Array("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
            answer = try connection.receiveAll(atMost: 64 << 10)
        } catch {
            throw Failure(description: "\(place): \(error.description)")
        }
        let text = String(decoding: answer, as: UTF8.self)
        guard text.hasPrefix("HTTP/1.1 200 ") else {
            let lines = text.split(whereSeparator: \.isNewline)
            let said = [lines.first, lines.last].compactMap { $0 }.joined(separator: " ")
            throw Failure(description: said.isEmpty ? "\(place): no answer" : "\(place): \(said)")
        }
    }
}
