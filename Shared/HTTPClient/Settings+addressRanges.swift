public import Configuration
public import HTTP

extension Settings {
    /// Ranges of addresses separated by commas, such as `10.0.0.0/8, fd00::/8, 192.0.2.7`.
    public mutating func addressRanges(_ name: String) -> [AddressRange] {
        list(name).compactMap { text in
            if let range = AddressRange(text) { return range }
            refuse(name, "must be ranges of addresses such as 10.0.0.0/8 or fd00::/8, not \"\(text.prefix(64))\"")
            return nil
        }
    }
}
