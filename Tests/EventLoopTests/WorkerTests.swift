import Lifecycle
import Synchronization
import Testing

@testable import EventLoop

/// Pieces of work on one loop; each may wait for a signal.
private final class Pieces: LoopWork {
    struct Piece {
        let number: Int
        var waitsFor: ShutdownSignal?
    }

    var ready: [Piece] = []
    var later: [Piece] = []
    private(set) var began: [Int] = []
    private(set) var done: [Int] = []
    /// Tasks in `work` now, and the most there have been.
    private(set) var tasks = 0
    private(set) var mostTasks = 0

    var isReady: Bool { !ready.isEmpty }
    var isPutOff: Bool { !later.isEmpty }

    func beginTurn() {
        ready += later
        later = []
    }

    func endTurn() {}

    nonisolated(nonsending) func work() async {
        tasks += 1
        mostTasks = max(mostTasks, tasks)
        while !ready.isEmpty {
            let piece = ready.removeFirst()
            began.append(piece.number)
            if let signal = piece.waitsFor { await signal.requested() }
            done.append(piece.number)
        }
        tasks -= 1
    }
}

@Suite struct WorkerTests {
    /// Runs `body` on a loop beside workers for the pieces.
    private func withWorkers(
        _ body: @escaping @Sendable (LoopBound<Pieces>, LoopBound<LoopWorkers>) async throws -> Void
    ) async throws {
        let loops = try EventLoopGroup(count: 1, name: "workers")
        let loop = loops.loops[0]
        let result: Result<Void, any Error> = await loop.run {
            let pieces = LoopBound(Pieces(), to: loop)
            let workers = LoopBound(LoopWorkers(on: loop), to: loop)
            return await withTaskGroup(of: Void.self) { group in
                group.addTask { await workers.value.run(pieces.value) }
                await Task.yield()
                let result: Result<Void, any Error>
                do {
                    try await body(pieces, workers)
                    result = .success(())
                } catch {
                    result = .failure(error)
                }
                workers.value.stop()
                await group.waitForAll()
                return result
            }
        }
        loops.shutdown()
        try result.get()
    }

    private func turns(_ count: Int) async {
        for _ in 0..<count { await Task.yield() }
    }

    @Test func oneTaskDoesAllThatNeverWaits() async throws {
        try await withWorkers { pieces, _ in
            for round in 0..<50 {
                pieces.value.ready = (0..<100).map { Pieces.Piece(number: round * 100 + $0) }
                await turns(4)
                #expect(pieces.value.done.count == (round + 1) * 100)
            }
            #expect(pieces.value.done == Array(0..<5000))
            #expect(pieces.value.mostTasks == 1)
        }
    }

    @Test func othersGoOnWithTheRestWhereSomeWait() async throws {
        try await withWorkers { pieces, _ in
            let signal = ShutdownSignal()
            pieces.value.ready = (0..<300).map {
                Pieces.Piece(number: $0, waitsFor: $0 % 3 == 0 ? signal : nil)
            }
            await turns(400)
            #expect(pieces.value.began == Array(0..<300))
            #expect(pieces.value.done.count == 200)
            signal.request()
            await turns(400)
            #expect(pieces.value.done.sorted() == Array(0..<300))
            #expect(pieces.value.tasks == 0)
            // Of the tasks that there were most are gone; those that are left do what comes.
            pieces.value.ready = [Pieces.Piece(number: 300)]
            await turns(4)
            #expect(pieces.value.done.last == 300)
        }
    }

    @Test func whatIsPutOffIsDoneInTheNextTurnThoughNothingElseHappens() async throws {
        try await withWorkers { pieces, _ in
            pieces.value.later = [Pieces.Piece(number: 1)]
            await turns(6)
            #expect(pieces.value.done == [1])
        }
    }

    @Test func aLoopWithNothingToDoSleeps() async throws {
        try await withWorkers { pieces, _ in
            guard let loop = EventLoop.current else { return }
            pieces.value.ready = [Pieces.Piece(number: 1)]
            await turns(6)
            let before = loop.statistics.polls
            try await loop.sleep(for: .milliseconds(50))
            #expect(loop.statistics.polls - before < 10)
        }
    }

    @Test func stoppedTheyFinishWhatTheyAreDoing() async throws {
        try await withWorkers { pieces, workers in
            let signal = ShutdownSignal()
            pieces.value.ready = [Pieces.Piece(number: 1, waitsFor: signal)]
            await turns(6)
            workers.value.stop()
            signal.request()
            await turns(6)
            #expect(pieces.value.done == [1])
            pieces.value.ready = [Pieces.Piece(number: 2)]
            await turns(6)
            #expect(pieces.value.done == [1])
        }
    }

    @Test func aCancelledTaskEndsThem() async throws {
        let loops = try EventLoopGroup(count: 1, name: "workers")
        let loop = loops.loops[0]
        await loop.run {
            let pieces = LoopBound(Pieces(), to: loop)
            let workers = LoopBound(LoopWorkers(on: loop), to: loop)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await workers.value.run(pieces.value) }
                for _ in 0..<3 { await Task.yield() }
                pieces.value.ready = [Pieces.Piece(number: 1)]
                for _ in 0..<6 { await Task.yield() }
                group.cancelAll()
                await group.waitForAll()
            }
            #expect(pieces.value.done == [1])
        }
        loops.shutdown()
    }
}
