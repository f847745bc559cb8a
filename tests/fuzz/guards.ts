// What no reader may do, whatever it reads: reach files or the network, or change what all objects inherit.

/** Ways to files, the network and other programs. */
const WAYS = [
  ...["open", "openSync", "readFile", "readFileSync", "readTextFile", "readTextFileSync"],
  ...["readDir", "readDirSync", "readLink", "readLinkSync", "realPath", "realPathSync"],
  ...["stat", "statSync", "lstat", "lstatSync", "mkdir", "mkdirSync", "remove", "removeSync"],
  ...["rename", "renameSync", "symlink", "symlinkSync", "link", "linkSync", "create", "createSync"],
  ...["writeFile", "writeFileSync", "writeTextFile", "writeTextFileSync", "truncate", "chmod"],
  ...["connect", "connectTls", "listen", "resolveDns", "Command", "run", "dlopen"],
] as const;

/** Notes every attempt of a case to leave memory, also if the case swallows the error. */
export function guardPlaces(mayRead: readonly string[]) {
  let armed = false;
  let attempt: string | null = null;
  const spaces: [object, readonly string[]][] = [[Deno, WAYS], [globalThis, [
    "fetch",
    "WebSocket",
  ]]];
  for (const [space, names] of spaces) {
    const table = space as Record<string, unknown>;
    for (const name of names.filter((name) => typeof table[name] === "function")) {
      table[name] = new Proxy(table[name] as () => unknown, {
        apply: (target, self, args) => (note(name, args), Reflect.apply(target, self, args)),
        construct: (target, args) => (note(name, args), Reflect.construct(target, args)),
      });
    }
  }
  function note(name: string, [where]: readonly unknown[]): void {
    const path = `${where instanceof Request ? where.url : where}`;
    if (armed && !mayRead.some((folder) => path.includes(folder))) {
      attempt ??= `escape: ${name}(${JSON.stringify(path.slice(0, 100))})`;
    }
  }
  return {
    arm(usesFiles: boolean) {
      armed = !usesFiles;
      attempt = null;
    },
    disarm() {
      armed = false;
      return attempt;
    },
  };
}

/** Says which prototype has gained or lost a property since the last call. */
export function watchPrototypes(): () => string | null {
  const watched = Object.entries({
    Object,
    Array,
    Function,
    String,
    Number,
    Map,
    Set,
    Promise,
    RegExp,
  });
  const count = () => watched.map(([, { prototype }]) => Reflect.ownKeys(prototype).length);
  let last = count();
  return () => {
    const now = count();
    const changed = now.findIndex((keys, i) => keys !== last[i]);
    last = now;
    return changed < 0 ? null : `pollution: ${watched[changed]![0]}.prototype has changed`;
  };
}
