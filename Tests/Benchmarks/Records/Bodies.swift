import Records

/// Bodies to measure with: events of eight fields, 173 bytes each as NDJSON.
enum Bodies {
    static let types: [String: ColumnType] = [
        "id": .int8, "ts": .timestamptz, "host": .text, "method": .text, "path": .text, "status": .int8,
        "bytes": .int8, "latency": .float8,
    ]

    static func make(_ format: RecordFormat, records: Int) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(records * 190)
        if format == .csv { body += Array("id,ts,host,method,path,status,bytes,latency\n".utf8) }
        if format == .json { body += Array("[\n".utf8) }
        var random: UInt64 = 42
        for id in 0..<records {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let text = format == .csv ? cells(id, random >> 16) : object(id, random >> 16)
            body += Array(text.utf8)
            if format == .json, id + 1 < records { body.append(0x2C) }
            body.append(0x0A)
        }
        if format == .json { body += Array("]\n".utf8) }
        return body
    }

    private static let methods = ["GET", "POST", "PUT", "DELETE"]

    private static func object(_ id: Int, _ r: UInt64) -> String {
        #"{"id":\#(id),"ts":"\#(time(id, r))","host":"host-\#(r % 97).example.org","method":"\#(methods[Int(r % 4)])","#
            + #""path":"/api/v1/items/\#(r % 100_003)/detail","status":\#(200 + r % 300),"#
            + #""bytes":\#(r % 1_000_003),"latency":\#(Double(r % 100_000) / 1_000)}"#
    }

    private static func cells(_ id: Int, _ r: UInt64) -> String {
        "\(id),\(time(id, r)),host-\(r % 97).example.org,\(methods[Int(r % 4)]),"
            + "\"/api/v1/items/\(r % 100_003)/detail\",\(200 + r % 300),\(r % 1_000_003),\(Double(r % 100_000) / 1_000)"
    }

    private static func time(_ id: Int, _ r: UInt64) -> String {
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let second = id / 10 % 86_400
        return "2026-11-20T\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)).\(100_000 + r % 900_000)Z"
    }
}
