-- One event a request, each with an id of its own. wrk gives each thread its own state; `setup` numbers them.
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    count = 0
    wrk.method = "POST"
    wrk.headers["Content-Type"] = args[1]
    if args[2] then wrk.headers["Authorization"] = "Bearer " .. args[2] end
end

function request()
    count = count + 1
    local id = count * 16 + number
    return wrk.format(nil, nil, nil, string.format(
        '{"id":%d,"at":"2026-03-01T10:%02d:%02d.%03dZ","user_id":%d,"kind":"click",' ..
        '"path":"/catalog/products/%08x/reviews","status":200,"latency_ms":%.3f,"ok":true}\n',
        id, id / 60000 % 60, id / 1000 % 60, id % 1000, id * 2654435761 % 1099511627776, id % 4294967296,
        id % 1000000 / 1000))
end

-- Failures are counted here too: wrk's own summary names only some kinds.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d %.3f %.3f\n", summary.requests, summary.duration,
        errors.status, errors.connect + errors.read + errors.write, errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
