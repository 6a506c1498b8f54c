import Catalog
import Testing

@Suite struct ReceiptIDTests {
    @Test func readsWhatItWrites() {
        for id in [
            ReceiptID.coalesced(batch: 1, ordinal: 0), .coalesced(batch: 1 << 42, ordinal: 0xF_FFFF),
            .coalesced(batch: 77, ordinal: 12_345), .upload(1), .upload(.max),
        ] {
            #expect(ReceiptID(id.description) == id)
        }
    }

    @Test(arguments: [
        "", "r", "x0000000000000", "r000000000000l", "r00000000000000", "R0000000000010", "rzzzzzzzzzzzzz",
    ])
    func refusesOtherText(_ text: String) {
        #expect(ReceiptID(text) == nil)
    }
}

@Suite struct ResourceNameTests {
    @Test func followsTheRule() {
        #expect(ResourceName("web_logs2") != nil)
        #expect(ResourceName(String(repeating: "a", count: 48)) != nil)
        for bad in ["", "2a", "_a", "A", "a-b", "ä", String(repeating: "a", count: 49)] {
            #expect(ResourceName(bad) == nil, "\(bad)")
        }
    }
}
