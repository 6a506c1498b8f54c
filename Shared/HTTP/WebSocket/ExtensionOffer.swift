/// One member of `Sec-WebSocket-Extensions` (RFC 6455, section 9.1).
struct ExtensionOffer: Sendable, Hashable {
    struct Parameter: Sendable, Hashable {
        let name: String
        let value: String?
    }

    let name: String
    let parameters: [Parameter]

    /// All offers in order of preference, several field lines together; nil when they break the grammar.
    static func parse(_ values: [String]) -> [ExtensionOffer]? {
        var offers: [ExtensionOffer] = []
        for member in values.flatMap(FieldScanner.list) {
            guard let offer = ExtensionOffer(member) else { return nil }
            offers.append(offer)
        }
        return offers
    }

    private init?(_ text: String) {
        var scanner = FieldScanner(text)
        guard let name = scanner.token() else { return nil }
        var parameters: [Parameter] = []
        scanner.skipSpace()
        while scanner.take(UInt8(ascii: ";")) {
            scanner.skipSpace()
            guard let name = scanner.token() else { return nil }
            scanner.skipSpace()
            var value: String?
            if scanner.take(UInt8(ascii: "=")) {
                scanner.skipSpace()
                value = scanner.token() ?? scanner.quoted()
                guard value != nil else { return nil }
                scanner.skipSpace()
            }
            parameters.append(Parameter(name: name, value: value))
        }
        guard scanner.isAtEnd else { return nil }
        self.name = name
        self.parameters = parameters
    }
}
