import Buffers
import Testing

@Suite struct OctetBufferTests {
    private func text(_ capacity: Int = 0, _ write: (inout OctetBuffer) -> Void) -> String {
        var buffer = OctetBuffer(capacity: capacity)
        write(&buffer)
        return String(decoding: buffer.array(), as: UTF8.self)
    }

    @Test func piecesFollowEachOtherHoweverLittleRoomThereWas() {
        let long = String(repeating: "zwölf", count: 100)
        for capacity in [0, 1, 17, 4096] {
            let all = text(capacity) { buffer in
                buffer.append("static ")
                buffer.append(long)
                buffer.append([0x20, 0x41])
                buffer.append(0x42)
                let rest: [UInt8] = [0x43, 0x44]
                buffer.append(rest.span)
                buffer.appendLineEnd()
            }
            #expect(all == "static " + long + " ABCD\r\n")
        }
    }

    @Test(arguments: [0, 7, 10, 99, 100, 4_294_967_296, .max, -1, .min] as [Int])
    func decimals(_ number: Int) {
        #expect(text { $0.append(decimal: number) } == number.description)
    }

    private static let leadingZeros = [
        (0, 2, "00"), (9, 2, "09"), (2026, 4, "2026"), (1, 6, "000001"), (999_999, 6, "999999"),
    ]

    @Test(arguments: leadingZeros) func decimalsWithLeadingZeros(_ number: Int, _ digits: Int, _ expected: String) {
        #expect(text { $0.append(decimal: number, digits: digits) } == expected)
    }

    @Test(arguments: [0, 1, 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, 0xA0A0_9F9F_F9F9_0A0A, .max] as [UInt64])
    func hexadecimals(_ number: UInt64) {
        let digits = String(number, radix: 16)
        let all = String(repeating: "0", count: 16 - digits.count) + digits
        #expect(text { $0.append(hexadecimal: number) } == all)
        #expect(text { $0.append(hexadecimal: number, digits: 4) } == String(all.suffix(4)))
    }

    @Test(arguments: [0, 1, 15, 16, 255, 256, 65_536, 0xABCDEF]) func chunkSizes(_ size: Int) {
        #expect(text { $0.append(chunkSize: size) } == String(size, radix: 16))
    }

    @Test func whatWasWrittenCanBeTakenFromAPlaceOnAndThrownAway() {
        var buffer = OctetBuffer(capacity: 4)
        buffer.append("abcdef")
        #expect(buffer.count == 6)
        #expect(buffer.array(from: 4) == Array("ef".utf8))
        var array: [UInt8] = [0x2D]
        buffer.append(to: &array)
        #expect(array == Array("-abcdef".utf8))
        buffer.removeAll()
        #expect(buffer.array().isEmpty)
    }
}

@Suite struct SpanSearchTests {
    private func place(_ octets: [UInt8], from start: Int) -> Int? { octets.span.firstIndex(of: 0x0A, from: start) }

    @Test func theFirstFromAPlaceOnIsFound() {
        let octets = Array("a\nb\nc".utf8)
        #expect(place(octets, from: 0) == 1)
        #expect(place(octets, from: 1) == 1)
        #expect(place(octets, from: 2) == 3)
        #expect(place(octets, from: 4) == nil)
        #expect(place(octets, from: 5) == nil)
        let nothing: [UInt8] = []
        #expect(place(nothing, from: 0) == nil)
    }
}
