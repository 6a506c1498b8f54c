private import CLinux
private import Observability

/// Turns the process's signals into calls, on a thread of its own. One watch at a time in a process.
final class SignalWatch: Sendable {
    private let thread: UInt64

    private final class Context: Sendable {
        let pipe: CInt
        let received: @Sendable (ProcessSignal) -> Void

        init(pipe: CInt, received: @escaping @Sendable (ProcessSignal) -> Void) {
            self.pipe = pipe
            self.received = received
        }

        func read() {
            while true {
                let number = clinux_signal_watch_next(pipe)
                guard number > 0 else { return }
                received(ProcessSignal(number: number))
            }
        }
    }

    /// Installs handlers for `signals`. Errors: `.signals`, when another watch is there or a signal is invalid.
    init(_ signals: [ProcessSignal], received: @escaping @Sendable (ProcessSignal) -> Void) throws(LifecycleError) {
        let pipe = clinux_signal_watch_open()
        guard pipe >= 0 else { throw .signals(number: -pipe) }
        let context = unsafe Unmanaged.passRetained(Context(pipe: pipe, received: received))
        var thread: UInt64 = 0
        var status = unsafe clinux_thread_start(
            "signals",
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<Context>.fromOpaque(context).takeRetainedValue().read()
            }, context.toOpaque(), &thread)
        guard status == 0 else {
            unsafe context.release()
            clinux_signal_watch_close()
            throw .signals(number: -status)
        }
        self.thread = thread
        for signal in signals where status == 0 { status = clinux_signal_watch_add(signal.number) }
        if status < 0 {
            end()
            throw .signals(number: -status)
        }
    }

    /// Restores the earlier handlers and ends the thread.
    func end() {
        clinux_signal_watch_wake()
        clinux_thread_join(thread)
        clinux_signal_watch_close()
    }
}
