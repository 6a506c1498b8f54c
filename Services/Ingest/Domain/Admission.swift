import Observability
import Postgres
import Synchronization

/// Decides whether a source may send now: landing's share of the disk, and the source's lag, backlog and rates.
final class Admission: Sendable {
    private let pool: PostgresPool
    private let metrics: IngestMetrics
    private let state: Mutex<AdmissionState>

    init(pool: PostgresPool, limits: AdmissionState.Limits, metrics: IngestMetrics) {
        self.pool = pool
        self.metrics = metrics
        self.state = Mutex(AdmissionState(limits: limits))
    }

    /// Throws ``AdmissionState/Refusal`` when the source may not send now, and what the database throws.
    nonisolated(nonsending) func admit(_ sourceID: Int64, _ policy: SourcePolicy) async throws {
        let refresh = state.withLock { $0.begin(sourceID, policy, now: .now) }
        if !refresh.isEmpty { try await measure(refresh, sourceID) }
        do {
            try state.withLock { state throws(AdmissionState.Refusal) in
                try state.check(sourceID, policy, now: .now)
            }
        } catch {
            metrics.refusedRequest()
            throw error
        }
    }

    /// Counts records that have landed, and the bytes of their decoded body, against the source's rates.
    func landed(_ sourceID: Int64, records: Int, bytes: Int) {
        state.withLock { $0.landed(sourceID, records: records, bytes: bytes, now: .now) }
    }

    /// Shows what landing takes on disk, of what it may.
    func show(in registry: MetricsRegistry, limit: Int64) {
        registry.gauge("millrace_landing_bytes", help: "What landing takes on disk.") {
            Double(self.state.withLock { $0.landingBytes } ?? 0)
        }
        registry.gauge("millrace_landing_limit_bytes", help: "What it may take before requests are refused.") {
            Double(limit)
        }
    }

    /// Measures landing where no request has of late; what the database throws is left to those.
    func refresh() async {
        guard state.withLock({ $0.beginLanding(now: .now) }) else { return }
        let bytes = try? await pool.withConnection { try await $0.query(LandingSize()).first }
        if let bytes = bytes ?? nil { state.withLock { $0.measured(landingBytes: bytes) } }
    }

    private nonisolated(nonsending) func measure(_ refresh: AdmissionState.Refresh, _ sourceID: Int64) async throws {
        try await pool.withConnection { connection in
            if refresh.contains(.landing), let bytes = try await connection.query(LandingSize()).first {
                self.state.withLock { $0.measured(landingBytes: bytes) }
            }
            if refresh.contains(.lag) {
                let lag = try await connection.query(SourceLag(sourceID: sourceID)).first ?? 0
                self.state.withLock { $0.measured(lag: .microseconds(lag), of: sourceID) }
            }
            if refresh.contains(.backlog) {
                let began = ContinuousClock.now
                let bytes = try await connection.query(SourceBacklog(sourceID: sourceID)).first ?? 0
                self.state.withLock { $0.measured(backlog: bytes, of: sourceID, took: .now - began) }
            }
        }
    }
}
