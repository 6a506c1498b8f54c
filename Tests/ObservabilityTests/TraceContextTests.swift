import Testing

@testable import Observability

@Suite struct TraceContextTests {
    private let sample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func aHeaderIsReadAndWrittenTheSame() throws {
        let context = try #require(TraceContext(traceparent: sample))
        #expect(context.traceparent == sample)
        #expect(context.traceID == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.isSampled)
    }

    @Test func aChildKeepsTheTraceAndTheFlag() throws {
        let parent = try #require(TraceContext(traceparent: sample.replacing("-01", with: "-00")))
        var numbers = UniqueNumbers()
        let child = parent.child(&numbers)
        #expect(child.traceID == parent.traceID)
        #expect(child.traceparent != parent.traceparent)
        #expect(!child.isSampled)
        #expect(TraceContext(traceparent: child.traceparent) == child)
    }

    @Test func generatedOnesAreValidAndDiffer() {
        var numbers = UniqueNumbers()
        let contexts = (0..<100).map { _ in TraceContext.generate(&numbers, by: .all) }
        #expect(Set(contexts).count == 100)
        #expect(contexts.allSatisfy { TraceContext(traceparent: $0.traceparent) == $0 && $0.isSampled })
    }

    @Test func aLaterVersionIsReadByItsFirstFields() {
        let later = "cc" + sample.dropFirst(2)
        #expect(TraceContext(traceparent: later)?.traceparent == sample)
        #expect(TraceContext(traceparent: later + "-what-comes")?.traceparent == sample)
        #expect(TraceContext(traceparent: later + "x") == nil)
    }

    @Test func unknownFlagsAreNotHandedOn() {
        #expect(TraceContext(traceparent: sample.dropLast(2) + "ff")?.traceparent == sample)
    }

    @Test(arguments: [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
    ])
    func whatBreaksTheStandardIsRefused(_ text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test func uniqueNumbersDiffer() {
        #expect(Set((0..<10_000).map { _ in UniqueNumber.next() }).count == 10_000)
        #expect(UniqueNumber.nextText().count == 16)
    }
}
