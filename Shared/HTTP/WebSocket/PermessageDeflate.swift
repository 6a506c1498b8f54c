/// What both sides have agreed on about compressed messages (RFC 7692, section 7).
public struct PermessageDeflate: Sendable, Hashable {
    /// What the server would like; a client's offer may narrow it.
    public struct Preferences: Sendable, Hashable {
        /// Messages of the server may refer to earlier ones: smaller, for some memory while the connection lives.
        public var serverTakesOver = true
        public var clientTakesOver = true
        /// The server's window, 9 to 15 bits.
        public var serverWindowBits = 12
        /// The client's window, 9 to 15 bits, where the client lets itself be told.
        public var clientWindowBits = 15

        public init() {}
    }

    static let name = "permessage-deflate"

    public private(set) var serverTakesOver: Bool
    public private(set) var clientTakesOver: Bool
    public private(set) var serverWindowBits: Int
    public private(set) var clientWindowBits: Int
    /// What the answer's `Sec-WebSocket-Extensions` says.
    public private(set) var answer: String

    /// Takes the first offer that can be met; nil when there is none.
    static func agree(_ offers: [ExtensionOffer], _ preferences: Preferences) -> PermessageDeflate? {
        for offer in offers where offer.name == name {
            if let agreed = PermessageDeflate(offer, preferences) { return agreed }
        }
        return nil
    }

    /// Nil for an offer with a parameter that is unknown, repeated or has a value it may not have, and for one that
    /// zlib cannot meet: a window of 8 bits to compress with.
    private init?(_ offer: ExtensionOffer, _ preferences: Preferences) {
        serverTakesOver = preferences.serverTakesOver
        clientTakesOver = preferences.clientTakesOver
        serverWindowBits = preferences.serverWindowBits
        clientWindowBits = 15
        answer = ""
        var seen: Set<String> = []
        for parameter in offer.parameters {
            guard seen.insert(parameter.name).inserted, take(parameter, preferences) else { return nil }
        }
        var answer = [Self.name]
        if !serverTakesOver { answer.append("server_no_context_takeover") }
        if !clientTakesOver { answer.append("client_no_context_takeover") }
        if seen.contains("server_max_window_bits") { answer.append("server_max_window_bits=\(serverWindowBits)") }
        if clientWindowBits < 15 { answer.append("client_max_window_bits=\(clientWindowBits)") }
        self.answer = answer.joined(separator: "; ")
    }

    private mutating func take(_ parameter: ExtensionOffer.Parameter, _ preferences: Preferences) -> Bool {
        switch (parameter.name, parameter.value) {
        case ("server_no_context_takeover", nil): serverTakesOver = false
        case ("client_no_context_takeover", nil): clientTakesOver = false
        case ("server_max_window_bits", let value?):
            guard let bits = Self.windowBits(value), bits >= 9 else { return false }
            serverWindowBits = min(bits, preferences.serverWindowBits)
        case ("client_max_window_bits", let value):
            guard let bits = value.map(Self.windowBits) ?? 15 else { return false }
            clientWindowBits = min(bits, preferences.clientWindowBits)
        default: return false
        }
        return true
    }

    /// A number from 8 to 15 without leading zeros.
    private static func windowBits(_ text: String) -> Int? {
        (8...15).first { String($0) == text }
    }
}
