import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { FileError, InputError } from "../../../../engine/mod.ts";
import {
  expand,
  type HUB_VARIABLES,
  type HubSettings,
  hubSettings,
} from "../../../../model/release/hub/hub_environment.ts";
import { inFolder } from "../../../commands/process.ts";

type Values = Record<string, string>;
const read = (values: Values) => hubSettings((name) => values[name], "linux");

/** What each variable changes, beside HOME=/h and those in `besides`. */
const CASES: Record<
  keyof typeof HUB_VARIABLES,
  readonly (readonly [Values, Partial<HubSettings>])[]
> = {
  HF_HOME: [
    [{ HF_HOME: "/hf" }, { cache: "/hf/hub" }],
    [{ HF_HOME: "/hf", XDG_CACHE_HOME: "/x" }, { cache: "/hf/hub" }],
    [{ HF_HOME: "~/hf" }, { cache: "/h/hf/hub" }],
    [{ HF_HOME: "~" }, { cache: "/h/hub" }],
    [{ HF_HOME: "$HOME/a" }, { cache: "/h/a/hub" }],
    [{ HF_HOME: "" }, { cache: "/h/.cache/huggingface/hub" }],
  ],
  XDG_CACHE_HOME: [
    [{ XDG_CACHE_HOME: "/x" }, { cache: "/x/huggingface/hub" }],
    [{ XDG_CACHE_HOME: "${HOME}/x" }, { cache: "/h/x/huggingface/hub" }],
  ],
  HF_HUB_CACHE: [
    [{ HF_HUB_CACHE: "/c", HF_HOME: "/hf" }, { cache: "/c" }],
    [{ HF_HUB_CACHE: "$HOME/c" }, { cache: "/h/c" }],
  ],
  HUGGINGFACE_HUB_CACHE: [
    [{ HUGGINGFACE_HUB_CACHE: "~/old" }, { cache: "/h/old" }],
    [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/c" }, { cache: "/c" }],
  ],
  HF_TOKEN: [
    [{ HF_TOKEN: " hf_a\n" }, { token: "hf_a" }],
    [{ HF_TOKEN: "" }, { token: undefined }],
  ],
  HUGGING_FACE_HUB_TOKEN: [
    [{ HUGGING_FACE_HUB_TOKEN: "hf_old" }, { token: "hf_old" }],
    [{ HUGGING_FACE_HUB_TOKEN: "hf_old", HF_TOKEN: "hf_a" }, { token: "hf_a" }],
  ],
  HF_TOKEN_PATH: [[{ HF_TOKEN_PATH: "/nonexistent/token" }, { token: undefined }]],
  HF_HUB_DISABLE_IMPLICIT_TOKEN: [
    [{ HF_HUB_DISABLE_IMPLICIT_TOKEN: "on", HF_TOKEN: "hf_a" }, {
      token: undefined,
      tokenAdvice: "unset HF_HUB_DISABLE_IMPLICIT_TOKEN to send your token",
    }],
    [{ HF_HUB_DISABLE_IMPLICIT_TOKEN: "0", HF_TOKEN: "hf_a" }, { token: "hf_a" }],
  ],
  HF_ENDPOINT: [
    [{ HF_ENDPOINT: "https://mirror" }, { endpoint: "https://mirror" }],
    [{ HF_ENDPOINT: "" }, { endpoint: "https://huggingface.co" }],
  ],
  HF_HUB_OFFLINE: [
    [{ HF_HUB_OFFLINE: "TRUE" }, { offline: true }],
    [{ HF_HUB_OFFLINE: "no" }, { offline: false }],
  ],
  TRANSFORMERS_OFFLINE: [[{ TRANSFORMERS_OFFLINE: "1" }, { offline: true }]],
  HF_HUB_DOWNLOAD_TIMEOUT: [
    [{ HF_HUB_DOWNLOAD_TIMEOUT: "30" }, { patience: 30_000 }],
    [{ HF_HUB_DOWNLOAD_TIMEOUT: "0" }, { patience: undefined }],
  ],
  HF_HUB_ETAG_TIMEOUT: [[{ HF_HUB_ETAG_TIMEOUT: "5" }, { answerPatience: 5000 }]],
  HF_HUB_DISABLE_SYMLINKS: [[{ HF_HUB_DISABLE_SYMLINKS: "1" }, { symlinks: false }]],
  HF_HUB_DISABLE_PROGRESS_BARS: [[{ HF_HUB_DISABLE_PROGRESS_BARS: "1" }, { progress: false }]],
  HF_HUB_USER_AGENT_ORIGIN: [[{ HF_HUB_USER_AGENT_ORIGIN: "here" }, { origin: "here" }]],
};

const DEFAULTS: HubSettings = {
  cache: "/h/.cache/huggingface/hub",
  endpoint: "https://huggingface.co",
  token: undefined,
  tokenAdvice: undefined,
  origin: undefined,
  offline: false,
  patience: undefined,
  answerPatience: undefined,
  symlinks: true,
  progress: true,
};

for (const [name, cases] of Object.entries(CASES)) {
  Deno.test(`hubSettings() honours ${name}`, async () => {
    for (const [values, expected] of cases) {
      const found = await read({ HOME: "/h", ...values });
      const slashes = { ...found, cache: found.cache.replaceAll("\\", "/") };
      assertEquals(slashes, { ...DEFAULTS, ...expected }, JSON.stringify(values));
    }
  });
}

Deno.test("hubSettings() reads the token's file, in its folder or another", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "token"), "hf_default\n");
    await Deno.writeTextFile(join(folder, "other"), "\thf_other \n");
    const token = async (values: Values) => (await read({ HOME: folder, ...values })).token;
    assertEquals(await token({ HF_HOME: "~" }), "hf_default");
    assertEquals(await token({ HF_HOME: "~", HF_TOKEN_PATH: "${HOME}/other" }), "hf_other");
    assertEquals(await token({ HF_HOME: "~", HF_TOKEN: "hf_a" }), "hf_a");
    await Deno.writeTextFile(join(folder, "token"), "x".repeat(5000));
    const long = await assertRejects(() => token({ HF_HOME: "~" }), FileError);
    assertEquals(long.code, "too-large");
    const folderIsNone = () => token({ HF_TOKEN_PATH: folder });
    assertEquals((await assertRejects(folderIsNone, FileError)).code, "not-a-file");
  }));

