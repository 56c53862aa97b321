# SPDX-License-Identifier: AGPL-3.0-or-later
{
  lib,
  stdenv,
  meson,
  ninja,
  pkg-config,
  python3,
  scdoc,
  curl,
  libevent,
  msgpack-c,
  wslay,
  jansson,
  openssl,
  # The commit that the dashboard is told; it compares this with its own.
  sourceCommit ? "",
}:
stdenv.mkDerivation {
  pname = "nixfleet-agent";
  # project() is the one place that says it.
  version = builtins.head (
    builtins.match ".*[^_]version: '([0-9.]+)'.*" (builtins.readFile ../../meson.build)
  );
  src = ../..;

  strictDeps = true;
  nativeBuildInputs = [
    meson
    ninja
    pkg-config
    python3
    scdoc
  ];
  buildInputs = [
    curl
    libevent
    msgpack-c
    wslay
    jansson
    openssl
  ];
  mesonFlags = [
    "-Dtests=disabled"
    "-Dman=enabled"
    "-Dsource_commit=${sourceCommit}"
  ];

  meta = {
    description = "Host agent of NixFleet dashboards";
    license = lib.licenses.agpl3Plus;
    mainProgram = "nixfleet-agent";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
