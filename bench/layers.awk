# Sums "go tool pprof -traces" of a server by layer: of every stack the function that
# is nearest to its leaf and belongs to a layer decides. With -v each=NANOSECONDS,
# the CPU of a request, it prints nanoseconds, else percents.
function layer(f) {
  if (f ~ /journal\.\(\*spare\)/) return "zeros for the next segment"
  if (f ~ /server\.\(\*conn\)\.write$|datagram\.\(\*Socket\)\.Write$/) return "writing to sockets"
  if (f ~ /server\.\(\*(loop|udpLoop)\)\.(seal|write|reply)$/) return "encoding and sealing answers"
  if (f ~ /Session\)\.OpenRequest$/) return "opening records"
  if (f ~ /Decoder\)\.Request$/) return "decoding messages"
  if (f ~ /license\.\(\*Tree\)|SignGrants|commit\.func1/) return "signing grants"
  if (f ~ /journal\.\(\*Journal\)\.(Append|write)/) return "journal: write and sync"
  if (f ~ /engine\.\(\*Core\)\.(Decide|Close|Publish|Begin)/) return "deciding"
  if (f ~ /OnTraffic$|server\.\(\*udpLoop\)\.(take|record)$/) return "session, batch, connection"
  if (f ~ /unix\.(Read|EpollWait|read)$|Socket\)\.(read|Read|ReadNow)$|eventloop\)\.read|\(\*conn\)\.processIO|netpoll\./) return "reading from sockets, waiting for them"
  return ""
}
function settle() {
  sum[at == "" ? "the rest" : at] += value
  total += value
  value = 0
  at = ""
}
/^-+\+-+$/ { if (value) settle(); first = 1; next }
NF == 0 || !first && !value { next }
{
  f = $0
  if (first) {
    first = 0
    if ($1 !~ /^[0-9.]+(us|ms|s)$/) next
    value = $1 + 0
    if ($1 ~ /us$/) value /= 1000
    else if ($1 !~ /ms$/) value *= 1000
  }
  sub(/ \(inline\)$/, "", f)
  sub(/ +$/, "", f)
  if (at == "") at = layer(f)
}
END {
  if (value) settle()
  for (name in sum) printf "%8.*f%s  %s\n", each ? 0 : 1, sum[name] / total * (each ? each : 100), each ? " ns" : " %", name | "sort -k3"
}
