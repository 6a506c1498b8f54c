import EventLoop
public import Lifecycle
public import Observability
import Synchronization

/// What a server's new connections are proven by: the newest pair of its files that could be used. As a service it
/// looks now and then whether they have changed, so that a certificate is renewed without a restart. Connections that
/// are there go on with what they began with.
///
/// A pair that is broken, or half written, changes nothing: it is told as an error, once, and the files are read again
/// when they change again.
public final class TLSCertificates: Service {
    private struct State {
        var context: TLSContext
        var stamps: [FileStamp?]
    }

    /// How handshakes ended.
    struct Handshakes: Sendable {
        let done: Counter
        let failed: Counter
    }

    public let name = "tls"
    let handshakes: Handshakes
    private let files: TLSFiles
    private let interval: Duration
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameter interval: between two looks at the files.
    public init(
        _ files: TLSFiles, interval: Duration = .seconds(10), logger: Logger, metrics: MetricsRegistry
    ) {
        self.files = files
        self.interval = interval
        self.logger = logger
        let help = "TLS handshakes, by how they ended."
        handshakes = Handshakes(
            done: metrics.counter("tls_handshakes_total", help: help, labels: [("outcome", "done")]),
            failed: metrics.counter("tls_handshakes_total", help: help, labels: [("outcome", "failed")]))
        state = Mutex(State(context: files.first, stamps: files.stamps))
        metrics.gauge(
            "tls_certificate_expiry_seconds", help: "When the certificate in use ends, in seconds since 1970."
        ) { [weak self] in
            Double(self?.current.expiry ?? 0)
        }
    }

    /// For a new connection.
    var current: TLSContext { state.withLock { $0.context } }

    public func run(until shutdown: ShutdownSignal) async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                while (try? await Task.sleep(for: interval)) != nil {
                    // File systems may hang.
                    await BlockingCalls.run { self.reloadIfChanged() }
                }
            }
            await shutdown.requested()
            group.cancelAll()
        }
    }

    /// Reads the files if they are others than those read last.
    func reloadIfChanged() {
        let stamps = TLSFiles.stamps(files.certificate, files.key)
        guard state.withLock({ $0.stamps != stamps }) else { return }
        let read = Result { () throws(TLSFileError) in try TLSFiles.read(files.certificate, files.key) }
        state.withLock { state in
            state.stamps = stamps
            if case .success(let context) = read { state.context = context }
        }
        switch read {
        case .success(let context):
            logger.info("tls.certificate_renewed", ["tls.expiry": .int(Int(context.expiry))])
        case .failure(let error):
            logger.error(
                "tls.certificate_broken", ["tls.file": .string(error.file.rawValue), "error": .string(error.reason)])
        }
    }

    func handshakeFailed(_ reason: String) {
        handshakes.failed.add()
        logger.debug("tls.handshake_failed", ["error": .string(reason)])
    }
}
