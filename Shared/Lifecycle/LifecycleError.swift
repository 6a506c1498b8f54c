/// Why a group of services ended other than by being asked to.
public enum LifecycleError: Error, Hashable, Sendable {
    /// A service returned although nobody had asked it to stop.
    case endedEarly(service: String)
    /// Services did not finish within the drain deadline and were cancelled.
    case drainTimedOut(services: [String])
    /// The signal handlers could not be installed; `number` is the errno.
    case signals(number: CInt)
}
