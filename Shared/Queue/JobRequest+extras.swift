import JSON

extension JobRequest {
    /// What it asks for besides, as `queue.enqueue_linked` reads it: JSON, an empty object for nothing.
    var extras: [UInt8] {
        var members: [(String, JSONValue)] = []
        if let items { members.append(("items", .number(items))) }
        if let slice { members.append(("slice", .number(slice))) }
        if isJoinable { members.append(("joinable", true)) }
        if let limitKey { members.append(("limit", .string(limitKey))) }
        if let unique { members.append(("unique", unique.json)) }
        if !after.isEmpty { members.append(("after", .array(after.map(\.json)))) }
        if runsAnyway { members.append(("anyway", true)) }
        return JSONValue.object(JSONObject(members)).serialized()
    }
}

extension JobRequest.UniqueKey {
    fileprivate var json: JSONValue {
        switch until {
        case .started: ["key": .string(key), "until": "started"]
        case .finished: ["key": .string(key), "until": "finished"]
        case .time(let time): ["key": .string(key), "until": "time", "seconds": .number(time.seconds)]
        }
    }
}

extension JobRequest.Parent {
    fileprivate var json: JSONValue {
        switch self {
        case .job(let id): ["job": .number(id)]
        case .request(let index): ["request": .number(index)]
        }
    }
}
