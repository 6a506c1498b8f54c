/// Values of types that only live in expressions, and texts that some functions want.
extension ValuePool {
    static let localTimestamps = [
        "2000-01-01 00:00:00", "2024-02-29 12:34:56.789", "1999-12-31 23:59:59.999999", "0001-01-01 00:00:00",
        "infinity", "-infinity", "2023-03-26 02:30:00", "2023-10-29 02:30:00", "2024-03-10 02:15:00",
        "2024-11-03 01:30:00", "0044-03-15 12:00:00 BC", "2024-12-30 06:07:08+05", "1883-11-18 12:03:57",
        "9999-12-31 23:59:59", "1942-06-01 08:00:00", "2500-07-01 12:00:00",
    ]

    static let intervals = [
        "1 day", "-1 month", "1 year 2 mons 3 days 04:05:06.789", "90 minutes", "1.5 days", "2 weeks", "100 years",
        "-00:00:01", "0", "26:00:00", "-40 days", "35 days 30:00:00", "1 mon -35 days", "-1 mon 35 days -25:00:00",
        "02:00", "-03:30:00", "00:00:00.000001", "15 minutes", "1 month 1 day", "1234 years 11 mons", "-13 mons 1 day",
        "1 week 03:00:00",
    ]

    static let byteas = [
        "\\x", "\\x00", "\\xdeadbeef", "abc", "a\\\\b", "\\001\\377", "\\xc3a4c3b6", "\\xff", "Hello World",
        "\\x616263", "x y z", "\\x0a0d09",
    ]

    static let arrays = [
        "{}", "{a}", "{a,b}", "{b,2,c}", "{b,-1}", "{0}", "{1}", "{-1}", "{NULL}", "{a,NULL}", "{aa}", "{\"k\u{e9}y\"}",
        "{\"\"}", "{a b, \"c,d\" }", "{b, +1}", "{b,1x}", "{zz,b}", "{\"a\\\"b\",\"c\\\\d\"}", "{null,\"null\"}",
    ]

    /// What languages other than English write, whose case and order are not those of their bytes.
    static let words = [
        "Ärger", "ärger", "ÄRGER", "Arger", "argon", "Straße", "STRASSE", "strasse", "STRAẞE", "ΣΊΣΥΦΟΣ", "σίσυφος",
        "ΑΣ", "ασ", "İstanbul", "ıI", "ǆungla", "Ǆ", "ﬁn", "éa", "Éb", "eb", "e\u{301}a", "Zoo", "zoo", "aB", "Ab",
        "ab",
        "a b", "a-b", "o'brien-smith", "foo_bar 1abc 2", "日本", "😀 x", "\u{212B}", "Å", "", "ŉ", "10", "9", "Łódź",
        "%a_",
        "наука", "Наука",
    ]

    static let keys = ["a", "b", "aa", "0", "1", "-1", "c", "", "k\u{e9}y"]

    static let small = ["0", "1", "2", "3", "4", "5", "7", "12", "-1", "-2", "-5", "1", "2"]

    /// Years and code points.
    static let numbers = [
        "1", "2", "3", "12", "31", "65", "97", "228", "1999", "2000", "2024", "8364", "128512", "-44", "0", "9999",
    ]

    static let zones = [
        "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
        "Pacific/Apia", "America/St_Johns", "Africa/Monrovia", "Etc/GMT+5", "EST", "CEST", "PST", "Z", "ist",
        "europe/paris", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Nowhere/Land", "Europe/Dublin",
        "Antarctica/Troll", "EST5EDT", "Asia/Tehran",
    ]

    static let coded = [
        "", "616263", "DEADbeef", "6", "zz", "YWJj", "YWI=", "YQ==", "YQ", "Y Q = =", "aGVsbG8gd29ybGQ=", "a\\\\b",
        "\\101\\102", "\\9", "plain", "4a 4b", "=", "YWJj=", "////",
    ]

    static let pictures = [
        "YYYY-MM-DD HH24:MI:SS", "YYYY-MM-DD\"T\"HH24:MI:SS.US", "Day, DD Month YYYY", "FMDay, FMDDth FMMonth FMYYYY",
        "DY DD MON YY", "HH12:MI AM", "hh:mi p.m.", "IYYY-\"W\"IW-ID", "DDD D J Q CC W WW", "Y,YYY BC",
        "SSSS MS FF1 FF3",
        "SSSSS TZ tz OF TZH:TZM", "RM rm Month month MONTH", "YYYTH yyth Yth", "FMHH12 FMMI FMSS FMMS", "IDDD IYY IY I",
        "A.D. b.c. ad", "DDTH ddth DDDth HH24TH", "\"a\\\"b\" c\\d \\\"", "", "d. mm. yyyy", "FF2 FF4 FF5 FF6",
        "Mon mon DAY day Dy", "FMYYYY FMCC FMDDD FMWW FMIW FMOF", "xyz 123 äöü", "FMRM FMQ", "dd/mm/yy",
    ]

    /// Texts with formats that read them.
    static let readings: [(String, String)] = [
        ("2024-02-29", "YYYY-MM-DD"), ("29.02.2024", "DD.MM.YYYY"), ("2023-02-29", "YYYY-MM-DD"),
        ("20240229", "YYYYMMDD"), ("2024-02-29 13:14:15", "YYYY-MM-DD HH24:MI:SS"),
        ("2024-02-29T13:14:15.678", "YYYY-MM-DD\"T\"HH24:MI:SS.MS"), ("Feb 29 2024", "Mon DD YYYY"),
        ("february 29, 2024", "Month DD, YYYY"), ("Thu, 29 Feb 2024", "DY, DD MON YYYY"), ("1/2/24", "MM/DD/YY"),
        ("1:05 pm 3-4-99", "HH12:MI AM MM-DD-YY"), ("12:30 a.m.", "HH:MI A.M."), ("13:30 PM", "HH12:MI PM"),
        ("2024-060", "YYYY-DDD"), ("44-03-15 BC", "YYYY-MM-DD BC"), ("86399", "SSSS"),
        ("2024-02-29 13:14:15.123456", "YYYY-MM-DD HH24:MI:SS.US"),
        ("2024-02-29 13:14:15.5", "YYYY-MM-DD HH24:MI:SS.FF3"),
        ("2024-02-29 13:14 +05:30", "YYYY-MM-DD HH24:MI TZH:TZM"), ("2024-02-29 13:14-08", "YYYY-MM-DD HH24:MITZH"),
        ("  2024 -  2 - 9  ", "YYYY-MM-DD"), ("2024 2 9", "FMYYYY FMMM FMDD"), ("", "YYYY"), ("abc", "YYYY"),
        ("2024-13-01", "YYYY-MM-DD"), ("2024-00-00", "YYYY-MM-DD"), ("25:00", "HH24:MI"),
        ("1st of May 2024", "DDth \"of\" Mon YYYY"),
        ("May 7 24", "Month DD YY"), ("20000-1-1", "YYYY-MM-DD"), ("2024/02/29", "YYYY-MM-DD"), ("3 2024", "Q YYYY"),
        ("99999999999", "YYYY"), ("-44-03-15", "YYYY-MM-DD"), ("24", "YY"), ("5", "Y"), ("123", "YYY"),
        ("12 12", "DD DD"),
        ("12 13", "DD DD"), ("0/0", "MM/DD"), ("2024-2-29 1:2:3", "YYYY-MM-DD HH24:MI:SS"),
    ]
}
