import HTTP

/// The media types of files by their extension. What is not here is octets: a browser that is told nothing sniffs.
enum FileType {
    private static let types: [String: String] = [
        "avif": "image/avif", "bin": "application/octet-stream", "css": "text/css; charset=utf-8",
        "csv": "text/csv; charset=utf-8", "gif": "image/gif", "gz": "application/gzip",
        "htm": "text/html; charset=utf-8", "html": "text/html; charset=utf-8", "ico": "image/x-icon",
        "jpeg": "image/jpeg", "jpg": "image/jpeg", "js": "text/javascript; charset=utf-8", "json": "application/json",
        "map": "application/json", "md": "text/markdown; charset=utf-8", "mjs": "text/javascript; charset=utf-8",
        "ndjson": "application/x-ndjson", "pdf": "application/pdf", "png": "image/png", "svg": "image/svg+xml",
        "ttf": "font/ttf", "txt": "text/plain; charset=utf-8", "wasm": "application/wasm",
        "webmanifest": "application/manifest+json", "webp": "image/webp", "woff": "font/woff", "woff2": "font/woff2",
        "xml": "application/xml", "zip": "application/zip",
    ]

    static func of(_ path: FilePath) -> String { types[path.fileExtension] ?? "application/octet-stream" }
}
