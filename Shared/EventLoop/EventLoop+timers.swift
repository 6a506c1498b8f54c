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
        // The id must exist before the handler that cancels it; the handler's command is carried out in a later turn,
        // when the continuation is in place.
        let id = unsafe state.timers.insert(at: deadline, nil)
        return await withTaskCancellationHandler {
            await unsafe withUnsafeContinuation { continuation in
                unsafe state.timers.setPayload(.sleep(continuation), of: id)
            }
        } onCancel: {
            post(.cancelSleep(id))
        }
    }

    func cancelSleep(_ id: TimerID) {
        if case .sleep(let continuation) = unsafe state.timers.remove(id) {
            unsafe continuation.resume(returning: .cancelled)
        }
    }

    func fireTimers() {
        let state = unsafe self.state
        while let payload = state.timers.popExpired(now: state.now) {
            switch payload {
            case .sleep(let continuation): unsafe continuation.resume(returning: .ready)
            case .descriptor(let key): descriptorTimerFired(key)
            }
        }
    }
}
