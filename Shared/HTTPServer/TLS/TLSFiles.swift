public import Configuration

/// The files that a server proves itself by, and what was in them when they were first read.
public struct TLSFiles: Sendable {
    /// In PEM: the server's certificate, then those that lead from it to one that clients trust.
    public let certificate: String
    /// In PEM, without a password.
    public let key: String
    let first: TLSContext
    let stamps: [FileStamp?]

    /// Reads both. Errors: why they cannot be used.
    public init(certificate: String, key: String) throws(TLSFileError) {
        self.certificate = certificate
        self.key = key
        // Before the files are read: what changes meanwhile is read again.
        stamps = TLSFiles.stamps(certificate, key)
        first = try TLSFiles.read(certificate, key)
    }

    /// Reads them where the settings name them, which are both or none.
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `MILLRACE_TLS_CERTIFICATE` | | a file in PEM: the server's certificate and its chain |
    /// | `MILLRACE_TLS_KEY` | | a file in PEM: its private key |
    public init?(from settings: inout Settings) {
        let names = (certificate: "MILLRACE_TLS_CERTIFICATE", key: "MILLRACE_TLS_KEY")
        switch (settings.optionalText(names.certificate), settings.optionalText(names.key)) {
        case (nil, nil): return nil
        case (nil, _?):
            settings.refuse(names.certificate, "is required where \(names.key) is set")
            return nil
        case (_?, nil):
            settings.refuse(names.key, "is required where \(names.certificate) is set")
            return nil
        case (let certificate?, let key?):
            do throws(TLSFileError) {
                try self.init(certificate: certificate, key: key)
            } catch {
                settings.refuse(error.file == .key ? names.key : names.certificate, "names a file that \(error.reason)")
                return nil
            }
        }
    }

    static func stamps(_ certificate: String, _ key: String) -> [FileStamp?] {
        [FileStamp(ofFile: certificate), FileStamp(ofFile: key)]
    }

    static func read(_ certificate: String, _ key: String) throws(TLSFileError) -> TLSContext {
        try TLSContext(certificate: read(.certificate, certificate), key: read(.key, key))
    }

    private static func read(_ file: TLSFileError.File, _ path: String) throws(TLSFileError) -> [UInt8] {
        do throws(Environment.FileFault) {
            return try ProcessEnvironment.read(path: path)
        } catch {
            throw TLSFileError(file, error.reason)
        }
    }
}
