/// Streams of every kind: good, bad and cut off. The tests of splits and mutations start from them.
enum RequestCorpus {
    static let accepted: [String] = [
        "GET / HTTP/1.1\nHost: a\n\n".wire,
        "GET /v1/x?y=1&z HTTP/1.1\nHost: a:80\nX-Empty:\nX-Space: \t b \t\n\n".wire,
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /p HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello".wire,
        "POST /p HTTP/1.1\nHost: a\nContent-Length: 0\n\n".wire,
        "POST /p HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 5\n\nhello".wire,
        "POST /p HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhello\n6;a=\"b\"\n world\n0\n\n".wire,
        "POST /p HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n00A\n0123456789\n0\nX-Sum: 1\nHost: evil\n\n".wire,
        "PUT /a HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}GET /b HTTP/1.1\nHost: b\nConnection: close\n\n".wire,
        "GET / HTTP/1.0\n\n".wire,
        "GET / HTTP/1.0\nConnection: keep-alive\n\n".wire,
        "GET / HTTP/1.7\nHost: a\n\n".wire,
        "GET http://h.example:8080/a/b?c HTTP/1.1\nHost: other\n\n".wire,
        "GET HTTPS://h.example HTTP/1.1\nHost: other\n\n".wire,
        "OPTIONS * HTTP/1.1\nHost: a\n\n".wire,
        "POST /p HTTP/1.1\nHost: [::1]:80\nExpect: 100-Continue\nContent-Length: 1\n\nx".wire,
        "BREW /pot HTTP/1.1\nHost:\nX-Latin: \u{e9}\n\n".wire,
    ]

    static let cutOff: [String] = [
        "", "\r\n", "GE", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nHost: a\r\n\r",
        "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhell".wire,
        "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\nhel".wire,
        "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\nX: y\n".wire,
    ]

    static let refused: [(request: String, code: Int)] =
        head.map { ($0.0.wire, $0.1) } + framing.map { ($0.0.wire, $0.1) } + chunks.map { (chunked($0.0), $0.1) } + raw

    private static let head: [(String, Int)] = [
        ("GET / HTTP/1.1\nHost : a\n\n", 400),
        ("GET / HTTP/1.1\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nHost: a\n\n", 400),
        ("GET / HTTP/1.0\nHost: a\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\nHost: a b\n\n", 400),
        ("GET / HTTP/1.1\nHost: a/b\n\n", 400),
        ("GET / HTTP/1.1\nHost: u@a\n\n", 400),
        ("GET / HTTP/1.1\nHost: a:b\n\n", 400),
        ("GET / HTTP/1.1\nHost: a:80:80\n\n", 400),
        ("GET / HTTP/1.1\nHost: [::1\n\n", 400),
        ("GET / HTTP/1.1\nHost: a, b\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nX: y\n folded\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nX: y\n\tfolded\n\n", 400),
        ("GET / HTTP/1.1\n Host: a\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\n: empty\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nno colon\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nX(y): z\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nX: a\u{0}b\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nX: a\u{1}b\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\nX: a\u{7F}b\n\n", 400),
        ("GET  / HTTP/1.1\nHost: a\n\n", 400),
        ("GET /  HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1 \nHost: a\n\n", 400),
        (" GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET /a b HTTP/1.1\nHost: a\n\n", 400),
        ("GET /\u{e9} HTTP/1.1\nHost: a\n\n", 400),
        ("GET /#f HTTP/1.1\nHost: a\n\n", 400),
        ("GET a HTTP/1.1\nHost: a\n\n", 400),
        ("GET * HTTP/1.1\nHost: a\n\n", 400),
        ("GET http:// HTTP/1.1\nHost: a\n\n", 400),
        ("GET http://u@h/ HTTP/1.1\nHost: a\n\n", 400),
        ("GET ftp://h/ HTTP/1.1\nHost: a\n\n", 400),
        ("GET /\n\n", 400),
        ("GET / http/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.10\nHost: a\n\n", 400),
        ("GET / HTTP/11\nHost: a\n\n", 400),
        ("G@T / HTTP/1.1\nHost: a\n\n", 400),
        ("\n\n\n\n\nGET / HTTP/1.1\nHost: a\n\n", 400),
        ("PRI * HTTP/2.0\n\nSM\n\n", 505),
        ("GET / HTTP/2.0\nHost: a\n\n", 505),
        ("CONNECT a:80 HTTP/1.1\nHost: a\n\n", 501),
        ("POST / HTTP/1.1\nHost: a\nExpect: 200-ok\nContent-Length: 1\n\n", 417),
    ]

    private static let framing: [(String, Int)] =
        [
            "+5", "-0", "-5", "0x5", "5_0", "05", "00", "", "5 5", "5,", "5,6", "5.0", "5a", "٥", "9223372036854775808",
            "99999999999999999999999999",
        ].map { ("POST / HTTP/1.1\nHost: a\nContent-Length: \($0)\n\n", 400) } + [
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 6\n\nhello!", 400),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 5\n\n0\n\n", 400),
            ("POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, gzip\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: identity\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, chunked\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: \"chunked\"\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked;q=1\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding:\n\n", 400),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n", 501),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: x-own\nTransfer-Encoding: chunked\n\n", 501),
        ]

    private static let chunks: [(String, Int)] = [
        "+5\nhello\n", "-5\nhello\n", "0x5\nhello\n", "5_0\nhello\n", " 5\nhello\n", "5 \nhello\n", "5 ;a\nhello\n",
        "\nhello\n", ";a\nhello\n", "g\n", "ffffffffffffffff\n", "8000000000000000\n", "00000000000000005\nhello\n",
        "5\nhello5\n", "5\nhelloo\n0\n\n", "5\nhell\n0\n\n", "5;\u{1}\nhello\n", "0\nBad Name: x\n\n", "0\n X: y\n\n",
    ].map { ($0, 400) }

    private static let raw: [(request: String, code: Int)] = [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
        ("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}", 400),
        ("{\"no\":\"http\"}", 400),
        (chunked("") + "5\nhello\r\n0\r\n\r\n", 400),
        (chunked("") + "5\rhello\r\n0\r\n\r\n", 400),
        (chunked("") + "5\r\nhello\n0\r\n\r\n", 400),
        (chunked("") + "5\r\nhello\r0\r\n\r\n", 400),
        (chunked("") + "5;a\nb\r\nhello\r\n0\r\n\r\n", 400),
        (chunked("") + "0\n\r\n", 400),
        (chunked("") + "0\r\nX: y\n\r\n", 400),
    ]

    static func chunked(_ body: String) -> String {
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body.wire
    }

    static var all: [[UInt8]] {
        (accepted + cutOff + refused.map(\.request)).map { Array($0.utf8) }
    }
}
