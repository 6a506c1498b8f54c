import Postgres
import Synchronization

/// Decides whether a source may send now: landing's share of the disk, and the source's lag.
final class Admission: Sendable {
    private let pool: PostgresPool
    private let state: Mutex<AdmissionState>

    init(pool: PostgresPool, limits: AdmissionState.Limits) {
        self.pool = pool
        self.state = Mutex(AdmissionState(limits: limits))
    }

    /// Throws ``AdmissionState/Refusal`` when the source may not send now, and what the database throws.
    nonisolated(nonsending) func admit(sourceID: Int64) async throws {
        let refresh = state.withLock { $0.begin(sourceID: sourceID, now: .now) }
        if !refresh.isEmpty {
            try await pool.withConnection { connection in
                if refresh.contains(.landing), let bytes = try await connection.query(LandingSize()).first {
                    self.state.withLock { $0.measured(landingBytes: bytes) }
                }
                if refresh.contains(.lag) {
                    let lag = try await connection.query(SourceLag(sourceID: sourceID)).first ?? 0
                    self.state.withLock { $0.measured(lag: .microseconds(lag), sourceID: sourceID) }
                }
            }
        }
        try state.withLock { state throws(AdmissionState.Refusal) in try state.check(sourceID: sourceID) }
    }
}
