/// What is told of a descriptor that no task waits for.
///
/// It is called on the loop's thread in the middle of its work on descriptors: it notes what has happened, as work for
/// `LoopWorkers` for instance, and touches no descriptor and no timer of the loop.
public protocol DescriptorWatcher: AnyObject {
    /// Reading may make progress: data, an end or an error, or nothing at all (a spurious wake-up).
    func descriptorIsReady()
    /// The deadline has come before that.
    func descriptorTimedOut()
}
