/// What `||`, `-`, `#-`, `jsonb_set` and the like make of a value.
extension JSONBValue {
    private var items: [JSONBValue] { if case .array(let items) = self { items } else { [self] } }

    private var isEmpty: Bool {
        switch self {
        case .array(let items): items.isEmpty
        case .object(let members): members.isEmpty
        default: false
        }
    }

    /// `||`: objects are merged, the right one counts; all else is joined as arrays.
    static func joined(_ a: JSONBValue, _ b: JSONBValue) -> JSONBValue {
        if case .object(let left) = a, case .object(let right) = b { return .object(normalized(left + right)) }
        return .array(a.items + b.items)
    }

    /// Without members whose value is null, at every depth.
    var withoutNulls: JSONBValue {
        switch self {
        case .array(let items): .array(items.map(\.withoutNulls))
        case .object(let members):
            .object(
                members.compactMap { member in
                    if case .null = member.value { return nil }
                    return Member(key: member.key, value: member.value.withoutNulls)
                })
        default: self
        }
    }

    /// Without the members of a key, or the strings that an array holds.
    func removing(_ key: Bytes) throws(Fault) -> JSONBValue {
        switch self {
        case .object(let members): return .object(members.filter { !$0.key.elementsEqual(key) })
        case .array(let items):
            return .array(
                items.filter { item in
                    if case .string(let text) = item { return !text.elementsEqual(key) }
                    return true
                })
        default: throw .invalid("cannot delete from scalar")
        }
    }

    /// Without the item of that number; negative ones count from the end.
    func removing(at number: Int64) throws(Fault) -> JSONBValue {
        switch self {
        case .object: throw .invalid("cannot delete from object using integer index")
        case .array(var items):
            let place = number < 0 ? number + Int64(items.count) : number
            if place >= 0, place < items.count { items.remove(at: Int(place)) }
            return .array(items)
        default: throw .invalid("cannot delete from scalar")
        }
    }

    /// What is done with the place that a path leads to.
    enum Change {
        case delete
        case set(JSONBValue, create: Bool)
        case insert(JSONBValue, after: Bool)

        fileprivate var isCreating: Bool {
            switch self {
            case .delete: false
            case .set(_, let create): create
            case .insert: true
            }
        }

        fileprivate var value: JSONBValue? {
            switch self {
            case .delete: nil
            case .set(let value, _), .insert(let value, _): value
            }
        }
    }

    /// The value with a change made at a path; as it was where the path leads nowhere.
    func changed(_ path: [Bytes?], _ change: Change) throws(Fault) -> JSONBValue {
        guard isContainer else {
            if case .delete = change { throw .invalid("cannot delete path in scalar") }
            throw .invalid("cannot set path in scalar")
        }
        return path.isEmpty || (isEmpty && !change.isCreating) ? self : try changed(path, 0, change)
    }

    private func changed(_ path: [Bytes?], _ level: Int, _ change: Change) throws(Fault) -> JSONBValue {
        guard let step = path[level] else { throw .invalid("path element at position \(level + 1) is null") }
        switch self {
        case .object(let members): return .object(try Self.changed(members, step, path, level, change))
        case .array(let items): return .array(try Self.changed(items, step, path, level, change))
        default: return self
        }
    }

    private static func changed(
        _ members: [Member], _ key: Bytes, _ path: [Bytes?], _ level: Int, _ change: Change
    ) throws(Fault) -> [Member] {
        var result = members
        let isLast = level == path.count - 1
        guard let place = find(key, in: members) else {
            guard isLast, change.isCreating, let value = change.value else { return members }
            return normalized(members + [Member(key: Array(key), value: value)])
        }
        if isLast {
            switch change {
            case .delete: result.remove(at: place)
            case .set(let value, _): result[place].value = value
            case .insert: throw .invalid("cannot replace existing key")
            }
        } else {
            result[place].value = try members[place].value.changed(path, level + 1, change)
        }
        return result
    }

    private static func changed(
        _ items: [JSONBValue], _ step: Bytes, _ path: [Bytes?], _ level: Int, _ change: Change
    ) throws(Fault) -> [JSONBValue] {
        let isLast = level == path.count - 1
        guard let number = JSONBText.number(step) else {
            throw .invalid(
                "path element at position \(level + 1) is not an integer: "
                    + "\"\(String(decoding: step, as: UTF8.self))\"")
        }
        let place = number < 0 ? number + items.count : number
        var result = items
        if place < 0 || place >= items.count {
            if isLast, change.isCreating, let value = change.value {
                result.insert(value, at: place < 0 ? 0 : items.count)
            }
            return result
        }
        guard isLast else {
            result[place] = try items[place].changed(path, level + 1, change)
            return result
        }
        switch change {
        case .delete: result.remove(at: place)
        case .set(let value, _): result[place] = value
        case .insert(let value, let after): result.insert(value, at: after ? place + 1 : place)
        }
        return result
    }
}
