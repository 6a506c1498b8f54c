import Foundation
import Testing

@testable import Expressions

/// The catalogues agree with what is written about them, and with themselves.
@Suite struct CatalogueTests {
    private static let names = Set(OperatorCatalog.functions.keys)
        .union(SpecialCall.allCases.filter { $0 != .array && $0 != .similar }.map(\.rawValue))

    @Test func theREADMENamesEveryFunctionAndOperator() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Shared/Expressions/README.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let start = try #require(text.range(of: "## The language"))
        let end = try #require(text.range(of: "## Differences"))
        let words = Set(
            text[start.upperBound..<end.lowerBound].split { $0.isWhitespace || ",()`|".contains($0) }.map(String.init))
        let missing = Self.names.subtracting(words).sorted()
        #expect(missing.isEmpty, "not in the README: \(missing)")
        let symbols = Set(OperatorCatalog.binary.keys).union(OperatorCatalog.prefix.keys)
        let unnamed = symbols.filter { !$0.contains("|") }.subtracting(words).sorted()
        #expect(unnamed.isEmpty, "not in the README: \(unnamed)")
    }

    @Test func thereAreAtLeastEightyFunctions() {
        #expect(Self.names.count >= 80)
    }

    @Test func noSignatureIsListedTwice() {
        for catalogue in [OperatorCatalog.functions, OperatorCatalog.binary, OperatorCatalog.prefix] {
            for (name, signatures) in catalogue {
                #expect(Set(signatures.map(\.arguments)).count == signatures.count, "\(name)")
            }
        }
    }
}
