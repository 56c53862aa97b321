# SPDX-License-Identifier: AGPL-3.0-or-later
# As much of nixpkgs' lib, and of its way to evaluate a module, as our modules use. It is strict: an
# unknown option, a value of another type and a required one that is missing are errors.
rec {
  type = name: check: { inherit name check; };
  types = {
    bool = type "bool" builtins.isBool;
    str = type "str" builtins.isString;
    path = type "path" (x: builtins.isPath x || builtins.isString x && builtins.substring 0 1 x == "/");
    package = type "package" (x: builtins.isAttrs x && x ? outPath);
    enum = values: type "enum ${toString values}" (x: builtins.elem x values);
    nullOr = inner: type "null or ${inner.name}" (x: x == null || inner.check x);
    ints.between = low: high: type "${toString low}..${toString high}" (
      x: builtins.isInt x && x >= low && x <= high
    );
  };

  lib = {
    inherit types;
    mkOption = option: option;
    mkEnableOption = description: {
      type = types.bool;
      default = false;
      inherit description;
    };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    concatStringsSep = builtins.concatStringsSep;
    genAttrs = names: make: builtins.listToAttrs (
      map (name: { inherit name; value = make name; }) names
    );
    licenses.agpl3Plus = "agpl3Plus";
    platforms = { linux = [ "linux" ]; darwin = [ "darwin" ]; };
  };

  isHidden = value: builtins.isAttrs value && value._type or "" == "if" && !value.condition;

  # What is left when every mkIf has been decided.
  resolve =
    value:
    if builtins.isAttrs value && value._type or "" == "if" then
      resolve value.content
    else if builtins.isAttrs value && !(value ? outPath) then
      builtins.listToAttrs (
        map (name: { inherit name; value = resolve value.${name}; }) (
          builtins.filter (name: !isHidden value.${name}) (builtins.attrNames value)
        )
      )
    else if builtins.isList value then
      map resolve value
    else
      value;

  self.packages = lib.genAttrs [ "x86_64-linux" "aarch64-darwin" ] (system: {
    nixfleet-agent.outPath = "/store/agent";
  });

  pkgsFor = system: {
    stdenv.hostPlatform = {
      inherit system;
      isDarwin = system == "aarch64-darwin";
    };
    git.outPath = "/store/git";
    openssh.outPath = "/store/openssh";
  };

  settle =
    options: settings: name:
    let
      option = options.${name};
      value = settings.${name} or (option.default or (throw "${name} is required"));
    in
    if option.type.check value then value else throw "${name} is no ${option.type.name}";

  # The module with these settings on a machine with this configuration.
  evaluate =
    { module, system, settings, machine ? { } }:
    let
      made = module {
        inherit lib;
        pkgs = pkgsFor system;
        config = machine // { services.nixfleet-agent = cfg; };
      };
      options = made.options.services.nixfleet-agent;
      unknown = builtins.filter (name: !(options ? ${name})) (builtins.attrNames settings);
      cfg =
        if unknown != [ ] then
          throw "${toString unknown} is unknown"
        else
          lib.genAttrs (builtins.attrNames options) (settle options settings);
    in
    {
      config = if isHidden made.config then { } else resolve made.config;
      options = builtins.mapAttrs (
        name: option: {
          type = option.type.name;
          required = !(option ? default);
          default = if name == "package" then null else option.default or null;
        }
      ) options;
    };

  # true where an error was meant to be, and is.
  fails = value: !(builtins.tryEval (builtins.deepSeq value value)).success;
}
