-- Sixteen requests at a time on each connection.
function init(args)
    local request = wrk.format("GET", wrk.path)
    batch = string.rep(request, 16)
end

function request()
    return batch
end
