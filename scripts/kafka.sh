#!/usr/bin/env bash
# A real Apache Kafka broker for tests: one KRaft node on loopback, from jars of Maven Central.
#
#   scripts/kafka.sh start  [--dir DIR] [--port N] [--controller-port N] [--fresh]
#   scripts/kafka.sh status [--dir DIR]
#   scripts/kafka.sh stop   [--dir DIR]
#
# start prints KAFKA_BOOTSTRAP=127.0.0.1:PORT as its last line on stdout, everything else goes to
# stderr. It returns when the broker answers a Metadata request with itself in it. The jars are
# fetched once into ${TIDERACE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/tiderace}/kafka; the broker's
# files are in DIR, and stay there over stop and start unless --fresh is given.
#
# Needs mvn (for the first start) and Java 17 or newer.
# Exit codes: 0 done; 1 failed, or status: not running; 2 wrong usage;
# 3 there is no broker to be had here (no Java, no mvn, Maven Central out of reach): skip.
set -euo pipefail

kafka_version=4.1.1
log4j_version=2.24.3
cache=${TIDERACE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tiderace}/kafka
libs=$cache/libs-$kafka_version

say() { printf 'kafka.sh: %s\n' "$*" >&2; }
unavailable() { say "$1"; say "skipping: no real broker on this machine"; exit 3; }
usage() { sed -n '4,6s/^# *//p' "$0" >&2; exit 2; }

verb=${1:-}
[ $# -gt 0 ] && shift
dir=${TMPDIR:-/tmp}/tiderace-kafka-$(id -u)
port= controller_port= fresh=
while [ $# -gt 0 ]; do
  case $1 in
    --dir) dir=${2:?--dir needs a directory}; shift 2 ;;
    --port) port=${2:?--port needs a number}; shift 2 ;;
    --controller-port) controller_port=${2:?--controller-port needs a number}; shift 2 ;;
    --fresh) fresh=1; shift ;;
    *) say "unknown option $1"; usage ;;
  esac
done

# Asks for the cluster's metadata (version 1, no topics) and checks that a broker is named in the
# answer: size, correlation id 7, then the number of brokers.
answers() {
  local reply
  reply=$(timeout 5 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf "\0\0\0\16\0\3\0\1\0\0\0\7\377\377\0\0\0\0" >&3
    head -c 12 <&3 | od -An -v -tx1 | tr -d " \n"' _ "$1" 2>/dev/null) || return 1
  case $reply in
    ????????00000007[0-7]*) [ "${reply:16:8}" != 00000000 ] ;;
    *) return 1 ;;
  esac
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
  local candidate
  for _ in $(seq 100); do
    candidate=$((20000 + RANDOM % 12000))
    if ! taken "$candidate"; then echo "$candidate"; return; fi
  done
  say "no free port found"; exit 1
}

