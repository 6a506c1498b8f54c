public import HTTPServer

extension Principal: RequestPrincipal {
    /// The workspace's name, and the number of the key.
    public var logged: (workspace: String, key: String) { (workspace, String(keyID)) }
}
