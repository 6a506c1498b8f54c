import EventLoop
import HTTP
import Testing

@testable import HTTPClient

/// The client's state machines, without a socket.
@Suite("HTTP client: state machines")
struct StateTests {
    // MARK: Places

    @Test("Places are given in order, per origin, and only while the client runs")
    func places() {
        var slots = TransferSlots(total: 3, perOrigin: 2, waiting: 4)
        #expect(slots.request("a") == .wait(1))
        #expect(slots.open() == [1] && slots.claim(1) && !slots.claim(1))
        #expect(slots.request("a") == .granted)
        #expect(slots.request("a") == .wait(2) && slots.request("a") == .wait(3))
        #expect(slots.request("b") == .granted)
        #expect(slots.request("b") == .wait(4) && slots.request("c") == .wait(5))
        #expect(slots.request("d") == .overloaded)
        // The origin of the place that is free again has waited longest, and may have it.
        #expect(slots.release("a") == [2])
        #expect(slots.release("b") == [4])
        #expect(slots.claim(2) && slots.claim(4) && slots.inUse == 3)
        #expect(slots.close() == [3, 5] && !slots.claim(3))
        #expect(slots.request("e") == .closed && slots.release("a").isEmpty && slots.open().isEmpty)
    }

    @Test("A place that was given to one who has gone goes on to the next")
    func abandonedPlaces() {
        var slots = TransferSlots(total: 1, perOrigin: 1, waiting: 10)
        _ = slots.open()
        #expect(slots.request("a") == .granted)
        #expect(slots.request("a") == .wait(1) && slots.request("b") == .wait(2) && slots.request("c") == .wait(3))
        #expect(slots.giveUp(2).isEmpty)
        #expect(slots.release("a") == [1])
        #expect(slots.giveUp(1) == [3])
        #expect(slots.claim(3) && slots.release("c").isEmpty && slots.inUse == 0)
    }

    // MARK: Heads

    private func head(_ lines: [String]) -> Result<(status: HTTPStatus, headers: HTTPHeaders)?, HTTPClientError> {
        var reader = ResponseHeadReader(limits: TransferLimits())
        do throws(HTTPClientError) {
            for line in lines { try reader.read(Array(line.utf8)) }
            return .success(reader.head)
        } catch {
            return .failure(error)
        }
    }

    @Test("Interim heads are dropped, and so are trailers")
    func heads() throws {
        let lines = [
            "HTTP/1.1 100 Continue\r\n", "\r\n", "HTTP/1.1 103 Early Hints\r\n", "link: </a>\r\n", "\r\n",
            "HTTP/1.1 200 OK\r\n", "a: 1\r\n", "B:\t 2 \t\r\n", "c:\r\n", "\r\n", "trailer: 3\r\n", "\r\n",
        ]
        let head = try #require(try self.head(lines).get())
        #expect(head.status == .ok)
        #expect(head.headers.fields.map { "\($0.name)=\($0.value)" } == ["a=1", "B=2", "c="])
        #expect(try self.head(Array(lines.prefix(9))).get() == nil)
    }

    @Test("A head without a phrase, or with a bare line feed")
    func lenient() throws {
        for lines in [["HTTP/1.1 204\r\n", "\r\n"], ["HTTP/1.0 204 \n", "\n"]] {
            #expect(try head(lines).get()?.status == .noContent)
        }
    }

    // MARK: Bodies

    @Test("An answer's body rests when its reader lags, goes on when it has read, and ends")
    func answers() throws {
        var limits = TransferLimits()
        limits.body = 200_000
        var state = TransferState(ClientRequest(.get, "http://a/"), limits: limits)
        #expect(try state.take().taking == .rest)
        // One piece is always taken, however large.
        #expect(state.admit(100_000) == .take)
        state.receiveBody([UInt8](repeating: 1, count: 100_000))
        #expect(state.admit(1) == .rest && state.restsReceiving)
        let (taking, resumes) = try state.take()
        #expect(taking == .octets([UInt8](repeating: 1, count: 100_000)) && resumes && !state.restsReceiving)
        #expect(state.admit(100_000) == .take)
        state.receiveBody([UInt8](repeating: 2, count: 100_000))
        state.finish(.success(()))
        #expect(try state.take().taking == .octets([UInt8](repeating: 2, count: 100_000)))
        #expect(try state.take() == (.end, false))
    }

    @Test("What is over a limit is the reason, whatever libcurl calls it, and nothing is taken any more")
    func faults() {
        var limits = TransferLimits()
        limits.body = 10
        var state = TransferState(ClientRequest(.get, "http://a/"), limits: limits)
        #expect(state.admit(11) == .giveUp && state.admit(1) == .giveUp)
        state.finish(.failure(HTTPClientError(.library, "write error")))
        state.finish(.success(()))
        #expect { try state.take() } throws: { ($0 as? HTTPClientError)?.code == .tooLarge }
    }

    @Test("A request's body is given out in pieces, rests when its writer lags, and can be repeated if it is all there")
    func requests() throws {
        var bytes = UploadBuffer(.bytes([1, 2, 3]))
        #expect(bytes.next(2) == .octets([1, 2]) && bytes.next(2) == .octets([3]) && bytes.next(2) == .end)
        let repeated = bytes.rewind(to: 0) && bytes.next(9) == .octets([1, 2, 3])
        #expect(repeated && !bytes.rewind(to: 4))
        var stream = UploadBuffer(.stream(length: nil) { _ in })
        #expect(stream.next(9) == .rest)
        try stream.append([1, 2, 3])
        #expect(!stream.isFull && stream.next(2) == .octets([1, 2]))
        try stream.append([UInt8](repeating: 4, count: UploadBuffer.mark))
        #expect(stream.isFull && stream.next(2) == .octets([3, 4]) && !stream.rewind(to: 0))
        try stream.end()
        #expect(stream.next(1 << 20) == .octets(ArraySlice([UInt8](repeating: 4, count: UploadBuffer.mark - 1))))
        #expect(stream.next(1) == .end)
    }

    // MARK: Names

    @Test("Names are looked up once for all who ask, and so many at a time")
    func names() async throws {
        let loops = try EventLoopGroup(count: 1, name: "names-test")
        let loop = loops.loops[0]
        let held = HeldNames()
        try await loop.run {
            let cache = LoopBound(NameCache(on: loop, resolver: held, lifetime: .seconds(60), lookups: 2), to: loop)
            try await withThrowingTaskGroup(of: [IPAddress].self) { group in
                for name in ["a", "b", "a", "c", "b"] {
                    group.addTask { try await cache.value.addresses(of: name, until: .never) }
                }
                await held.asked(2)
                for _ in 0..<10 { await Task.yield() }
                #expect(held.names == ["a", "b"])
                held.answer(0, ["1.2.3.4"])
                await held.asked(3)
                held.answer(1, ["1.2.3.5"])
                held.answer(2, ["1.2.3.6"])
                let found = try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
                #expect(found.values.sorted() == [1, 2, 2])
            }
            let known = try await cache.value.addresses(of: "c", until: .never)
            #expect(known == [IPAddress("1.2.3.6")] && held.names == ["a", "b", "c"])
        }
        loops.shutdown()
    }
}
