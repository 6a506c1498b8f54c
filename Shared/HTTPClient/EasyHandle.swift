private import CCurl
import HTTP

/// libcurl's `CURL`: one transfer. The only file that calls it. Its callbacks come while `MultiHandle` is at work or
/// in `rest`, on the loop's thread, and only ask or tell the `Transfer`.
@safe struct EasyHandle: ~Copyable {
    let pointer: UnsafeMutableRawPointer
    /// What libcurl wants kept as long as the handle.
    private let message: UnsafeMutablePointer<CChar>
    private var fieldLines: UnsafeMutablePointer<curl_slist>?
    private var resolution: UnsafeMutablePointer<curl_slist>?

    /// A handle that knows nothing yet. Errors: `.library`.
    init() throws(HTTPClientError) {
        guard EasyHandle.isLibraryReady, let pointer = unsafe curl_easy_init() else {
            throw HTTPClientError(.library, "libcurl cannot be initialised")
        }
        unsafe self.pointer = unsafe pointer
        unsafe message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        unsafe curl_easy_cleanup(pointer)
        unsafe curl_slist_free_all(fieldLines)
        unsafe curl_slist_free_all(resolution)
        unsafe message.deallocate()
    }

    /// libcurl's own set-up, once a process; it takes a while, and is safe from any thread where libcurl says
    /// "threadsafe".
    static let isLibraryReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// Tells it what to do, what not to do and, in `transfer`, whom to ask and to tell: that must live until the handle
    /// has left its `MultiHandle`. Called once. Errors: `.library`.
    mutating func configure(_ setup: TransferSetup, for transfer: Transfer) throws(HTTPClientError) {
        try unsafe set(CURLOPT_ERRORBUFFER, UnsafeMutableRawPointer(message))
        try restrict()
        try aim(setup)
        try limit(setup)
        try report(to: transfer)
    }

    // MARK: What libcurl may do

    /// Nothing but HTTP/1.1 to the URL's own host: no other protocol, proxy, redirect, stored credential or old TLS,
    /// whatever the environment and libcurl's defaults say.
    private borrowing func restrict() throws(HTTPClientError) {
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
        try set(CURLOPT_FOLLOWLOCATION, 0)
        try set(CURLOPT_PROXY, "")
        try set(CURLOPT_NOPROXY, "*")
        try set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
        try set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        try set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        try set(CURLOPT_HTTP09_ALLOWED, 0)
        try set(CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        try set(CURLOPT_SSL_VERIFYPEER, 1)
        try set(CURLOPT_SSL_VERIFYHOST, 2)
        try set(CURLOPT_NOSIGNAL, 1)
    }

    private mutating func aim(_ setup: TransferSetup) throws(HTTPClientError) {
        try set(CURLOPT_URL, setup.url.text)
        for line in setup.fieldLines {
            unsafe fieldLines = try EasyHandle.appended(fieldLines, line)
        }
        try unsafe set(CURLOPT_HTTPHEADER, UnsafeMutableRawPointer(fieldLines))
        if let entry = setup.resolution {
            unsafe resolution = try EasyHandle.appended(nil, entry)
            try unsafe set(CURLOPT_RESOLVE, UnsafeMutableRawPointer(resolution))
        }
        if let file = setup.settings.certificateAuthorities {
            try set(CURLOPT_CAINFO, file)
            try set(CURLOPT_CAPATH, nil as String?)
        }
        switch setup.upload {
        case .none: try set(CURLOPT_HTTPGET, 1)
        case .length(let count):
            try set(CURLOPT_UPLOAD, 1)
            try check(unsafe ccurl_set_offset(pointer, CURLOPT_INFILESIZE_LARGE, curl_off_t(count)))
        case .chunked: try set(CURLOPT_UPLOAD, 1)
        }
        if setup.method == .head, setup.upload == .none {
            try set(CURLOPT_NOBODY, 1)
        } else {
            try set(CURLOPT_CUSTOMREQUEST, setup.method.description)
        }
    }

    private borrowing func limit(_ setup: TransferSetup) throws(HTTPClientError) {
        let (limits, settings) = (setup.limits, setup.settings)
        try set(CURLOPT_TIMEOUT_MS, TransferSetup.milliseconds(setup.whole))
        try set(CURLOPT_CONNECTTIMEOUT_MS, TransferSetup.milliseconds(setup.connect))
        try set(CURLOPT_LOW_SPEED_LIMIT, limits.rate)
        try set(CURLOPT_LOW_SPEED_TIME, TransferSetup.seconds(limits.rateGrace))
        try set(CURLOPT_MAXAGE_CONN, TransferSetup.seconds(settings.idleTime))
        try set(CURLOPT_MAXLIFETIME_CONN, TransferSetup.seconds(settings.connectionLifetime))
        if setup.method != .head {
            // A length that is announced is refused at once; without one the octets are counted.
            let most = max(1, limits.body)
            try check(unsafe ccurl_set_offset(pointer, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(most)))
        }
    }

    private static func appended(
        _ list: UnsafeMutablePointer<curl_slist>?, _ line: String
    ) throws(HTTPClientError) -> UnsafeMutablePointer<curl_slist> {
        guard let longer = unsafe curl_slist_append(list, line) else {
            throw HTTPClientError(.library, "no memory for a request")
        }
        return unsafe longer
    }

    private borrowing func set(_ option: CURLoption, _ value: Int) throws(HTTPClientError) {
        try check(unsafe ccurl_set_long(pointer, option, value))
    }

    private borrowing func set(_ option: CURLoption, _ value: String?) throws(HTTPClientError) {
        try check(unsafe ccurl_set_text(pointer, option, value))
    }

    private borrowing func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) throws(HTTPClientError) {
        try check(unsafe ccurl_set_pointer(pointer, option, value))
    }

