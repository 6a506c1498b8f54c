private import CLinux

/// The descriptor table's operations; all on the loop's thread.
extension EventLoop {
    func register(_ fd: CInt, trigger: PolledDescriptor.Trigger) throws(EventLoopError) -> DescriptorKey {
        precondition(isCurrent, "a descriptor is registered on its loop's thread")
        _ = try EventLoopError.check(clinux_set_nonblocking(fd), "fcntl")
        let state = unsafe self.state
        let index: UInt32
        if let reused = state.freeSlots.popLast() {
            index = reused
        } else {
            index = UInt32(state.slots.count)
            state.slots.append(DescriptorSlot())
        }
        let key = DescriptorKey(index: index, generation: state.slots[Int(index)].generation)
        let interest: Int =
            switch trigger {
            case .level: 0
            case .edge: CLINUX_EPOLL_IN | CLINUX_EPOLL_OUT | CLINUX_EPOLL_RDHUP
            case .exclusive: CLINUX_EPOLL_IN
            }
        let added = clinux_epoll_add(epoll, fd, UInt32(interest), key.raw, trigger == .exclusive)
        guard added >= 0 else {
            state.freeSlots.append(index)
            throw .system(call: "epoll_ctl", number: -added)
        }
        state.slots[Int(index)].fd = fd
        state.slots[Int(index)].trigger = trigger
        return key
    }

    /// Ends the registration; its waiters end with `.closed`, and what epoll or a timer still holds for it is ignored.
    func unregister(_ key: DescriptorKey, closing: Bool) {
        precondition(isCurrent, "a descriptor is closed on its loop's thread")
        let state = unsafe self.state
        let index = Int(key.index)
        guard state.slots[index].generation == key.generation else { return }
        state.slots[index].read.finish(.closed)
        state.slots[index].write.finish(.closed)
        if let timer = state.slots[index].timer { _ = state.timers.remove(timer) }
        let fd = state.slots[index].fd
        // Closing the only descriptor of a file takes it out of epoll too.
        _ = closing ? clinux_close(fd) : clinux_epoll_remove(epoll, fd)
        state.slots[index] = DescriptorSlot(generation: key.generation &+ 1)
        state.freeSlots.append(key.index)
    }

    /// Nil if the direction is ready already, else a ticket for `beginWait`, with the deadline armed.
    func prepareWait(
        _ key: DescriptorKey, _ direction: Direction, until deadline: LoopTime
    ) throws(EventLoopError) -> UInt32? {
        precondition(isCurrent, "a descriptor is waited for on its loop's thread")
        let state = unsafe self.state
        let index = Int(key.index)
        guard state.slots[index].generation == key.generation else { throw .closed }
        guard let ticket = state.slots[index].prepare(direction, deadline) else { return nil }
        if state.slots[index].trigger == .level {
            let (fd, interest) = (state.slots[index].fd, state.slots[index].interest(adding: direction))
            _ = try EventLoopError.check(clinux_epoll_rearm(epoll, fd, interest, key.raw), "epoll_ctl")
        }
        if deadline != .never { arm(key) }
        return ticket
    }

    func beginWait(
        _ key: DescriptorKey, _ direction: Direction, _ continuation: UnsafeContinuation<WaitOutcome, Never>
    ) {
        unsafe state.slots[Int(key.index)][direction].waiter = .task(continuation)
    }

    /// False if reading may make progress now.
    func watch(
        _ key: DescriptorKey, until deadline: LoopTime, _ watcher: any DescriptorWatcher
    ) throws(EventLoopError) -> Bool {
        guard try prepareWait(key, .read, until: deadline) != nil else { return false }
        unsafe state.slots[Int(key.index)].read.waiter = .watcher(watcher)
        return true
    }

    func cancelWait(_ key: DescriptorKey, _ direction: Direction, ticket: UInt32) {
        let state = unsafe self.state
        let index = Int(key.index)
        guard state.slots[index].generation == key.generation else { return }
        guard state.slots[index][direction].ticket == ticket else { return }
        state.slots[index][direction].finish(.cancelled)
    }

    /// An event from epoll.
    func handle(_ events: UInt32, for key: DescriptorKey) {
        let state = unsafe self.state
        let index = Int(key.index)
        guard state.slots[index].generation == key.generation else { return }
        state.slots[index].receive(events)
    }

    func wakeReader(_ key: DescriptorKey) {
        precondition(isCurrent, "a descriptor's waiter is woken on its loop's thread")
        let state = unsafe self.state
        let index = Int(key.index)
        guard state.slots[index].generation == key.generation else { return }
        state.slots[index].read.signal(keep: true)
    }

    func descriptorTimerFired(_ key: DescriptorKey) {
        let state = unsafe self.state
        let index = Int(key.index)
        guard state.slots[index].generation == key.generation else { return }
        state.slots[index].timer = nil
        state.slots[index].expire(now: state.now)
        arm(key)
    }

    /// Makes the slot's timer fire no later than its earliest deadline. One that fires earlier is left alone: moving
    /// it on every wait would cost more than the rare early firing.
    private func arm(_ key: DescriptorKey) {
        let state = unsafe self.state
        let index = Int(key.index)
        let deadline = state.slots[index].earliestDeadline
        guard deadline != .never else { return }
        if let timer = state.slots[index].timer {
            guard state.slots[index].timerDeadline > deadline else { return }
            _ = state.timers.move(timer, to: deadline)
        } else {
            state.slots[index].timer = state.timers.insert(at: deadline, .descriptor(key))
        }
        state.slots[index].timerDeadline = deadline
    }
}
