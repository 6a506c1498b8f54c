/// How long a statement on a pool's connection may take that says nothing of it itself, for the task in which this is
/// set and its children: so that whoever answers requests gets a connection back from a statement that waits for a
/// lock, or whose server is gone without a word. What works in the background for as long as it takes leaves it unset.
///
/// A statement beyond it is cancelled, and fails as `.timedOut`; a connection that does not even answer that is closed
/// `answerGrace` later. Connections that belong to no pool are not bound: they have limits of their own.
public enum StatementLimit {
    @TaskLocal public static var current: Duration?
}
