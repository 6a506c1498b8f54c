import HTTP
import HTTPServer

/// The console at `/`: its page, its own files below `/console`, and those of the libraries that Debian has packaged
/// below `/console-libraries`. It holds no data: its scripts ask the API as anyone does.
struct ConsoleFiles {
    /// What the page may load and do: nothing but files of its own origin, no script or style within the page, and no
    /// other page around it. Charts are drawn on a canvas, icons are files.
    private static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    ].joined(separator: "; ")

    private static let fields: HTTPHeaders = [
        "content-security-policy": policy, "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin", "x-frame-options": "DENY",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ]

    /// Folders of `libraries` that are served; others may be installed for other programs.
    private static let libraries = ["chart.js", "codemirror"]

    let routes: [Route]

    /// A folder that the settings name and that cannot be read.
    struct Unreadable: Error, CustomStringConvertible {
        let setting: String
        let folder: String
        let error: StaticFilesError

        var description: String { "\(setting): the folder \(folder) cannot be opened (\(error))" }
    }

    /// Opens the folders.
    init(folder: String, libraries: String) throws(Unreadable) {
        let own = try Self.open(folder, "MILLRACE_CONSOLE")
        var routes = [own.index(at: "/", id: "getConsole", summary: "The console")]
        routes += own.routes(at: "/console", id: "getConsoleFile", summary: "A file of the console")
        for (number, name) in Self.libraries.enumerated() {
            let files = try Self.open("\(libraries)/\(name)", "MILLRACE_CONSOLE_LIBRARIES")
            routes += files.routes(
                at: "/console-libraries/\(name)", id: "getConsoleLibrary\(number + 1)",
                summary: "A file of the library \(name)")
        }
        self.routes = routes
    }

    private static func open(_ folder: String, _ setting: String) throws(Unreadable) -> StaticFiles {
        do throws(StaticFilesError) {
            return try StaticFiles(root: folder, fields: fields)
        } catch {
            throw Unreadable(setting: setting, folder: folder, error: error)
        }
    }
}
