/// How a worker fetches and runs jobs.
public struct WorkerConfiguration: Sendable {
    /// Groups of jobs handled at a time.
    public var slots = 2
    /// Groups claimed ahead of a free slot. What was not started is given back at the shutdown.
    public var buffer = 1
    /// Jobs a claim takes at most: they make one group under one lease.
    public var maxClaim = 64
    /// How long an idle worker waits when no NOTIFY comes, plus up to a fifth at random: the longest delay of a job
    /// whose NOTIFY was lost.
    public var pollInterval: Duration = .seconds(10)
    /// How often a worker that holds leases says that it lives.
    public var beatInterval: Duration = .seconds(5)
    /// Retries.
    public var backoff = Backoff()
    /// What is different for jobs of a kind.
    public var kinds: [String: KindPolicy] = [:]
    /// Runs a candidate for the leadership of the queue (rescue, deferred jobs) in this process.
    public var leads = true
    public var leader = LeaderConfiguration()
    /// Shown in `queue.worker`.
    public var name = "worker"
    /// A number from 0 to 1, for jitter.
    public var random: @Sendable () -> Double = { .random(in: 0...1) }

    public init(slots: Int = 2, maxClaim: Int = 64, name: String = "worker") {
        self.slots = max(1, slots)
        self.maxClaim = min(max(1, maxClaim), 1000)
        self.name = name
    }
}

/// What is different for jobs of one kind.
public struct KindPolicy: Sendable {
    /// How long a handler may take for a group of jobs, the longest of their kinds; nil: as long as it likes. Then its
    /// task is cancelled, it can settle nothing any more, and the jobs left open are tried again (`timed_out`). A
    /// handler that does not return all the same keeps its slot.
    public var timeout: Duration?
    public var backoff: Backoff?

    public init(timeout: Duration? = nil, backoff: Backoff? = nil) {
        self.timeout = timeout
        self.backoff = backoff
    }
}

/// How the leader renews its leadership and when it declares a worker lost.
public struct LeaderConfiguration: Sendable {
    /// How long a leadership lasts without renewal.
    public var term: Duration = .seconds(30)
    /// How often it is renewed at rest.
    public var renewal: Duration = .seconds(15)
    /// How often it looks for lost workers while any holds leases.
    public var watch: Duration = .seconds(5)
    /// A worker that holds leases and was not seen for so long is lost. Four beats.
    public var livenessTimeout: Duration = .seconds(20)
    /// Nobody is declared lost so long after the leader's own trouble with the database: time for a beat of all.
    public var grace: Duration = .seconds(7)
    /// Partitions of 8 Mi jobs kept ready ahead.
    public var partitionsAhead: Int32 = 4
    /// How long finished jobs and dead letters are kept at least; at most `rotation` longer.
    public var retention: Duration = .seconds(30 * 86_400)
    /// How long ids are drawn from one partition where jobs come too slowly to fill it.
    public var rotation: Duration = .seconds(5 * 86_400)
    /// How often partitions are looked at that may leave.
    public var retirement: Duration = .seconds(300)
    /// How long the removal of a partition waits for a lock, and may keep others waiting. Longer than PostgreSQL's
    /// `deadlock_timeout` (1 s), after which an autovacuum gives way.
    public var lockTimeout: Duration = .seconds(2)

    public init() {}
}
