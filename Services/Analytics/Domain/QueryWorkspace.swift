/// Where a workspace's queries run: its datasets' schema, and the login role they run as.
struct QueryWorkspace: Sendable, Equatable {
    var id: Int64
    var name: String
    var schema: String
    var role: String
}
