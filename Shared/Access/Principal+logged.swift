public import HTTPServer

extension Principal: RequestPrincipal {
    /// The workspace's name, and the number of the key; of a token, which has none, nothing.
    public var logged: (workspace: String, key: String) { (workspace, subject == nil ? String(keyID) : "") }
}
