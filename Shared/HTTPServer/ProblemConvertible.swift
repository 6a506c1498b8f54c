public import HTTP

/// An error of a module below or beside HTTP that has an answer of its own, such as a database that is away.
public protocol ProblemConvertible: Error {
    var problem: Problem { get }
}
