import HTTP
import Testing

@testable import HTTPServer

@Suite struct ClientCountsTests {
    /// Whether each of these may enter, one after the other, where two connections of one client may.
    private func entering(_ peers: [String], except proxies: [String] = []) -> [Bool] {
        var counts = ClientCounts(limit: 2, except: proxies.compactMap { AddressRange($0) })
        return peers.map { counts.enter($0) }
    }

    @Test func eachClientHasItsOwnLimit() {
        let (one, other) = ("192.0.2.1", "192.0.2.2")
        #expect(entering([one, one, one, other, one]) == [true, true, false, true, false])
    }

    @Test func whoLeavesMakesRoom() {
        var counts = ClientCounts(limit: 1, except: [])
        var entered = [counts.enter("192.0.2.1"), counts.enter("192.0.2.1")]
        counts.leave("192.0.2.1")
        entered += [counts.enter("192.0.2.1"), counts.enter("192.0.2.1")]
        #expect(entered == [true, false, true, false])
    }

    @Test func anIPv6NetworkIsOneClient() {
        let peers = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:1::", "2001:db8:0:1::1"]
        #expect(entering(peers) == [true, true, false, true])
    }

    @Test func aMappedAddressIsTheIPv4One() {
        #expect(entering(["::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"]) == [true, true, false])
    }

    @Test(arguments: ["10.1.2.3", "::ffff:10.1.2.3", "::1", ""])
    func proxiesAndUnknownPeersAreNotCounted(_ peer: String) {
        let entered = entering([String](repeating: peer, count: 5), except: ["10.0.0.0/8", "::1"])
        #expect(entered == [Bool](repeating: true, count: 5))
    }
}
