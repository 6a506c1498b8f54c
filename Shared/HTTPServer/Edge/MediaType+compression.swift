import HTTP

extension MediaType {
    private static let compressible: Set<String> = [
        "application/json", "application/x-ndjson", "application/javascript", "application/xml", "application/wasm",
        "application/manifest+json", "image/svg+xml", "font/ttf",
    ]

    /// Whether content of the type is text of some kind, which gains by a coding. Event streams are not to be held up.
    var isCompressible: Bool {
        if essence == MediaType.eventStream.essence { return false }
        return essence.hasPrefix("text/") || MediaType.compressible.contains(essence) || essence.hasSuffix("+json")
            || essence.hasSuffix("+xml")
    }
}
