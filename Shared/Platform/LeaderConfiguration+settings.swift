public import Configuration
public import Queue

extension LeaderConfiguration {
    /// Reads what every process that works off a queue has to know, since any may lead.
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `MILLRACE_JOB_RETENTION` | `30d` | how long finished jobs and dead letters are kept |
    ///
    /// A slot of ids is in use for a sixth of that at most, so a job may be kept so much longer.
    public init(from settings: inout Settings) {
        self.init()
        retention = settings.duration(
            "MILLRACE_JOB_RETENTION", default: .seconds(86_400 * 30), in: .seconds(3600) ... .seconds(86_400 * 3650))
        rotation = retention / 6
    }
}
