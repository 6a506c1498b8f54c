/// What a column may be called: 1 to 63 bytes, none of them 0, no `_` in front, and no name of a column that PostgreSQL
/// gives to every table.
///
/// Names are compared by their bytes, as PostgreSQL does; Swift's `==` takes two spellings of `é` for one. A dataset
/// has one of those that are canonically equivalent, so that they can be keys of a dictionary.
public enum ColumnName {
    /// In bytes; PostgreSQL cuts what is longer.
    public static let longest = 63

    /// Those that every table of PostgreSQL has: no other column can be called so.
    private static let taken: Set<String> = ["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"]

    /// What is wrong with a name, as in `name must not …`; nil where it may be a column's.
    public static func fault(_ name: String) -> String? {
        if !(1...longest).contains(name.utf8.count) { return "must have 1 to \(longest) bytes" }
        if name.utf8.first == 0x5F { return "must not begin with _, which is reserved" }
        if name.utf8.contains(0) { return "must not contain U+0000" }
        return taken.contains(name) ? "must not be that of one of PostgreSQL's system columns" : nil
    }

    /// Whether two names are the same column's.
    public static func isSame(_ one: String, _ other: String) -> Bool {
        // The first is quick where both are ASCII, as most are.
        one == other && one.utf8.elementsEqual(other.utf8)
    }
}
