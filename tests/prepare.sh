# shellcheck shell=bash
# What building needs, for testnet/demo and tests/run, which source this file. Every function is safe to run again and
# never asks anything.

# What building needs on Debian.
ALTHING_PACKAGES=(ca-certificates curl git clang libclang-dev g++ make pkg-config)
# Oldest Rust that builds the workspace (Cargo.toml, rust-version).
ALTHING_RUST=1.88
ALTHING_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/althing"

# Everything but errors goes to standard error, so that commands keep their output to themselves.
say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $1"
    [ $# -lt 2 ] || say "hint: $2"
    exit 1
}

# Runs a command as root: as it is, or through a sudo that does not ask for a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# Installs the named Debian packages that are missing. Fails if they cannot be.
install_packages() {
    local package missing=()
    for package in "$@"; do
        case "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)" in
            ii*) ;;
            *) missing+=("$package") ;;
        esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing Debian packages: ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >&2 || return 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" >&2
}

ensure_packages() {
    if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
        install_packages "${ALTHING_PACKAGES[@]}" ||
            die "cannot install the packages above" \
                "as root: apt-get install ${ALTHING_PACKAGES[*]}"
        return
    fi
    local tool
    for tool in curl git clang clang++ make; do
        command -v "$tool" >/dev/null 2>&1 ||
            die "$tool is missing, and this is not Debian, so it is not installed for you" \
                "install the equivalents of: ${ALTHING_PACKAGES[*]}"
    done
}

# Whether a version such as 1.95.0 is at least another such as 1.88.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

rust_fits() {
    local version
    version="$(cargo --version 2>/dev/null | awk '{print $2}')" || return 1
    [ -n "$version" ] && at_least "$version" "$ALTHING_RUST"
}

ensure_rust() {
    export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    ! rust_fits || return 0
    if command -v rustup >/dev/null 2>&1; then
        say "installing Rust stable: $(cargo --version 2>/dev/null || echo no cargo) is older than $ALTHING_RUST"
        rustup toolchain install stable --profile minimal --component rustfmt --component clippy >&2
        export RUSTUP_TOOLCHAIN=stable
    else
        say "installing rustup and Rust stable in ${CARGO_HOME:-$HOME/.cargo}: no cargo >= $ALTHING_RUST is here"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --no-modify-path --profile minimal --default-toolchain stable \
                --component rustfmt --component clippy >&2
    fi
    rust_fits || die "expected cargo >= $ALTHING_RUST, found $(cargo --version 2>/dev/null || echo none)" \
        "see https://rustup.rs"
}

# RocksDB is 343 C++ files, and cargo would build them again for every profile and target directory: they are built once
# and kept by version. Run it in the workspace.
ensure_rocksdb() {
    export CC=clang CXX=clang++ ROCKSDB_STATIC=1
    local version dir build built
    version="$(awk '$1 == "name" && $3 == "\"librocksdb-sys\"" { getline; gsub(/"/, "", $3); print $3; exit }' Cargo.lock)"
    [ -n "$version" ] || die "Cargo.lock names no librocksdb-sys"
    dir="$ALTHING_CACHE/rocksdb-$version"
    if [ ! -s "$dir/librocksdb.a" ]; then
        mkdir -p "$dir"
        # One build at a time; the second finds the result of the first.
        exec 9>"$ALTHING_CACHE/rocksdb.lock"
        flock 9
        if [ ! -s "$dir/librocksdb.a" ]; then
            say "building RocksDB $version once, about 11 minutes of CPU time; it is kept in $dir"
            build="$ALTHING_CACHE/rocksdb-build"
            env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC CARGO_TARGET_DIR="$build" CARGO_PROFILE_RELEASE_DEBUG=false \
                cargo build --release --locked -p librocksdb-sys >&2
            built="$(find "$build/release/build" -path '*/librocksdb-sys-*/out/librocksdb.a' -print -quit)"
            [ -n "$built" ] || die "the build of librocksdb-sys left no librocksdb.a in $build"
            # Under its name there is always a whole file.
            cp "$built" "$dir/librocksdb.a.$$"
            mv -f "$dir/librocksdb.a.$$" "$dir/librocksdb.a"
            rm -rf "$build"
        fi
        exec 9>&-
    fi
    export ROCKSDB_LIB_DIR="$dir"
}
