private import CCurl
import EventLoop

/// libcurl's `CURLM`: transfers and their connections, driven by a set of descriptors and a deadline. The only file
/// that calls it; all on the loop's thread. It is closed before its last reference goes, and transfers leave it before.
@safe final class MultiHandle {
    /// What libcurl wants to be told about; its callbacks change it.
    private final class Watch {
        let set: DescriptorSet
        var deadline = LoopTime.never

        init(_ set: DescriptorSet) { self.set = set }
    }

    /// Nil once it is closed; libcurl then answers every call with a failure.
    private var pointer: UnsafeMutableRawPointer?
    private let watch: Watch

    /// Errors: `.library`.
    init(watchedBy set: DescriptorSet, idleConnections: Int) throws(HTTPClientError) {
        guard let pointer = unsafe curl_multi_init() else {
            throw HTTPClientError(.library, "no memory for transfers")
        }
        unsafe self.pointer = unsafe pointer
        watch = Watch(set)
        let context = unsafe Unmanaged.passUnretained(watch).toOpaque()
        let codes = unsafe [
            ccurl_multi_set_pointer(pointer, CURLMOPT_SOCKETDATA, context),
            ccurl_multi_set_socket(pointer) { _, fd, what, context, _ in
                unsafe MultiHandle.watch(context).map { MultiHandle.update($0, fd, what) } ?? -1
            },
            ccurl_multi_set_pointer(pointer, CURLMOPT_TIMERDATA, context),
            ccurl_multi_set_timer(pointer) { _, milliseconds, context in
                guard let watch = unsafe MultiHandle.watch(context) else { return -1 }
                let delay = LoopInterval(.milliseconds(milliseconds))
                watch.deadline = milliseconds < 0 ? .never : .now + delay
                return 0
            },
            ccurl_multi_set_long(pointer, CURLMOPT_MAXCONNECTS, max(1, idleConnections)),
            ccurl_multi_set_long(pointer, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING)),
        ]
        guard codes.allSatisfy({ $0 == CURLM_OK }) else {
            throw HTTPClientError(.library, "libcurl refuses an option of its transfers")
        }
    }

    deinit {
        unsafe assert(pointer == nil, "libcurl's transfers were dropped without close()")
    }

    /// Closes every connection, then the set they were watched by.
    func close() {
        unsafe curl_multi_cleanup(pointer)
        unsafe pointer = nil
        watch.set.close()
    }

    /// When `act` wants to be called although no descriptor is ready.
    var deadline: LoopTime { watch.deadline }

    /// False if libcurl refuses.
    func add(_ transfer: borrowing EasyHandle) -> Bool {
        unsafe curl_multi_add_handle(pointer, transfer.pointer) == CURLM_OK
    }

    /// Also ends a transfer that is under way, by closing its connection.
    func remove(_ transfer: borrowing EasyHandle) {
        unsafe curl_multi_remove_handle(pointer, transfer.pointer)
    }

    /// Does what a descriptor's readiness allows. False if libcurl is broken.
    func act(on event: DescriptorSet.Event) -> Bool {
        let bits =
            (event.isReadable ? CURL_CSELECT_IN : 0) | (event.isWritable ? CURL_CSELECT_OUT : 0)
            | (event.isBroken ? CURL_CSELECT_ERR : 0)
        var running: CInt = 0
        return unsafe curl_multi_socket_action(pointer, event.fd, bits, &running) == CURLM_OK
    }

    /// Does what is due. False if libcurl is broken.
    func actOnTime() -> Bool {
        watch.deadline = .never
        var running: CInt = 0
        return unsafe curl_multi_socket_action(pointer, CURL_SOCKET_BAD, 0, &running) == CURLM_OK
    }

    /// A transfer that is over, and libcurl's result; nil when there is none.
    func nextFinished() -> (transfer: Transfer, code: CInt)? {
        var code = CURLE_OK
        guard let easy = unsafe ccurl_multi_finished(pointer, &code) else { return nil }
        return unsafe (EasyHandle.owner(of: easy), CInt(code.rawValue))
    }

    private static func watch(_ context: UnsafeMutableRawPointer?) -> Watch? {
        unsafe context.map { unsafe Unmanaged<Watch>.fromOpaque($0).takeUnretainedValue() }
    }

    /// 0, or -1 to tell libcurl that it cannot go on.
    private static func update(_ watch: Watch, _ fd: curl_socket_t, _ what: CInt) -> CInt {
        if what == CURL_POLL_REMOVE {
            watch.set.forget(fd)
            return 0
        }
        do throws(EventLoopError) {
            let reading = what == CURL_POLL_IN || what == CURL_POLL_INOUT
            let writing = what == CURL_POLL_OUT || what == CURL_POLL_INOUT
            try watch.set.watch(fd, reading: reading, writing: writing)
            return 0
        } catch {
            return -1
        }
    }
}
