# SPDX-License-Identifier: AGPL-3.0-or-later
# In place of nixpkgs: what our flake takes from it.
{
  outputs =
    { self }:
    let
      stub = import ./stub.nix;
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      inputs = stub.lib.genAttrs [
        "meson" "ninja" "pkg-config" "python3" "scdoc"
        "curl" "libevent" "msgpack-c" "wslay" "jansson" "openssl"
      ] (name: name);
    in
    {
      inherit (stub) lib;
      legacyPackages = stub.lib.genAttrs systems (system: {
        callPackage = file: more: import file (
          inputs // { inherit (stub) lib; stdenv.mkDerivation = attributes: attributes; } // more
        );
        testers.runNixOSTest = test: test;
      });
    };
}
