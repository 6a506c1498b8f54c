extension EventLoop {
    /// Suspends for at least `duration`. May be called from anywhere; the timer is the loop's.
    /// Throws when the task is cancelled, at once.
    public func sleep(for duration: Duration) async throws(CancellationError) {
        try await sleep(until: LoopTime.now + LoopInterval(duration))
    }

    /// Suspends until `deadline`, as `sleep(for:)`.
    public func sleep(until deadline: ContinuousClock.Instant) async throws(CancellationError) {
        try await sleep(until: LoopTime(deadline))
    }

    /// Suspends until `deadline`, as `sleep(for:)`.
    public func sleep(until deadline: LoopTime) async throws(CancellationError) {
        let outcome =
            if isCurrent {
                await sleepHere(until: deadline)
            } else {
                await run { await self.sleepHere(until: deadline) }
            }
        if outcome == .cancelled { throw CancellationError() }
    }

    private func sleepHere(until deadline: LoopTime) async -> WaitOutcome {
        await sleepUntilResumed(insertSleep(until: deadline))
    }

    /// The id must exist before the handler that cancels it; the handler's command is carried out in a later turn, when
    /// the continuation is in place.
    func insertSleep(until deadline: LoopTime) -> TimerID {
        unsafe state.timers.insert(at: deadline, nil)
    }

    nonisolated(nonsending) func sleepUntilResumed(_ id: TimerID) async -> WaitOutcome {
        await withTaskCancellationHandler {
            await unsafe withUnsafeContinuation { continuation in
                unsafe state.timers.setPayload(.sleep(continuation), of: id)
            }
        } onCancel: {
            post(.cancelSleep(id))
        }
    }

    func cancelSleep(_ id: TimerID) { _ = endSleep(id, .cancelled) }

    /// Ends a sleep before its time. False if it has ended.
    func endSleep(_ id: TimerID, _ outcome: WaitOutcome) -> Bool {
        guard case .sleep(let continuation) = unsafe state.timers.remove(id) else { return false }
        unsafe continuation.resume(returning: outcome)
        return true
    }

    func fireTimers() {
        let state = unsafe self.state
        while let payload = state.timers.popExpired(now: state.now) {
            switch payload {
            case .sleep(let continuation): unsafe continuation.resume(returning: .timedOut)
            case .descriptor(let key): descriptorTimerFired(key)
            }
        }
    }
}
