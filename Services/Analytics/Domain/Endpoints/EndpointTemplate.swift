import Catalog
import Records

/// An endpoint's statement. Its parameters stand in it as `{{name:type}}` or `{{name:type=default}}`, and further times
/// as `{{name}}`; each becomes `$1`, `$2`, …, whose values are bound, wherever they stand outside of quotes and
/// comments.
///
/// A default is a word (`10`, `2026-01-01`, `null`) or stands in single quotes, which are doubled within it.
struct EndpointTemplate: Sendable {
    /// A mistake in the text, and where: 1-based, in characters.
    struct Fault: Error, Sendable, Equatable {
        var message: String
        var position: Int
    }

    struct Faults: Error, Equatable {
        /// In the order of the text; at least one, at most `maximumFaults`.
        var all: [Fault]
    }

    static let maximumFaults = 20

    /// In the order in which they are declared.
    let parameters: [EndpointParameter]
    /// The statement as it is sent, each parameter as `($1::type)`: so a value has the type that was declared, whatever
    /// stands around it.
    let sql: String
    /// Where parts of `sql` come from, in order.
    private let origins: [Origin]

    /// A part of `sql` and the part of the text that it comes from: where they begin, in characters from 0.
    private struct Origin {
        var place: Int
        var source: Int
        /// A parameter: all of it comes from one place.
        var isParameter: Bool
    }

    /// Reads a text. Throws everything that is wrong with its parameters; whether it is SQL is another question.
    init(_ text: String) throws(Faults) {
        var reader = TemplateReader(Array(text.utf8))
        reader.read()
        let declarations = TemplateDeclarations(&reader)
        guard reader.faults.isEmpty else {
            let faults = reader.faults.sorted { $0.byte < $1.byte }.prefix(Self.maximumFaults)
            throw Faults(all: faults.map { Fault(message: $0.message, position: reader.character(at: $0.byte) + 1) })
        }
        parameters = declarations.parameters
        var sql = ""
        var origins: [Origin] = []
        var (place, source) = (0, 0)
        for piece in reader.pieces {
            let written: String
            let length: Int
            switch piece {
            case .text(let range):
                written = String(decoding: reader.text[range], as: UTF8.self)
                length = written.unicodeScalars.count
                origins.append(Origin(place: place, source: source, isParameter: false))
            case .use(let use):
                let number = declarations.numbers[use.name] ?? 0
                written = " ($\(number + 1)::\(parameters[number].type.rawValue)) "
                length = String(decoding: reader.text[use.range], as: UTF8.self).unicodeScalars.count
                origins.append(Origin(place: place, source: source, isParameter: true))
            }
            sql += written
            place += written.unicodeScalars.count
            source += length
        }
        self.sql = sql
        self.origins = origins
    }

    /// The place in the text of a place in `sql`; both 1-based, in characters.
    func position(ofStatement position: Int) -> Int {
        guard let origin = origins.last(where: { $0.place < position }) else { return position }
        return origin.isParameter ? origin.source + 1 : origin.source + position - origin.place
    }
}
