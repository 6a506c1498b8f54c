/// Keys and tokens made with OpenSSL's command line; `exp` is 2000000000, in 2033.
enum TokenSamples {
    /// A modulus of 2048 bits, and one of 1024.
    static let modulus =
        "kwzm3FlgqUjhnBY8AQ6aYSM4iNC8Kl9J9wcgqhXrh_CymmfmfrtLF2GkBvuGuMNzb1DJEFer7PZouX_S-A84qzD9zP"
        + "FdQoJh_uHRD7-Y0RBgU82cHDIURo5LZCF9c7TxjWbqaxQmQ8nL7eAC5ECLhys2_tc8Ixv3nZWG-81up0ljA9AGZGph"
        + "JRbO2VIEIfZYYtxsbqH72cANNwC6DU81XWUnX1MhzDW5Pz_6i1hLhvn8OncCeuMVQ51AUiiPLmqB61fgmJUNc_Ndpm"
        + "N6X8torjW_cwxRW8WN8EV8xRczrPtOTJ84BtzuwlEkKjoRZtIukf_7UjaiUdGOym9BJQ38lQ"
    static let weakModulus =
        "l2SJn90r4IeoIhwn0WV4tHbhzfHWcCv9QCwDrsiZu-U09T3wln-vEBXf1B1YooOrfpbF2YNAwFkKzuRnoSFUzmyHiP"
        + "CLoxXlKYjUu6CdPyq7Pp453I-4HxAKmVvImK3j_IvyB4cJYSaulXIjWFrR0Fc0I9PczeKExaaO7XG1XKM"
    /// A point of P-256.
    static let x =
        "GGhD4_H-1y-bQbtoDwMDpEMM9J0pmDkTJTJWAXx0VgQ"
    static let y =
        "8SW7rWg9ZjrRvmTRGviUlNkPZ8AdjqvsZUA2UWnBXHw"
    /// RS256 with kid `r1`, and ES256 with kid `e1`.
    static let rsa =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoibW"
        + "lsbHJhY2UiLCJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsInNjb3BlIjoib3BlbmlkIGRhdGFzZXRzOnJlYWQg"
        + "aW5nZXN0OndyaXRlL3dlYl8qIn0.dAvH_FqXmmIhrK4kHGvS0iIbSxODo765BWlR98jpDdJMLtGf07HPdHwbnxNamS"
        + "s_E11HcOi_9GIpSbkG7ZxhRNIIV_vrAFzvT1nufT3DLUesDn0LDYuqbFYC0uEBpfFFAqcwspMuDvs2Sjpu0q1sisEe"
        + "et3QwOEL3_RCoUl-Xxl-WFoHkH-RAy3sVdkEMQslGyO87MqCwtkcBE4TfkiwlPeTv-VnjTx3BlLftyN1yi_716QmEU"
        + "yMYRYcS-Eptdm5KnK8yjzSfo9MEZA2v4j9hkVI6OjWII4x_uRR2IEQrU50RTyr_qcq-uzxZ9w-cIHALjjrfHpp5u_Y"
        + "QZmeo4Nf-g"
    static let ec =
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUxIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoibW"
        + "lsbHJhY2UiLCJzdWIiOiJhZGEiLCJleHAiOjIwMDAwMDAwMDAsInNjb3BlIjoib3BlbmlkIGRhdGFzZXRzOnJlYWQg"
        + "aW5nZXN0OndyaXRlL3dlYl8qIn0.Gb_8QBpQSJ7j_Fd32P6jbrJ6HP4qu4MivM68QbeHJGI9zc86jrj13PbXM81LlW"
        + "Cxdp8l6SQZFtBM3CF3QptmEQ"
}
