public import HTTP

extension ResourceName {
    /// The name, or the problem `invalid_name` that quotes it and says the rule.
    public init(checking text: String) throws(Problem) {
        guard let name = ResourceName(text) else {
            throw Problem(
                .invalidName,
                "\"\(text.prefix(64))\" is not a name: a letter a-z, then at most 47 letters a-z, digits and _")
        }
        self = name
    }
}
