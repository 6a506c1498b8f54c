// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is held to the same language rules; `unsafe` then marks the audit list.
let swift: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// Of modules whose state belongs to one event loop's thread and is touched many times a request: release builds do not
/// check at run time that no two accesses to a variable overlap, which took a tenth of a request; debug builds, and so
/// all tests, do.
let onLoops: [SwiftSetting] =
    swift + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

func shared(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], settings: [SwiftSetting] = swift
) -> Target {
    .target(name: name, dependencies: dependencies, path: "Shared/\(name)", exclude: exclude, swiftSettings: settings)
}

func system(_ name: String, pkgConfig: String? = nil, apt: String) -> Target {
    .systemLibrary(name: name, path: "Shared/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

func service(_ name: String, _ dependencies: [Target.Dependency]) -> [Target] {
    [
        .target(
            name: name, dependencies: dependencies, path: "Services/\(name)", exclude: ["Main"],
            swiftSettings: swift),
        .executableTarget(
            name: "millrace-\(name.lowercased())", dependencies: [.byName(name: name), "CAllocator"],
            path: "Services/\(name)/Main", swiftSettings: swift),
    ]
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests", exclude: exclude,
        swiftSettings: swift)
}

let systemLibraries: [Target] = [
    system("CPostgres", pkgConfig: "libpq", apt: "libpq-dev"),
    system("CZstd", apt: "libzstd-dev"),
    system("CZlib", apt: "zlib1g-dev"),
    system("COpenSSL", apt: "libssl-dev"),
    system("CCurl", apt: "libcurl4-openssl-dev"),
    system("CPgQuery", apt: "libpg-query-dev"),
    system("CPCRE2", apt: "libpcre2-dev"),
    system("CGMP", apt: "libgmp-dev"),
]

let shims: [Target] = [
    .target(name: "CLinux", path: "Shared/CLinux"),
    .target(name: "CAllocator", path: "Shared/CAllocator", linkerSettings: [.linkedLibrary("jemalloc")]),
    .target(
        name: "CSimdJSON", path: "Shared/CSimdJSON", cxxSettings: [.unsafeFlags(["-O3"])],
        linkerSettings: [.linkedLibrary("simdjson")]),
    .target(name: "CTimeZone", path: "Shared/CTimeZone", linkerSettings: [.linkedLibrary("cctz")]),
    .target(name: "CMigrationFiles", path: "Shared/CMigrationFiles"),
]

let modules: [Target] = [
    shared("Buffers", []),
    shared("Observability", ["Buffers", "CLinux"]),
    shared("Configuration", ["Observability"]),
    shared("Lifecycle", ["CLinux", "Observability"]),
    shared("EventLoop", ["CLinux", "Lifecycle", "Observability"], exclude: ["README.md"], settings: onLoops),
    shared("JSON", []),
    shared("HTTP", ["Buffers", "JSON", "COpenSSL", "CZlib", "CZstd"], settings: onLoops),
    shared(
        "HTTPServer",
        [
            "Buffers", "HTTP", "JSON", "EventLoop", "Lifecycle", "Observability", "Configuration", "CLinux", "COpenSSL",
        ], exclude: ["README.md"], settings: onLoops),
    shared(
        "HTTPClient", ["CCurl", "Configuration", "HTTP", "EventLoop", "Lifecycle", "Observability"],
        exclude: ["README.md"]),
    shared(
        "Tracing", ["Configuration", "EventLoop", "HTTP", "HTTPClient", "JSON", "Lifecycle", "Observability"],
        exclude: ["README.md"]),
    shared("Postgres", ["CPostgres", "EventLoop", "Lifecycle", "Observability"], exclude: ["README.md"]),
    shared("Migrations", ["Postgres", "Observability", "CMigrationFiles", "COpenSSL"], exclude: ["SQL"]),
    shared("Partitions", ["Postgres", "Observability"]),
    shared(
        "Queue", ["Partitions", "Postgres", "EventLoop", "Lifecycle", "Observability", "JSON", "CTimeZone"],
        exclude: ["README.md"]),
    shared("Records", ["JSON", "CSimdJSON", "CZstd", "CZlib", "COpenSSL", "CTimeZone"], exclude: ["README.md"]),
    shared("Expressions", ["Records", "CGMP", "CPCRE2", "COpenSSL"], exclude: ["README.md"]),
    shared(
        "Access",
        [
            "Postgres", "HTTP", "HTTPClient", "HTTPServer", "JSON", "Lifecycle", "Observability",
            "COpenSSL",
        ], exclude: ["README.md"]),
    shared(
        "Platform",
        [
            "HTTPServer", "HTTP", "HTTPClient", "Postgres", "Queue", "Access", "Configuration", "EventLoop",
            "Lifecycle", "Migrations", "Observability", "Tracing", "CLinux", "COpenSSL",
        ]),
    shared("Catalog", ["Postgres", "HTTP", "Records", "JSON"]),
]

let base: [Target.Dependency] = [
    "HTTPServer", "HTTP", "JSON", "Postgres", "Queue", "Records", "Access", "Catalog", "EventLoop", "Lifecycle",
    "Configuration", "Observability", "Platform",
]

let services: [Target] = [
    service("Ingest", base),
    service("Transform", base + ["Expressions"]),
    service("Store", base + ["Expressions", "Migrations", "Partitions"]),
    service("Analytics", base + ["CPgQuery", "Expressions"]),
].flatMap { $0 }

let testTargets: [Target] = [
    // Empty but for the thread sanitizer; what is tested with it, and starts threads, links it.
    .target(name: "CThreadSanitizer", path: "Tests/ThreadSanitizer"),
    .target(
        name: "TestSupport",
        dependencies: ["Postgres", "Migrations", "EventLoop", "Lifecycle", "Observability", "CThreadSanitizer"],
        path: "Tests/Support", swiftSettings: swift),
    tests("Buffers", ["Buffers"]),
    tests("Observability", ["Buffers", "Observability"]),
    tests("Configuration", ["Configuration", "Observability"]),
    tests("Lifecycle", ["Lifecycle", "Observability"]),
    tests("EventLoop", ["EventLoop", "Lifecycle", "Observability", "CLinux"]),
    tests(
        "Tracing",
        [
            "Tracing", "Configuration", "EventLoop", "HTTP", "HTTPServer", "JSON", "Lifecycle", "Observability",
            "TestSupport",
        ]),
    tests("JSON", ["JSON"]),
    .target(
        name: "HTTPCorpus", dependencies: ["HTTP", "HTTPServer", "JSON"], path: "Tests/HTTPCorpus",
        exclude: ["README.md", "cases"], swiftSettings: swift),
    tests("HTTP", ["HTTP", "JSON", "HTTPCorpus"]),
    tests(
        "HTTPServer",
        [
            "HTTPServer", "HTTP", "JSON", "Records", "EventLoop", "Lifecycle", "Observability", "Configuration",
            "CLinux", "HTTPCorpus", "TestSupport",
        ]),
    tests(
        "HTTPClient",
        [
            "HTTPClient", "HTTPServer", "HTTP", "Configuration", "EventLoop", "Lifecycle", "Observability", "CLinux",
            "CNameLookup", "TestSupport",
        ],
        exclude: ["CNameLookup"]),
    .target(name: "CNameLookup", path: "Tests/HTTPClientTests/CNameLookup"),
    tests("Postgres", ["Postgres", "EventLoop", "Lifecycle", "TestSupport"]),
    tests("Migrations", ["Migrations", "Observability", "Postgres", "TestSupport"]),
    .executableTarget(
        name: "QueueCrasher",
        dependencies: ["Queue", "Postgres", "EventLoop", "Lifecycle", "Observability", "CThreadSanitizer"],
        path: "Tests/QueueCrasher", swiftSettings: swift),
    tests(
        "Queue",
        [
            "Queue", "QueueCrasher", "JSON", "Migrations", "Postgres", "EventLoop", "Lifecycle", "Observability",
            "TestSupport",
        ], exclude: ["README.md"]),
    tests("Records", ["Records", "JSON", "Postgres", "TestSupport"]),
    tests("Expressions", ["Expressions", "Records", "Postgres", "TestSupport"]),
    tests(
        "Platform",
        ["HTTPClient", "Ingest", "Transform", "Store", "Analytics", "Migrations", "TestSupport"] + base),
    tests(
        "Access",
        [
            "Access", "EventLoop", "HTTP", "HTTPClient", "HTTPServer", "JSON", "Lifecycle", "Migrations",
            "Observability", "Postgres", "TestSupport",
        ]),
    tests("Catalog", ["Catalog", "Postgres", "Records", "TestSupport"]),
    tests("Ingest", ["Ingest", "Migrations", "TestSupport"] + base),
    tests("Transform", ["Transform", "Expressions", "Migrations", "TestSupport"] + base),
    tests("Store", ["Store", "Expressions", "Partitions", "TestSupport"] + base),
    tests("Analytics", ["Analytics", "TestSupport"] + base),
    tests("Tidy", ["Ingest", "Transform", "Store", "Analytics", "HTTPServer"]),
]

/// Measured by `swift run -c release <name>`.
let benchmarks: [Target] = [
    .target(name: "CAllocationCount", path: "Tests/Benchmarks/CAllocationCount"),
    .executableTarget(
        name: "records-bench", dependencies: ["Records", "CAllocationCount"], path: "Tests/Benchmarks/Records",
        swiftSettings: swift),
    .target(
        name: "CBareParse", path: "Tests/Benchmarks/CBareParse", cxxSettings: [.unsafeFlags(["-O3"])],
        linkerSettings: [.linkedLibrary("simdjson")]),
    .executableTarget(
        name: "transform-bench", dependencies: ["Transform", "Records", "JSON", "CAllocationCount", "CBareParse"],
        path: "Tests/Benchmarks/Transform", swiftSettings: swift),
    .executableTarget(
        name: "queue-bench", dependencies: ["Queue", "Postgres", "EventLoop", "Lifecycle", "Observability"],
        path: "Tests/Benchmarks/Queue", swiftSettings: swift),
]

let package = Package(
    name: "millrace",
    targets: systemLibraries + shims + modules + services + testTargets + benchmarks,
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c2x,
    cxxLanguageStandard: .cxx17
)