    /// A libcurl that does not know an option of the above must not be used.
    private borrowing func check(_ code: CURLcode) throws(HTTPClientError) {
        guard code != CURLE_OK else { return }
        throw HTTPClientError(
            .library, "libcurl refuses an option: \(unsafe String(cString: curl_easy_strerror(code)))")
    }

    // MARK: Whom it calls back

    private borrowing func report(to transfer: Transfer) throws(HTTPClientError) {
        let context = unsafe Unmanaged.passUnretained(transfer).toOpaque()
        try unsafe set(CURLOPT_PRIVATE, context)
        try unsafe set(CURLOPT_HEADERDATA, context)
        try check(
            unsafe ccurl_set_stream(pointer, CURLOPT_HEADERFUNCTION) { octets, size, count, context in
                let line = unsafe Array(UnsafeRawBufferPointer(start: octets, count: size * count))
                return unsafe EasyHandle.transfer(context).receiveHead(line) ? size * count : 0
            })
        try unsafe set(CURLOPT_WRITEDATA, context)
        try check(
            unsafe ccurl_set_stream(pointer, CURLOPT_WRITEFUNCTION) { octets, size, count, context in
                unsafe EasyHandle.receive(UnsafeRawBufferPointer(start: octets, count: size * count), context)
            })
        try unsafe set(CURLOPT_READDATA, context)
        try check(
            unsafe ccurl_set_stream(pointer, CURLOPT_READFUNCTION) { room, size, count, context in
                unsafe EasyHandle.send(UnsafeMutableRawBufferPointer(start: room, count: size * count), context)
            })
        try unsafe set(CURLOPT_SEEKDATA, context)
        try check(
            unsafe ccurl_set_seek(pointer) { context, offset, origin in
                let isFromStart = origin == SEEK_SET
                let isDone = unsafe isFromStart && EasyHandle.transfer(context).rewind(to: Int(offset))
                return isDone ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
            })
        try unsafe set(CURLOPT_OPENSOCKETDATA, context)
        try check(
            unsafe ccurl_set_open_socket(pointer) { context, purpose, target in
                unsafe EasyHandle.open(target, purpose, context)
            })
        try unsafe set(CURLOPT_RESOLVER_START_DATA, context)
        try check(
            unsafe ccurl_set_resolver_start(pointer) { _, _, context in
                unsafe EasyHandle.transfer(context).mayResolve ? 0 : 1
            })
    }

    fileprivate static func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer {
        guard let context = unsafe context else { preconditionFailure("a callback has lost its transfer") }
        return unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    }

