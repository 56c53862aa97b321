# SPDX-License-Identifier: AGPL-3.0-or-later
# Everything that nix.py looks at, as one value.
{ folder }:
let
  stub = import ./stub.nix;
  load = name: import (folder + "/${name}.nix") stub.self;
  required = {
    enable = true;
    url = "wss://fleet.example/ws";
    tokenFile = "/run/token";
  };
  nixos = more: stub.evaluate {
    module = load "nixos";
    system = "x86_64-linux";
    settings = required // { user = "alice"; } // more;
    machine.users.users.alice.home = "/people/alice";
  };
  home = system: more: stub.evaluate {
    module = load "home-manager";
    inherit system;
    settings = required // more;
    machine.home = {
      homeDirectory = "/people/alice";
      username = "alice";
    };
  };
  darwin = more: stub.evaluate {
    module = load "darwin";
    system = "aarch64-darwin";
    settings = required // more;
  };
  full = {
    repoUrl = "https://git.example/c.git";
    branch = "prod";
    interval = 30;
    logLevel = "debug";
    hostname = "web1";
    nixpkgsVersion = "25.05";
    themeColor = "#112233";
    location = "office";
    deviceType = "vm";
    sshKeyFile = "/run/key";
    version = "2.0";
  };
  package = import (folder + "/package.nix") {
    inherit (stub) lib;
    stdenv.mkDerivation = attributes: attributes;
    meson = 1; ninja = 1; pkg-config = 1; python3 = 1; scdoc = 1; curl = 1; libevent = 1;
    msgpack-c = 1; wslay = 1; jansson = 1; openssl = 1;
    sourceCommit = "abc";
  };
  outputs = (import (folder + "/flake.nix")).outputs {
    self = stub.self // { rev = "abc"; };
    nixpkgs = {
      inherit (stub) lib;
      legacyPackages = stub.lib.genAttrs [
        "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin"
      ] (system: {
        callPackage = file: more: { inherit file more; };
        testers.runNixOSTest = test: (test { pkgs.writeScript = name: text: "/store/${name}"; }).name;
      });
    };
  };
in
{
  nixos = nixos { };
  nixosFull = nixos full;
  nixosCheckout = nixos { configRepo = "/people/alice/config"; };
  nixosOff = (nixos { enable = false; }).config;
  home = home "x86_64-linux" { };
  homeFull = home "x86_64-linux" (full // { hostname = "a\"b%c"; });
  mac = home "aarch64-darwin" { };
  macFull = home "aarch64-darwin" full;
  darwin = darwin { };
  darwinUser = darwin { user = "alice"; };
  bothRepositories = nixos { repoUrl = "https://git.example/c.git"; configRepo = "/c"; };
  refused = {
    interval = stub.fails (nixos { interval = 0; }).config;
    location = stub.fails (nixos { location = "moon"; }).config;
    deviceType = stub.fails (nixos { deviceType = "toaster"; }).config;
    logLevel = stub.fails (nixos { logLevel = "loud"; }).config;
    unknown = stub.fails (nixos { colour = "red"; }).config;
    user = stub.fails (stub.evaluate {
      module = load "nixos";
      system = "x86_64-linux";
      settings = required;
    }).config;
  };
  # And that not everything fails.
  accepted = !(stub.fails (nixos full).config);
  package = { inherit (package) pname version mesonFlags; };
  flake = builtins.mapAttrs (_: value: builtins.mapAttrs (
    _: inner: if builtins.isAttrs inner then builtins.attrNames inner else [ ]
  ) value) outputs;
  flakeTest = outputs.checks.x86_64-linux.machine;
}
