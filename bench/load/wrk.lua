-- Requests of wrk: the same request repeatedly, or completes with unique identifiers.
-- Arguments: method, path, actions per request (0: no body), prefix of identifiers, file of tokens, extra header lines,
-- file of paths (instead of path and tokens).
-- Use one thread: the counter is global. Heads are built once per token, so a request takes one concatenation.

local heads, tails, constant = {}, {}, nil
local counter, items, prefix = 0, 0, ""

local function head(method, path, extra, token)
  local lines = { method .. " " .. path .. " HTTP/1.1", "Host: " .. wrk.headers["Host"] }
  for line in extra:gmatch("[^\n]+") do lines[#lines + 1] = line end
  if token then lines[#lines + 1] = "Authorization: Bearer " .. token end
  return table.concat(lines, "\r\n") .. "\r\n"
end

function init(args)
  items, prefix = tonumber(args[3]), args[4]
  local extra = args[6] or ""
  if (args[7] or "") ~= "" then
    for path in io.lines(args[7]) do heads[#heads + 1] = head(args[1], path, extra, nil) .. "\r\n" end
    return
  elseif args[5] ~= "" then
    for token in io.lines(args[5]) do heads[#heads + 1] = head(args[1], args[2], extra, token) end
  else
    heads[1] = head(args[1], args[2], extra, nil)
  end
  if items == 0 then constant = heads[1] .. "\r\n" end
end

local function action()
  counter = counter + 1
  return '{"action_type":"lesson","action_identifier":"' .. prefix .. counter .. '"}'
end

local function body()
  if items == 1 then return action() end
  local actions = {}
  for i = 1, items do actions[i] = action() end
  return '{"actions":[' .. table.concat(actions, ",") .. "]}"
end

local turn = 0

function request()
  if constant then return constant end
  turn = turn % #heads + 1
  if items == 0 then return heads[turn] end
  local text = body()
  return heads[turn] .. "Content-Type: application/json\r\nContent-Length: " .. #text .. "\r\n\r\n" .. text
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"errors":%d,"p50":%.3f,"p99":%.3f}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
