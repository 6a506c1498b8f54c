/// What a worker's fetcher does next: a value that is told what happened and asked for the next step.
///
/// - *ordinary*: groups are claimed while there is room and a reason (`hint`): a start, a NOTIFY, a full claim, a poll,
///   a sweep that was not allowed before.
/// - *solo phase*: the solo lane has jobs and its turn has come. Nothing is claimed until nothing runs, then one solo
///   job at a time, alone in the process. After `soloTurn` the ordinary lane has as long a turn.
/// - *backlogged*: the last claim was full. Whose jobs wait is looked up now and then (`FairShare`).
/// - *gate*: jobs with a limit key wait at it. A few are let through before each claim.
struct FetchState: Sendable {
    enum Step: Sendable, Equatable {
        /// Start a claimed group that waits for a slot.
        case start
        case claim(solo: Bool)
        /// Look whose jobs wait.
        case lookAtFlows
        /// Let jobs with a limit key through.
        case admit
        /// Move the low-water marks up.
        case advance
        /// Give back the leases that nobody knows of: a claim's answer was lost.
        case reconcile
        /// Say that no lease is held any more.
        case rest
        /// Until something happens, or the instant.
        case wait(until: ContinuousClock.Instant?)
    }

    static let soloTurn: Duration = .seconds(1)
    static let advanceInterval: Duration = .seconds(1)
    static let restAfter: Duration = .seconds(5)
    /// The longest a claim may stay under way after its connection broke.
    static let uncertainty: Duration = .seconds(30)

    let slots: Int
    let buffer: Int
    private(set) var running = 0
    private(set) var waiting = 0
    private(set) var isBusy = false
    private var runsSolo = false
    private var hint = true
    private var soloWaiting = false
    private var gateWaiting = false
    private var isBacklogged = false
    private var needsSweep = false
    private var soloSince: ContinuousClock.Instant?
    private var ordinaryUntil: ContinuousClock.Instant
    private var pollAt: ContinuousClock.Instant
    private var idleSince: ContinuousClock.Instant
    private var advancedAt: ContinuousClock.Instant
    /// A position is sealed by the second advance after it was drawn.
    private var advancesOwed = 1
    /// When to look for leases of claims whose answer was lost; the last time when none can appear any more.
    private var reconcileAt: [ContinuousClock.Instant] = []

    init(slots: Int, buffer: Int, now: ContinuousClock.Instant) {
        self.slots = slots
        self.buffer = buffer
        ordinaryUntil = now
        pollAt = now
        idleSince = now
        advancedAt = now - Self.advanceInterval
    }

    mutating func next(
        at now: ContinuousClock.Instant, sweepAllowedAt: ContinuousClock.Instant, mustLookAtFlows: Bool = false
    ) -> Step {
        if waiting > 0, running < (runsSolo ? 1 : slots) { return .start }
        if let due = reconcileAt.first, now >= due { return .reconcile }
        if advancesOwed > 0, now >= advancedAt + Self.advanceInterval { return .advance }
        let advanceDue = [advancesOwed > 0 ? advancedAt + Self.advanceInterval : nil, reconcileAt.first]
            .compactMap { $0 }.min()
        if runsSolo { return .wait(until: advanceDue) }
        if now >= pollAt || (needsSweep && now >= sweepAllowedAt) { hint = true }
        if soloWaiting, now >= ordinaryUntil {
            return running + waiting == 0 ? .claim(solo: true) : .wait(until: advanceDue)
        }
        let hasRoom = running + waiting < slots + buffer
        if gateWaiting, hasRoom { return .admit }
        if hint, hasRoom { return isBacklogged && mustLookAtFlows ? .lookAtFlows : .claim(solo: false) }
        var instants = [advanceDue]
        if hasRoom { instants += [pollAt, needsSweep ? sweepAllowedAt : nil] }
        if soloWaiting { instants.append(ordinaryUntil) }
        if isBusy, running + waiting == 0, reconcileAt.isEmpty {
            let restAt = idleSince + Self.restAfter
            if now >= restAt { return .rest }
            instants.append(restAt)
        }
        return .wait(until: instants.compactMap { $0 }.min())
    }

    // MARK: What happened

    /// A NOTIFY came, or the connection for them was renewed.
    mutating func notified() {
        hint = true
    }

    /// A claim is about to be sent: reasons that come from now on count for the next.
    mutating func willClaim() {
        hint = false
        needsSweep = false
    }

    /// `byFlows`: it was no look at all that there is.
    mutating func claimed(
        count: Int, limit: Int, solo: Bool, swept: Bool, byFlows: Bool = false, header: ClaimStatement.Header,
        at now: ContinuousClock.Instant, poll: Duration
    ) {
        pollAt = now + poll
        if count > 0 {
            waiting += 1
            isBusy = true
            idleSince = now
            advancesOwed = 2
        }
        if solo {
            if count == 0 { endSoloPhase(at: now, more: false) } else { runsSolo = true }
            if count > 0, soloSince == nil { soloSince = now }
            // A solo claim comes instead of the ordinary one that was due.
            hint = true
        } else {
            soloWaiting = header.soloWaiting
            gateWaiting = header.gateWaiting
            isBacklogged = count == limit
            if count == limit || byFlows { hint = true }
            needsSweep = count < limit && !swept && !byFlows
        }
    }

    /// The claim may have taken effect, even some time from now.
    mutating func claimFailed(at now: ContinuousClock.Instant) {
        hint = true
        isBusy = true
        idleSince = now
        reconcileAt = [now, now + Self.uncertainty]
    }

    mutating func reconciled() {
        if !reconcileAt.isEmpty { reconcileAt.removeFirst() }
    }

    mutating func admitted(_ count: Int, isMore: Bool) {
        gateWaiting = isMore
        if count > 0 { hint = true }
    }

    mutating func started() {
        waiting -= 1
        running += 1
    }

    mutating func ended(_ groups: Int, at now: ContinuousClock.Instant) {
        guard groups > 0 else { return }
        running -= groups
        idleSince = now
        guard runsSolo else { return }
        runsSolo = false
        if let soloSince, now - soloSince >= Self.soloTurn { endSoloPhase(at: now, more: true) }
    }

    mutating func advanced(at now: ContinuousClock.Instant) {
        advancedAt = now
        advancesOwed = max(0, advancesOwed - 1)
    }

    mutating func rested() {
        isBusy = false
    }

    /// Claimed groups were given back instead of started.
    mutating func gaveBack(_ groups: Int) {
        waiting -= groups
    }

    private mutating func endSoloPhase(at now: ContinuousClock.Instant, more: Bool) {
        soloWaiting = more
        soloSince = nil
        ordinaryUntil = now + Self.soloTurn
    }
}