Deno.test("hubSettings() refuses nonsense in one line", async () => {
  const fails = async (code: string, values: Values, message: string) => {
    const error = await assertRejects(() => read(values), InputError, message);
    assertEquals([error.code, error.message.includes("\n")], [code, false]);
  };
  await fails("no-home", {}, "Cannot find the cache: set HF_HOME to a folder for it");
  await fails("no-home", { HF_HOME: "~/hf" }, "Cannot find the cache");
  await fails("no-home", { HOME: "/h", HF_HOME: "~root/hf" }, 'Cannot use "~root/hf": it is in');
  for (const text of ["soon", "-1", "1.5", "1e9", "9999999"]) {
    const message =
      `Cannot use HF_HUB_ETAG_TIMEOUT "${text}": it must be a whole number of seconds`;
    await fails("bad-value", { HOME: "/h", HF_HUB_ETAG_TIMEOUT: text }, message);
  }
});

Deno.test("expand() expands what Python's expanduser and expandvars do, once", () => {
  const env = (name: string) =>
    ({ HOME: "/h", USERPROFILE: "C:\\u", A: "$B", B: "b", É: "e" })[name];
  const linux = (path: string) => expand(path, env, "linux");
  assertEquals(linux("~/x"), "/h/x");
  assertEquals(linux("/a/~/x"), "/a/~/x");
  assertEquals(linux("$B/${B}c/$Bc"), "b/bc/$Bc");
  assertEquals(linux("$A"), "$B");
  assertEquals(linux("$none/${none}/${/$/%B%"), "$none/${none}/${/$/%B%");
  assertEquals(linux("~/$B"), "/h/b");
  assertEquals(expand("~\\%B%\\$B", env, "windows"), "C:\\u\\b\\b");
});