# The broker's process id, if it is alive and really is the broker of this directory.
broker_pid() {
  local pid
  pid=$(cat "$dir/pid" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$dir/server.properties" || return 1
  echo "$pid"
}

fetch() {
  [ -f "$libs/.complete" ] && return
  command -v mvn >/dev/null || unavailable "mvn is not installed, so that the broker's jars cannot be fetched"
  mkdir -p "$cache"
  local work
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  # However this ends, half-fetched jars do not stay.
  trap "rm -rf '$work'" EXIT
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tiderace.test</groupId><artifactId>kafka-broker</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$kafka_version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$log4j_version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-api</artifactId><version>$log4j_version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>$log4j_version</version></dependency>
  </dependencies>
</project>
POM
  say "fetching Apache Kafka $kafka_version with mvn"
  if ! (cd "$work" && timeout 900 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$work/libs") >"$work/mvn.log" 2>&1; then
    tail -n 5 "$work/mvn.log" >&2
    unavailable "the jars of Apache Kafka $kafka_version could not be fetched from Maven Central"
  fi
  touch "$work/libs/.complete"
  # Two starts at once: the first one to finish wins, the other throws its copy away.
  mv -T "$work/libs" "$libs" 2>/dev/null || [ -f "$libs/.complete" ] || { say "cannot write $libs"; exit 1; }
  rm -rf "$work"
  trap - EXIT
  say "$(find "$libs" -name '*.jar' | wc -l) jars in $libs"
}

java_needed() {
  command -v java >/dev/null || unavailable "java is not installed"
  local major
  major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ "${major:-0}" -ge 17 ] || unavailable "Java ${major:-?} is too old for the broker, it needs 17"
}

configure() {
  cat >"$dir/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/data
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
P
  cat >"$dir/log4j2.properties" <<'P'
rootLogger.level=WARN
rootLogger.appenderRef.c.ref=c
appender.c.type=Console
appender.c.name=c
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %m (%c)%n
P
}

launch() {
  export CLASSPATH="$libs/*"
  local java=(java -Xms256m -Xmx1g "-Dlog4j2.configurationFile=$dir/log4j2.properties")
  configure
  if [ ! -f "$dir/data/meta.properties" ]; then
    local id
    id=$("${java[@]}" kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)
    "${java[@]}" kafka.tools.StorageTool format --standalone -t "$id" -c "$dir/server.properties" \
      >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; say "formatting failed"; exit 1; }
  fi
  # An own session: a Ctrl-C at the terminal is for the tests, not for the broker.
  setsid "${java[@]}" kafka.Kafka "$dir/server.properties" >"$dir/broker.log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
}

start() {
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if broker_pid >/dev/null; then
    port=$(cat "$dir/port")
    answers "$port" || { say "a broker runs in $dir but does not answer on port $port"; exit 1; }
    echo "KAFKA_BOOTSTRAP=127.0.0.1:$port"
    return
  fi
  java_needed
  fetch
  if [ -n "$fresh" ]; then rm -rf "$dir/data"; fi
  # A formatted node keeps its controller's address, so a restart keeps its ports too.
  if [ -f "$dir/data/meta.properties" ]; then
    port=${port:-$(cat "$dir/port")} controller_port=${controller_port:-$(cat "$dir/controller-port")}
  fi
  port=${port:-$(free_port)} controller_port=${controller_port:-$(free_port)}
  for taken_port in "$port" "$controller_port"; do
    if taken "$taken_port"; then say "port $taken_port is taken"; exit 1; fi
  done
  echo "$port" >"$dir/port"
  echo "$controller_port" >"$dir/controller-port"
  launch
  for _ in $(seq 600); do
    if answers "$port"; then
      say "Apache Kafka $kafka_version is up, process $(cat "$dir/pid"), files in $dir"
      echo "KAFKA_BOOTSTRAP=127.0.0.1:$port"
      return
    fi
    if ! broker_pid >/dev/null && ! kill -0 "$(cat "$dir/pid")" 2>/dev/null; then
      tail -n 20 "$dir/broker.log" >&2
      say "the broker ended while starting"
      exit 1
    fi
    sleep 0.2
  done
  tail -n 20 "$dir/broker.log" >&2
  say "the broker did not answer within two minutes"
  stop
  exit 1
}

stop() {
  local pid
  pid=$(broker_pid) || { say "no broker runs in $dir"; rm -f "$dir/pid"; return; }
  kill -TERM "$pid"
  for _ in $(seq 150); do
    if ! kill -0 "$pid" 2>/dev/null; then rm -f "$dir/pid"; say "stopped"; return; fi
    sleep 0.2
  done
  say "the broker did not stop in 30 s and is killed"
  kill -KILL "$pid"
  rm -f "$dir/pid"
}

status() {
  if pid=$(broker_pid) && answers "$(cat "$dir/port")"; then
    say "running, process $pid"
    echo "KAFKA_BOOTSTRAP=127.0.0.1:$(cat "$dir/port")"
  else
    say "not running in $dir"
    exit 1
  fi
}

if [ -d "$dir" ]; then dir=$(cd "$dir" && pwd); fi
case $verb in
  start) start ;;
  stop) stop ;;
  status) status ;;
  *) usage ;;
esac