    private static func receive(_ octets: UnsafeRawBufferPointer, _ context: UnsafeMutableRawPointer?) -> Int {
        let transfer = unsafe transfer(context)
        switch transfer.admit(octets.count) {
        case .take:
            unsafe transfer.receiveBody(Array(octets))
            return octets.count
        case .rest: return Int(CURL_WRITEFUNC_PAUSE)
        case .giveUp: return octets.count + 1
        }
    }

    private static func send(_ room: UnsafeMutableRawBufferPointer, _ context: UnsafeMutableRawPointer?) -> Int {
        switch unsafe transfer(context).nextToSend(room.count) {
        case .octets(let piece):
            unsafe room.copyBytes(from: piece)
            return piece.count
        case .rest: return Int(CURL_READFUNC_PAUSE)
        case .end: return 0
        }
    }

    /// The one place where a connection begins. Whatever is no TCP over IPv4 or IPv6 has no address to be asked about
    /// and gets no socket.
    private static func open(
        _ target: UnsafeMutablePointer<curl_sockaddr>?, _ purpose: curlsocktype, _ context: UnsafeMutableRawPointer?
    ) -> curl_socket_t {
        guard let target = unsafe target, purpose == CURLSOCKTYPE_IPCXN else { return CURL_SOCKET_BAD }
        let address = unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { octets -> IPAddress? in
            let count = unsafe ccurl_tcp_address(target, octets.baseAddress)
            let bits = unsafe octets.prefix(Int(count)).reduce(0 as UInt128) { $0 << 8 | UInt128($1) }
            return count == 16 ? IPAddress(v6: bits) : count == 4 ? IPAddress(v4: UInt32(bits)) : nil
        }
        guard unsafe transfer(context).mayConnect(to: address) else { return CURL_SOCKET_BAD }
        return unsafe ccurl_open_socket(target)
    }

    // MARK: While it runs

    /// Sets which directions rest. What libcurl kept of the body is handed over from inside this call; false if that
    /// was not taken, which libcurl then does not treat as the transfer's end.
    borrowing func rest(receiving: Bool, sending: Bool) -> Bool {
        let action = (receiving ? CURLPAUSE_RECV : 0) | (sending ? CURLPAUSE_SEND : 0)
        return unsafe curl_easy_pause(pointer, action) == CURLE_OK
    }

    /// How many connections were opened for it: none if one was used again.
    var connectionsOpened: Int {
        var count = 0
        unsafe ccurl_get_long(pointer, CURLINFO_NUM_CONNECTS, &count)
        return count
    }

    /// Of a handle that has finished: the transfer it belongs to.
    static func owner(of pointer: UnsafeMutableRawPointer) -> Transfer {
        var context: UnsafeMutableRawPointer?
        unsafe ccurl_get_pointer(pointer, &context)
        return unsafe transfer(context)
    }

    /// What a result of libcurl's means, in its own words.
    borrowing func result(_ code: CInt) -> Result<Void, HTTPClientError> {
        guard code != CURLE_OK.rawValue else { return .success(()) }
        let code = CURLcode(UInt32(code))
        guard code != CURLE_OUT_OF_MEMORY else {
            // What libcurl calls a line of a head that is longer than the 100 KiB it takes.
            return .failure(HTTPClientError(.tooLarge, "a line of the answer's head is too long, or memory is short"))
        }
        let text = unsafe String(cString: message)
        let words = unsafe text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
        return .failure(HTTPClientError(EasyHandle.meaning(of: code), words))
    }

    private static func meaning(of code: CURLcode) -> HTTPClientError.Code {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: .resolveFailed
        case CURLE_COULDNT_CONNECT: .connectFailed
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_SSL_CERTPROBLEM, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CLIENTCERT:
            .tlsFailed
        case CURLE_OPERATION_TIMEDOUT: .timedOut
        case CURLE_FILESIZE_EXCEEDED: .tooLarge
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING, CURLE_HTTP2,
            CURLE_HTTP2_STREAM:
            .protocolViolation
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR: .connectionLost
        case CURLE_SEND_FAIL_REWIND: .bodyFailed
        case CURLE_URL_MALFORMAT: .invalidURL
        default: .library
        }
    }
}
