import Foundation
import JSON
import TestSupport

extension QueryServer {
    /// Makes a dataset of the workspace `default` as store would, filled by a SELECT. Columns: name and type.
    func makeDataset(
        _ name: String, _ columns: [(name: String, type: String)], filledBy select: String?
    ) async throws {
        func quoted(_ text: String, _ mark: String) -> String {
            mark + text.replacingOccurrences(of: mark, with: mark + mark) + mark
        }
        let definitions = columns.map { "\(quoted($0.name, "\"")) \($0.type)" }
        let entries = columns.enumerated().map { place, column in
            "(\(place + 1), \(quoted(column.name, "'")), \(quoted(column.type, "'")))"
        }
        var script = """
            set role \(TemporaryPostgres.role);
            with d as (insert into millrace.dataset (workspace_id, name, table_created)
                select id, '\(name)', \(select != nil) from millrace.workspace where name = 'default' returning id)
            insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
                select d.id, c.place, c.name, c.type, 'applied', 1
                from d, (values
                    \(entries.isEmpty ? "(1, '', '')" : entries.joined(separator: ","))) c (place, name, type)
                where c.name <> '';
            """
        if let select {
            script += """

                create table ws_default.\(name) (\(definitions.joined(separator: ", ")));
                insert into ws_default.\(name) \(select);
                """
        }
        _ = try await database.administer(script)
    }

    /// A dataset's profile; `query` is what stands behind the question mark.
    func profile(_ dataset: String, _ query: String = "", key: String = Self.key) async throws -> QueryClient.Answer {
        try await send("GET", "/v1/profiles/\(dataset)?\(query)", key: key)
    }
}

extension JSONValue {
    /// A member by a path such as `columns/2/quantiles/p50`.
    subscript(path path: String) -> JSONValue {
        path.split(separator: "/").reduce(self) { value, key in
            if let place = Int(key) {
                return value.array.flatMap { $0.indices.contains(place) ? $0[place] : nil } ?? .null
            }
            return value[String(key)] ?? .null
        }
    }

    var text: String { String(decoding: serialized(), as: UTF8.self) }
}
