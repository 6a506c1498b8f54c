import Configuration
import Platform
import Queue
import Testing

@Suite("Platform: settings of the queue's leader")
struct LeaderConfigurationTests {
    @Test("Jobs are kept for 30 days, or as MILLRACE_JOB_RETENTION says; ids rotate in a sixth of that")
    func retention() throws {
        var settings = Settings(Environment([:]))
        #expect(LeaderConfiguration(from: &settings).retention == .seconds(30 * 86_400))
        try settings.finish()
        settings = Settings(Environment(["MILLRACE_JOB_RETENTION": "6h"]))
        let leader = LeaderConfiguration(from: &settings)
        #expect(leader.retention == .seconds(6 * 3600))
        #expect(leader.rotation == .seconds(3600))
        settings = Settings(Environment(["MILLRACE_JOB_RETENTION": "1m"]))
        _ = LeaderConfiguration(from: &settings)
        #expect(throws: ConfigurationError.self) { try settings.finish() }
    }
}
