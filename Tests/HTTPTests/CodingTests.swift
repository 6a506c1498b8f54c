import HTTP
import Testing

@Suite struct CodingTests {
    private func accepted(_ fields: [String]) throws -> AcceptedCodings {
        var headers = HTTPHeaders()
        for field in fields { headers.add("Accept-Encoding", field) }
        return AcceptedCodings(try HTTPRequestHead(.get, "/", headers: headers))
    }

    @Test(
        arguments: [
            ([], nil), ([""], nil), (["identity"], nil), (["br"], nil), (["gzip"], .gzip), (["zstd"], .zstd),
            (["gzip, deflate, br, zstd"], .zstd), (["GZIP"], .gzip), (["x-gzip"], .gzip), (["gzip", "zstd"], .zstd),
            (["gzip;q=1, zstd;q=0.9"], .gzip), (["gzip;q=0.8,zstd;q=0.8"], .zstd), (["zstd;q=0, gzip"], .gzip),
            (["gzip;q=0"], nil), (["gzip;q=0.000"], nil), (["gzip;q=0.001"], .gzip), (["gzip ; q=0.5"], .gzip),
            // Any coding: one that all know.
            (["*"], .gzip), (["*;q=0"], nil), (["gzip;q=0, *"], nil), (["zstd, *;q=0"], .zstd),
            (["zstd;q=0.5, *"], .gzip),
            // No coding is as good as it is said to be.
            (["gzip;q=0.5, identity"], nil), (["gzip;q=0.5, identity;q=0.5"], .gzip), (["identity;q=0.1, gzip"], .gzip),
            (["identity;q=0, gzip;q=0.1"], .gzip), (["identity;q=0"], nil),
            // What is malformed counts as not there.
            (["gzip;q=2"], nil), (["gzip;q=1.001"], nil), (["gzip;q=0.1234"], nil), (["gzip;q=-1"], nil),
            (["gzip;q="], nil), (["gzip;q=nan"], nil), (["gzip;q=1e0"], nil), (["g zip, zstd"], .zstd),
            (["gzip;q=.5"], nil), ([",,gzip,"], .gzip),
        ] as [([String], AnswerCoding?)])
    func chooses(_ fields: [String], _ coding: AnswerCoding?) throws {
        #expect(try accepted(fields).choose() == coding)
    }

    @Test func choosesFromWhatIsThere() throws {
        #expect(try accepted(["zstd, gzip;q=0.1"]).choose(from: [.gzip]) == .gzip)
        #expect(try accepted(["zstd"]).choose(from: [.gzip]) == nil)
        #expect(try accepted(["gzip"]).choose(from: []) == nil)
    }

    @Test(arguments: [
        ("gzip", false), ("identity;q=0", true), ("*;q=0", true), ("*;q=0, identity", false), ("gzip, *", false),
        ("identity;q=0.000, gzip", true), ("", false),
    ])
    func tellsWhoRefusesIdentity(_ field: String, _ refuses: Bool) throws {
        #expect(try accepted([field]).refusesIdentity == refuses)
    }

    @Test(arguments: [
        ("\"v3\"", "\"v3-zstd\""), ("W/\"v3\"", "W/\"v3\""), ("\"\"", "\"-zstd\""), ("\"", "\""), ("v3", "v3"),
    ])
    func tagsHaveTheirCoding(_ tag: String, _ coded: String) {
        #expect(EntityTag.coded(tag, .zstd) == coded)
    }

    @Test func conditionsOnACodingAreConditionsOnTheVersion() throws {
        let tag = EntityTag(version: 3)
        let head = { (name: String, value: String) throws(RequestFault) in
            try HTTPRequestHead(.put, "/", headers: [name: value])
        }
        try EntityTag.check(head("If-Match", "\"v3-gzip\""), current: tag)
        try EntityTag.check(head("If-Match", "\"v1\", \"v3-zstd\""), current: tag)
        #expect(throws: Problem.self) { try EntityTag.check(head("If-Match", "\"v2-gzip\""), current: tag) }
        #expect(throws: Problem.self) { try EntityTag.check(head("If-Match", "\"v3-br\""), current: tag) }
        #expect(throws: Problem.self) { try EntityTag.check(head("If-None-Match", "\"v3-zstd\""), current: tag) }
        #expect(try EntityTag.isUnchanged(head("If-None-Match", "\"v3-gzip\""), current: tag))
        #expect(try EntityTag.isUnchanged(head("If-None-Match", "W/\"v3-gzip\""), current: tag))
        #expect(try EntityTag.isUnchanged(head("If-None-Match", "\"v3\""), current: tag))
    }

    @Test func tagsAreOfTheContent() {
        let tags = [[], [0], [0, 0], Array("a".utf8), Array("b".utf8)].map { EntityTag(content: $0) }
        #expect(Set(tags).count == tags.count)
        #expect(EntityTag(content: Array("a".utf8)) == tags[3])
        #expect(tags.allSatisfy { $0.text.utf8.count == 34 })
    }
}
