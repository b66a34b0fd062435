-- For wrk: `wrk ... URL -- [BYTES]`: GET, or POST of so many bytes. The figures as one line.

function init(arguments)
    if arguments[1] then
        wrk.method = "POST"
        wrk.body = string.rep("x", tonumber(arguments[1]))
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    print(string.format("figures %d %d %d %d %d %d %d", summary.requests, summary.duration,
        errors.connect + errors.read + errors.write + errors.status, errors.timeout,
        latency:percentile(50), latency:percentile(99), latency.max))
end
