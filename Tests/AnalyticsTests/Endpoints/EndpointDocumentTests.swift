import JSON
import Testing

extension QueryServiceTests {
    /// The OpenAPI document of a workspace's endpoints. Validators and generators read it in Tests/EndToEndTests.
    @Suite struct EndpointDocumentTests {
        @Test func everyEndpointIsAnOperation() async throws {
            try await QueryServer.run { server in
                let sql = "select id, 1.5::numeric as n, now() as at, array[1] as a from web where id > {{least:int8}} "
                _ = try await server.put("rows_of", sql + "limit {{n:int8=10}}", [("description", "Rows")])
                _ = try await server.put(
                    "plain", #"select {{j:jsonb='{"a": 1}'}} as j, {{f:float8=NaN}} as f, {{d:date=infinity}} as d"#)
                let answer = try await server.send("GET", "/v1/endpoints/openapi.json")
                #expect(answer.status == 200 && answer.json["openapi"] == "3.1.0")
                let paths = answer.json["paths"]
                #expect(paths?.object?.keys == ["/v1/endpoints/plain/data", "/v1/endpoints/rows_of/data"])
                let operation = paths?["/v1/endpoints/rows_of/data"]?["get"]
                #expect(operation?["operationId"] == "rows_of" && operation?["summary"] == "Rows")
                #expect(operation?["x-scope"] == "endpoints:read" && operation?["security"] == [["key": []]])
                let parameters = operation?["parameters"]?.array ?? []
                #expect(parameters.map { $0["required"] } == [true, false])
                #expect(parameters.last?["schema"] == ["type": "integer", "format": "int64", "default": 10])
                let content = operation?["responses"]?["200"]?["content"]
                #expect(content?.object?.keys == ["application/json", "text/csv", "application/x-ndjson"])
                let item = content?["application/json"]?["schema"]?["properties"]?["items"]?["items"]
                #expect(item?["required"] == ["id", "n", "at", "a"])
                #expect(item?["properties"]?["id"] == ["type": ["integer", "null"], "format": "int64"])
                #expect(item?["properties"]?["at"] == ["type": ["string", "null"], "format": "date-time"])
                let plain = paths?["/v1/endpoints/plain/data"]?["get"]?["parameters"]?.array ?? []
                #expect(plain.map { $0["schema"]?["default"] } == [nil, nil, nil])
                #expect(plain.first?["description"]?.string?.hasSuffix(#"left out: {"a": 1}"#) == true)
                let tag = try #require(answer.headers["etag"])
                let again = try await server.send(
                    "GET", "/v1/endpoints/openapi.json", headers: ["If-None-Match: \(tag)"])
                #expect(again.status == 304 && again.body.isEmpty)
                let other = try await server.makeKey(["endpoints:read"], workspace: "other")
                let empty = try await server.send("GET", "/v1/endpoints/openapi.json", key: other)
                #expect(empty.json["paths"] == [:])
            }
        }
    }
}
