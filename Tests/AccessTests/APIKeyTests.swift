import Testing

@testable import Access

@Suite struct APIKeyTests {
    private let sample = "mr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

    @Test func generatedKeysHaveTheFormOfAKeyAndDiffer() throws {
        let keys = try (0..<1000).map { _ in try APIKey.generate().reveal() }
        #expect(Set(keys).count == 1000)
        for key in keys { #expect(APIKey(key)?.reveal() == key) }
        // 43,000 random digits use the whole alphabet.
        #expect(Set(keys.joined(separator: "").utf8.dropFirst(3)).count == 64)
    }

    @Test(arguments: [
        "", "mr_", "mr_AAAA", "mr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "MR_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "mr-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "mr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "mr_AAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAA",
        "mr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAé",
    ])
    func whatIsNoKeyIsRefused(_ text: String) {
        #expect(APIKey(text) == nil)
    }

    @Test func theHashIsSHA256OfTheWholeText() throws {
        #expect(
            OpenSSL.sha256(Array("abc".utf8)).map { String($0, radix: 16) }.joined(separator: ",")
                == "ba,78,16,bf,8f,1,cf,ea,41,41,40,de,5d,ae,22,23,b0,3,61,a3,96,17,7a,9c,b4,10,ff,61,f2,0,15,ad")
        let key = try #require(APIKey(sample))
        #expect(key.hash.bytes == OpenSSL.sha256(Array(sample.utf8)))
        #expect(key.hash == APIKey(sample)?.hash)
        #expect(key.hash != APIKey(sample.dropLast() + "B")?.hash)
        #expect(KeyHash(stored: [1, 2]) == nil)
    }

    @Test func onlyThePrefixIsShown() throws {
        let key = try APIKey.generate()
        #expect(key.visiblePrefix == String(key.reveal().prefix(9)))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), "\([key])", dumped] {
            #expect(!text.contains(key.reveal().dropFirst(9)))
        }
    }

    @Test func comparisonIsByContentAndLength() {
        #expect(OpenSSL.areEqual([1, 2, 3], [1, 2, 3]))
        #expect(!OpenSSL.areEqual([1, 2, 3], [1, 2, 4]))
        #expect(!OpenSSL.areEqual([1, 2, 3], [1, 2]))
        #expect(OpenSSL.areEqual([], []))
    }
}
