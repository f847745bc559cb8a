import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { FileError, InputError } from "../../../engine/mod.ts";
import {
  DEFAULT_MODEL,
  findModel,
  modelsInBox,
  pulledFolder,
} from "../../../model/checkpoint/find_model.ts";
import { findPreset } from "../../../model/config/presets.ts";
import { inFolder } from "../../commands/process.ts";
import { NANO } from "../../nano.ts";

/** Runs a test in a working directory of its own. */
async function inWorkingFolder(test: (folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const before = Deno.cwd();
    Deno.chdir(folder);
    try {
      await test(folder);
    } finally {
      Deno.chdir(before);
    }
  });
}

async function refusal(model: string): Promise<FileError> {
  return await assertRejects(() => findModel(model), FileError);
}

Deno.test("findModel() finds the default model, which is in the box, or what BITWISE_MODEL says", async () => {
  assertEquals(await modelsInBox(), ["emoji-nano", "emoji-scenes"]);
  const before = Deno.env.get("BITWISE_MODEL") ?? "";
  try {
    Deno.env.set("BITWISE_MODEL", "emoji-nano");
    assertEquals(await findModel(), NANO);
    Deno.env.set("BITWISE_MODEL", "emoji-mano");
    const { message } = await assertRejects(() => findModel(), FileError);
    assertStringIncludes(message, "did you mean emoji-nano?");
    Deno.env.set("BITWISE_MODEL", "");
    assertEquals(await findModel(), DEFAULT_MODEL);
    assertEquals(await findModel("emoji-scenes"), DEFAULT_MODEL);
  } finally {
    Deno.env.set("BITWISE_MODEL", before);
  }
});

Deno.test("findModel() returns URLs and existing paths as they are", async () => {
  const url = new URL("https://example.com/model/");
  assertEquals(await findModel(url), url);
  for (const href of ["https://example.com/model", "file:///nowhere"]) {
    assertEquals(await findModel(href), href);
  }
  await inFolder(async (folder) => assertEquals(await findModel(folder), folder));
});

Deno.test("findModel() refuses what is neither text nor a URL", async () => {
  for (const model of [null, 7, {}, [], { href: "x" }, Symbol("x")]) {
    const error = await assertRejects(() => findModel(model as string), InputError);
    assertEquals(error.code, "wrong-type");
  }
});

Deno.test("findModel() finds every model in the box by name, from any folder", async () => {
  await inWorkingFolder(async () => {
    for (const name of await modelsInBox()) {
      const found = await findModel(name);
      const { name: stored } = JSON.parse(await Deno.readTextFile(new URL("config.json", found)));
      assertEquals(stored, name);
    }
  });
});

Deno.test("findModel() prefers a path to a name", async () => {
  await inWorkingFolder(async () => {
    for (const name of ["emoji-nano", "2b"]) {
      await Deno.mkdir(name);
      assertEquals(await findModel(name), name);
    }
  });
});

Deno.test("findModel() finds a published model where pull puts it", async () => {
  await inWorkingFolder(async (folder) => {
    const pulled = pulledFolder(findPreset("2b"));
    assertEquals(pulled, "models/infinity-2b");
    await Deno.mkdir(join(folder, pulled), { recursive: true });
    assertEquals((await refusal("2b")).code, "model-not-pulled"); // an empty folder is not a model
    await Deno.writeTextFile(join(folder, pulled, "config.json"), "{}");
    for (const name of ["2b", "infinity-2b", "2B"]) assertEquals(await findModel(name), pulled);
  });
});

Deno.test("findModel() says that a published model is not on this machine", async () => {
  await inWorkingFolder(async () => {
    const error = await refusal("8b");
    assertEquals([error.code, error.hint], ["model-not-pulled", "pull-model"]);
    assertEquals(
      error.message,
      'Cannot load "8b": infinity-8b is a published model that is not on this machine; ' +
        "pull it, or give the path of its folder",
    );
  });
});

Deno.test("findModel() does not offer to pull what was never published", async () => {
  await inWorkingFolder(async () => {
    const error = await refusal("1b");
    assertEquals([error.code, error.hint], ["model-not-found", undefined]);
    assert(error.message.includes("infinity-1b was never published"), error.message);
  });
});

Deno.test("findModel() names the nearest name and the models in the box", async () => {
  const error = await refusal("emoji-nanno");
  assertEquals(error.code, "model-not-found");
  assertEquals(
    error.message,
    'Cannot find model "emoji-nanno": there is no such folder, and no model has that name; ' +
      `models in the box: ${(await modelsInBox()).join(", ")}; did you mean emoji-nano?`,
  );
  for (const other of ["", "no/such/folder", "..", "../no-such-models"]) {
    const path = other === ".." ? "../../../../../../no" : other;
    const { code, message } = await refusal(path);
    assertEquals(code, "model-not-found", path);
    assert(!message.includes("did you mean"), message);
  }
});
